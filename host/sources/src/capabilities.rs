//! What a source can do, so that nobody else has to know its kind.

use sluicebox_core::plan::{SourceKind, SourceSpec};

/// What a source does beside giving rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Others write to it while it is read: it has no end under `--follow`.
    pub unbounded: bool,
    /// The lanes that a reader owns may change while it reads.
    pub lanes_change: bool,
    /// Several hosts read it together, each some of its lanes.
    pub shared: bool,
    /// Each of its files is to be kept unchanged.
    pub keeps_files: bool,
    /// It tells others what is committed.
    pub acknowledges: bool,
}

/// What a source can do, as it is configured.
pub fn capabilities(spec: &SourceSpec) -> Capabilities {
    match &spec.kind {
        SourceKind::Files(files) => Capabilities { keeps_files: files.keep_files, ..Capabilities::default() },
        SourceKind::Capture(_) | SourceKind::Simulate(_) => Capabilities::default(),
        SourceKind::Kafka(kafka) => Capabilities {
            unbounded: true,
            // Without a group, partitions are added to a topic.
            lanes_change: true,
            shared: kafka.group.is_some(),
            keeps_files: false,
            acknowledges: kafka.group.is_some(),
        },
    }
}
