//! What moves between the threads of one run.

use arrow_array::RecordBatch;
use crossbeam_channel::Sender;

use super::queue::Weighed;
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_sources::LaneChange;

/// What a feeder has for its hop.
#[derive(Debug)]
pub enum Inflow {
    /// Rows, or a place where a commit may end.
    Rows(Intake),
    /// The lanes of the hop's source change. The feeder waits until it hears where the
    /// assigned ones go on.
    Lanes(LaneChange, Sender<Positions>),
}

/// What a hop takes in.
#[derive(Debug)]
pub struct Intake {
    /// The rows; may be empty.
    pub rows: RecordBatch,
    /// Rows that the source could not decode.
    pub rejects: Vec<Reject>,
    /// Where the reader stands after these rows. Not empty exactly where the hop may
    /// commit: after every batch of a source, at the end of every version of a table.
    pub positions: Positions,
    /// A file that was read to its end, to be kept if the pipeline says so.
    pub finished: Option<Finished>,
}

/// A file that was read to its end.
#[derive(Debug)]
pub struct Finished {
    /// Its lane.
    pub lane: String,
    /// Where it lies.
    pub location: String,
}

/// What a hop hands to the hops below its table while it runs.
#[derive(Debug, Clone)]
pub enum Flow {
    /// Rows as a reader of the table will see them. They count only when the barrier
    /// behind them arrives.
    Rows(RecordBatch),
    /// Everything before it is committed, as this version of the table.
    Barrier(u64),
    /// The upstream hop ended well. A channel that closes without it was abandoned,
    /// and what came after its last barrier never happened.
    End,
}

impl Weighed for Inflow {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(intake) => {
                let rejects: usize = intake.rejects.iter().map(|reject| reject.payload.len()).sum();
                intake.rows.get_array_memory_size() + rejects
            }
            Self::Lanes(..) => 0,
        }
    }
}

impl Weighed for Flow {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.get_array_memory_size(),
            Self::Barrier(_) | Self::End => 0,
        }
    }
}
