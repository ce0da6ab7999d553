//! Generated rows as a source, with one lane.

mod events;

use arrow_array::Int64Array;
pub(super) use events::SimulatedEvents;

use super::files::with_columns;
use super::{Next, Progress, Source, SourceBatch, SourceError, Unit};
use sluicebox_core::batch::{Batch, Lane, Positions};
use sluicebox_core::plan::SimulateSpec;
use sluicebox_simulate as simulate;

/// The name of the one lane.
const LANE: &str = "simulate";

/// Generates rows while they are read; a position is the number of rows done.
pub(super) struct Simulated {
    spec: SimulateSpec,
    lane: Lane,
    done: u64,
}

/// Rows of a batch.
const BATCH_ROWS: u64 = 8_192;

impl Simulated {
    /// Continues after `done`.
    pub(super) fn open(spec: &SimulateSpec, done: &Positions) -> Self {
        let done = done.get(LANE).map_or(0, |done| done.max(0).unsigned_abs());
        Self { spec: spec.clone(), lane: LANE.into(), done }
    }
}

impl Source for Simulated {
    fn next(&mut self) -> Result<Next, SourceError> {
        if self.done >= self.spec.rows {
            return Ok(Next::End);
        }
        let end = self.spec.rows.min(self.done + BATCH_ROWS);
        let rows = simulate::rows(&self.spec, self.done..end);
        let positions: Int64Array = (self.done as i64..end as i64).collect();
        let rows = with_columns(&rows, &self.lane, positions).map_err(|error| SourceError::File {
            name: LANE.to_owned(),
            file: LANE.to_owned(),
            source: Box::new(error),
        })?;
        self.done = end;
        let batch = Batch { rows, positions: Positions::of(self.lane.clone(), end as i64) };
        Ok(Next::Rows(SourceBatch { batch, rejects: Vec::new(), finished: None }))
    }

    fn progress(&self) -> Progress {
        Progress { done: self.done, total: Some(self.spec.rows), unit: Unit::Rows }
    }
}
