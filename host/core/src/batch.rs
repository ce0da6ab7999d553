//! Batches: rows, and the positions after them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::reject::Reason;

/// The name of an ordered sequence inside a source or table: a file's path, a Kafka
/// partition, an upstream table.
pub type Lane = Arc<str>;

/// The position of a lane whose reader was forgotten: nothing is kept for it, and where it stood is not known.
pub const FORGOTTEN: i64 = i64::MAX;

/// Positions by lane: the position *after* the last row read.
///
/// A position never goes back. Its meaning is defined by the source (an offset plus one, a row number, a Delta
/// version); everything else only compares positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<Lane, i64>);

impl Positions {
    /// A single lane's position.
    pub fn of(lane: Lane, position: i64) -> Self {
        Self(BTreeMap::from([(lane, position)]))
    }

    /// The position in `lane`, if it was ever read.
    pub fn get(&self, lane: &str) -> Option<i64> {
        self.0.get(lane).copied()
    }

    /// Advances `lane` to `position`; an earlier position changes nothing.
    pub fn advance(&mut self, lane: Lane, position: i64) {
        let present = self.0.entry(lane).or_insert(position);
        *present = (*present).max(position);
    }

    /// Removes a lane, because another host reads it from now on.
    pub fn forget(&mut self, lane: &str) {
        self.0.remove(lane);
    }

    /// Advances every lane of `other`.
    pub fn merge(&mut self, other: &Positions) {
        for (lane, position) in &other.0 {
            self.advance(lane.clone(), *position);
        }
    }

    /// Whether no lane was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every lane with its position, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Lane, i64)> {
        self.0.iter().map(|(lane, position)| (lane, *position))
    }
}

impl FromIterator<(Lane, i64)> for Positions {
    fn from_iter<I: IntoIterator<Item = (Lane, i64)>>(lanes: I) -> Self {
        let mut positions = Self::default();
        for (lane, position) in lanes {
            positions.advance(lane, position);
        }
        positions
    }
}

/// Rows, and the positions after them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows, in the order of their lane.
    pub rows: RecordBatch,
    /// The lanes that these rows advance. A source may give an empty batch only to advance a lane.
    pub positions: Positions,
}

/// The stage of a hop that rejected a row. It says what the payload is and where a retry starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The source: the row could not be decoded, and the payload is the record.
    Source,
    /// The module: the payload is the row that went in.
    Module,
    /// A table, such as `silver.orders`: the payload is the row that was to be written.
    Table(Arc<str>),
}

impl Stage {
    /// Parses the stage of a quarantine table.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "source" => Some(Self::Source),
            "module" => Some(Self::Module),
            _ => text.strip_prefix("table:").map(|table| Self::Table(table.into())),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Module => f.write_str("module"),
            Self::Table(table) => write!(f, "table:{table}"),
        }
    }
}

/// A rejected row, with everything needed to fix and retry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The lane the row came from.
    pub lane: Lane,
    /// The row's own position in its lane.
    pub position: i64,
    /// The line in a text file, from 1.
    pub line: Option<u64>,
    /// Who refused it, and for what.
    pub reason: Reason,
    /// What is wrong with this row, as a sentence with the offending value.
    pub message: String,
    /// The stage that rejected it.
    pub stage: Stage,
    /// The original bytes, or the row as one JSON object if it was decoded before.
    pub payload: Vec<u8>,
}
