//! Generated events as a source, like a stream: decoded, with their original bytes, and never before they are due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};

use super::{BATCH_ROWS, LANE};
use crate::files::with_columns;
use crate::{Next, OpenSource, Progress, Source, SourceBatch, SourceError, Unit};
use sluicebox_core::batch::{Batch, Lane, Positions, Reject, Stage};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::plan::{MessageFormat, SimulateSpec};
use sluicebox_formats::{FormatError, MessageDecoder};
use sluicebox_simulate::{self as simulate, Events};

/// Generates events while they are read; a position is the number of events done.
pub(crate) struct SimulatedEvents {
    spec: SimulateSpec,
    lane: Lane,
    decoder: MessageDecoder,
    done: u64,
    /// When the first event of this run was due, and its number.
    began: Option<(Instant, u64)>,
}

/// Events that are due within this time are one batch, so that a low rate does not make a batch of every event.
const TICK: Duration = Duration::from_millis(20);

/// How long one call waits.
const PATIENCE: Duration = Duration::from_millis(100);

impl SimulatedEvents {
    /// Continues after `done`.
    pub(crate) fn open(spec: &SimulateSpec, columns: SchemaRef, request: &OpenSource<'_>) -> Result<Self, SourceError> {
        let done = request.done.get(LANE).map_or(0, |done| done.max(0).unsigned_abs());
        let decoder = MessageDecoder::new(&MessageFormat::Json, &columns).map_err(failed)?.demanding(request.demands());
        Ok(Self { spec: spec.clone(), lane: LANE.into(), decoder, done, began: None })
    }

    /// The number after the last due event; `None` if none becomes due soon.
    fn due(&mut self) -> Option<u64> {
        let end = self.spec.rows.min(self.done + BATCH_ROWS);
        let Some(rate) = Some(self.spec.events.rate).filter(|rate| *rate > 0) else { return Some(end) };
        let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), self.done));
        let next = began + Duration::from_secs_f64((self.done - first) as f64 / rate as f64);
        let patience = Instant::now() + PATIENCE;
        if patience < next {
            simulate::wait(patience);
            return None;
        }
        simulate::wait(next + TICK);
        let passed = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        Some(end.min((first + passed).max(self.done + 1)))
    }
}

impl Source for SimulatedEvents {
    fn next(&mut self) -> Result<Next, SourceError> {
        if self.done >= self.spec.rows {
            return Ok(Next::End);
        }
        let first = self.done;
        let Some(end) = self.due() else { return Ok(Next::Idle) };
        let events = Events::of(&self.spec, first..end);
        let payloads: Vec<&[u8]> = events.iter().collect();
        let decoded = self.decoder.decode(&payloads).map_err(failed)?;
        let taken = decoded.taken.unwrap_or_else(|| (0..payloads.len()).collect());
        let rejects = decoded.bad.into_iter().map(|bad| Reject {
            lane: self.lane.clone(),
            position: first as i64 + bad.at as i64,
            line: None,
            reason: bad.reason.into(),
            message: bad.message,
            stage: Stage::Source,
            payload: payloads[bad.at].to_vec(),
        });
        let rejects = rejects.collect();
        let rows = with_raw(&decoded.rows, taken.iter().map(|at| payloads[*at])).map_err(failed)?;
        let positions: Int64Array = taken.iter().map(|at| first as i64 + *at as i64).collect();
        let rows = with_columns(&rows, &self.lane, positions).map_err(failed)?;
        self.done = end;
        let batch = Batch { rows, positions: Positions::of(self.lane.clone(), end as i64) };
        Ok(Next::Rows(SourceBatch { batch, rejects, finished: None }))
    }

    fn progress(&self) -> Progress {
        Progress { done: self.done, total: Some(self.spec.rows), unit: Unit::Rows }
    }
}

/// Adds the original bytes to `rows`.
fn with_raw<'a>(rows: &RecordBatch, raw: impl Iterator<Item = &'a [u8]>) -> Result<RecordBatch, FormatError> {
    let mut bytes = BinaryBuilder::with_capacity(rows.num_rows(), rows.num_rows() * 256);
    raw.for_each(|raw| bytes.append_value(raw));
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(SystemColumn::Raw.field()));
    let mut arrays: Vec<ArrayRef> = rows.columns().to_vec();
    arrays.push(Arc::new(bytes.finish()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(FormatError::Rows)
}

fn failed(error: FormatError) -> SourceError {
    SourceError::File { name: LANE.to_owned(), file: LANE.to_owned(), source: Box::new(error) }
}
