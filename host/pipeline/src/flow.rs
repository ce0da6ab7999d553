//! The messages between the threads of a run.

use arrow_array::RecordBatch;
use crossbeam_channel::Sender;

use super::queue::Weighed;
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_sources::{FinishedFile, LaneChange};

/// What a feeder thread sends to its hop.
#[derive(Debug)]
pub enum Inflow {
    /// Rows, or a point at which a commit may end.
    Rows(Intake),
    /// A rebalance of the hop's source. The feeder waits for the positions at which the assigned lanes continue.
    Lanes(LaneChange, Sender<Positions>),
}

/// Input of a hop.
#[derive(Debug)]
pub struct Intake {
    /// The rows; may be empty.
    pub rows: RecordBatch,
    /// Rows that the source could not decode.
    pub rejects: Vec<Reject>,
    /// The positions after these rows. Non-empty exactly where the hop may commit: after every batch of a source, at
    /// the end of every version of a table.
    pub positions: Positions,
    /// A file that was read to its end, to be kept if the pipeline says so.
    pub finished: Option<FinishedFile>,
}

/// What a hop hands to the hops downstream of its table while it runs.
#[derive(Debug, Clone)]
pub enum Flow {
    /// Rows as a reader of the table will see them. They are committed when the next barrier arrives.
    Rows(RecordBatch),
    /// Everything before this message is committed, as this version of the table.
    Barrier(u64),
    /// The upstream hop ended well. If the channel closes without this message, the upstream failed, and the rows
    /// after the last barrier were not committed.
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
