//! Places at which a test may end the process, as a power cut would.
//!
//! `SLUICE_CRASH_AT=committed:3` aborts the process when it passes the point `committed` for
//! the third time. Without the variable a point costs one look at a flag. This is for tests:
//! it proves that every place is as good as any other to be killed at.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that names a point and which passing of it.
pub const VARIABLE: &str = "SLUICE_CRASH_AT";

/// A place in the life of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Rows were taken in, and the last of them are not in a file yet.
    Write,
    /// The data files are complete, and no log entry names them.
    Written,
    /// Another writer was ahead, and the work is about to be done again.
    Conflict,
    /// The log entry is there, and nobody was told.
    Committed,
    /// A checkpoint of the log is due.
    Checkpoint,
    /// The checkpoint is there.
    Checkpointed,
    /// A hop's quarantine is committed, and its tables are not.
    Quarantined,
    /// One of a hop's tables is committed, and the next is not.
    Table,
    /// What a module remembers is saved, and the commit that counts on it is not made.
    State,
    /// Files are put together, and the log still names the old ones.
    Compacted,
    /// Retried rows are in one table, and the quarantine still has them.
    Retried,
}

impl Point {
    /// All of them, in the order in which a commit passes them.
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

/// The point at which to end the process, and how many passings are left.
struct Fuse {
    point: Point,
    left: AtomicU64,
}

/// Passes a point. Ends the process if the environment says so.
pub fn pass(point: Point) {
    static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
    let Some(fuse) = FUSE.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| read(&text))) else { return };
    // Two threads may pass at the same time; only the one that counts to the end aborts.
    if fuse.point == point && fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        std::process::abort();
    }
}

/// `committed:3`, or `committed` for the first passing.
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
