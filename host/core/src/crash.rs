//! Fault injection: points at which a test may end the process, as a power cut would.
//!
//! `SLUICE_CRASH_AT=committed:3` aborts the process when it passes the point `committed` for the third time. Without
//! the variable a point costs one check of a flag. Tests use it to prove that a process may be killed anywhere.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable with a point and the number of the pass.
pub const VARIABLE: &str = "SLUICE_CRASH_AT";

/// A point in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Rows were read, and the last of them are not in a file yet.
    Write,
    /// The data files are complete, and no log entry names them.
    Written,
    /// Another writer committed first, and the commit is about to be retried.
    Conflict,
    /// The log entry exists, and nobody was told.
    Committed,
    /// A checkpoint of the log is due.
    Checkpoint,
    /// The checkpoint exists.
    Checkpointed,
    /// A hop's quarantine is committed, and its tables are not.
    Quarantined,
    /// One of a hop's tables is committed, and the next is not.
    Table,
    /// The state of a module is saved, and the commit that names it is not made.
    State,
    /// Files are compacted, and the log still names the old ones.
    Compacted,
    /// Retried rows are in one table, and the quarantine still has them.
    Retried,
}

impl Point {
    /// All points, in the order in which a commit passes them.
    pub const ALL: &[Self] = &[
        Self::Write,
        Self::Written,
        Self::Conflict,
        Self::Committed,
        Self::Checkpoint,
        Self::Checkpointed,
        Self::Quarantined,
        Self::Table,
        Self::State,
        Self::Compacted,
        Self::Retried,
    ];

    /// Its name in the environment variable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Written => "written",
            Self::Conflict => "conflict",
            Self::Committed => "committed",
            Self::Checkpoint => "checkpoint",
            Self::Checkpointed => "checkpointed",
            Self::Quarantined => "quarantined",
            Self::Table => "table",
            Self::State => "state",
            Self::Compacted => "compacted",
            Self::Retried => "retried",
        }
    }
}

/// The point at which to end the process, and the passes left.
struct Fuse {
    point: Point,
    left: AtomicU64,
}

/// Passes a point. Ends the process if the environment says so.
pub fn pass(point: Point) {
    static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
    let Some(fuse) = FUSE.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| read(&text))) else { return };
    // Two threads may pass at the same time; only the one that reaches zero aborts.
    if fuse.point == point && fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        std::process::abort();
    }
}

/// Parses `committed:3`, or `committed` for the first pass.
fn read(text: &str) -> Option<Fuse> {
    let (name, count) = text.split_once(':').unwrap_or((text, "1"));
    let point = Point::ALL.iter().copied().find(|point| point.as_str() == name)?;
    let left = count.parse().ok().filter(|count| *count > 0)?;
    Some(Fuse { point, left: AtomicU64::new(left) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_and_a_count_are_read() {
        let fuse = |text| read(text).map(|fuse| (fuse.point, fuse.left.into_inner()));
        assert_eq!(fuse("committed:3"), Some((Point::Committed, 3)));
        assert_eq!(fuse("write"), Some((Point::Write, 1)));
        assert_eq!(fuse("write:0"), None);
        assert_eq!(fuse("nowhere:1"), None);
    }
}
