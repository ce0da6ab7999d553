//! The feeder threads of a hop: they read a source ahead or follow a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use crossbeam_channel::{RecvTimeoutError, SendTimeoutError, bounded};
use futures::TryStreamExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::fault::PipelineError;
use super::flow::{Flow, Inflow, Intake};
use super::queue::{Receiver, Sender};
use super::sink::lake_error;
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::OnDeletes;
use sluicebox_delta::{Added, Groups, Table};
use sluicebox_lake::LakeError;
use sluicebox_sources::{LaneChange, Next, Source, SourceError};

/// How often a source is told that the hop is not ready for more.
const WAIT: Duration = Duration::from_secs(1);

/// The result of a feeder.
pub type Fed = Result<(), PipelineError>;

/// Sends input to one hop, on its own thread.
pub struct Feeder<'a> {
    /// The hop.
    pub hop: &'a str,
    /// Its upstream's name, the lane of a table.
    pub upstream: &'a str,
    /// The queue to the hop.
    pub to: Sender<Inflow>,
    /// For I/O.
    pub runtime: &'a Handle,
    /// Stops the feeder early.
    pub stop: &'a CancellationToken,
    /// The hop has ended and answers nothing.
    pub gone: &'a AtomicBool,
}

impl Feeder<'_> {
    /// Reads a source to its end, or until the run is stopped. `committed` receives the positions of the hop's
    /// commits.
    pub fn read_source(
        &self,
        source: &mut dyn Source,
        meter: &Meters,
        committed: &crossbeam_channel::Receiver<Positions>,
    ) -> Fed {
        let mut told = 0;
        while !self.stop.is_cancelled() {
            for positions in committed.try_iter() {
                source.committed(&positions);
            }
            let next = source.next();
            let left_out = source.left_out().filter(|left_out| left_out.count() != told);
            if let Some(left_out) = left_out {
                told = left_out.count();
                meter.set_left_out(left_out.clone());
            }
            let progress = source.progress();
            meter.set_source(progress.done, progress.total);
            let next = match next.map_err(|error| self.source_failed(error))? {
                Next::Rows(next) => next,
                Next::Idle => continue,
                Next::Lanes(change) => match self.change_lanes(source, change)? {
                    true => continue,
                    false => break,
                },
                Next::End => break,
            };
            let intake = Intake {
                rows: next.batch.rows,
                rejects: next.rejects,
                positions: next.batch.positions,
                finished: next.finished,
            };
            if !self.hand(source, Inflow::Rows(intake)) {
                break;
            }
        }
        Ok(())
    }

    /// Lets the hop decide where each lane continues. Returns whether the hop still reads.
    fn change_lanes(&self, source: &mut dyn Source, change: LaneChange) -> Result<bool, PipelineError> {
        let (answer, answered) = bounded(1);
        if !self.hand(source, Inflow::Lanes(change, answer)) {
            return Ok(false);
        }
        loop {
            match answered.recv_timeout(WAIT) {
                Ok(from) => {
                    source.assign(&from).map_err(|error| self.source_failed(error))?;
                    return Ok(true);
                }
                // A hop that has ended does not answer.
                Err(RecvTimeoutError::Timeout) if self.gone.load(Ordering::SeqCst) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => source.wait(),
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }

    /// Sends input to the hop, and keeps the source alive meanwhile.
    fn hand(&self, source: &mut dyn Source, inflow: Inflow) -> bool {
        let mut waiting = inflow;
        loop {
            match self.to.send_timeout(waiting, WAIT) {
                Ok(()) => return true,
                Err(SendTimeoutError::Timeout(inflow)) => {
                    waiting = inflow;
                    source.wait();
                }
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
    }

    fn source_failed(&self, error: SourceError) -> PipelineError {
        PipelineError::Source { hop: self.hop.to_owned(), upstream: self.upstream.to_owned(), source: Box::new(error) }
    }

    /// Reads the rows added to a table after version `after`, or with `changes` the changes, up to the version that
    /// `table` was opened at; then what the upstream hop hands on while it runs.
    pub fn follow_table(
        &self,
        table: &Table,
        after: Option<u64>,
        (changes, on_deletes): (bool, OnDeletes),
        live: Option<Receiver<Flow>>,
    ) -> Fed {
        let lane = Lane::from(self.upstream);
        if table.version().is_some() {
            let added = self.runtime.block_on(async {
                // Of an append table changes are asked for by the hop, and only its deletions make the difference.
                match changes && on_deletes != OnDeletes::Follow {
                    true => table.changes_since(after).await,
                    false => table.followed_since(after, on_deletes).await,
                }
            });
            let mut added = added.map_err(self.failed())?;
            while let Some(next) = self.runtime.block_on(added.try_next()).map_err(self.failed())? {
                let intake = match next {
                    Added::Rows { rows, .. } => rows_of(rows),
                    Added::End { version } => barrier(Positions::of(lane.clone(), version as i64)),
                };
                if self.stop.is_cancelled() || !self.send(intake) {
                    return Ok(());
                }
            }
        }
        let Some(live) = live else { return Ok(()) };
        for next in live {
            let intake = match next {
                Flow::Rows(rows) => rows_of(rows),
                Flow::Barrier(version) => barrier(Positions::of(lane.clone(), version as i64)),
                Flow::End => return Ok(()),
            };
            if !self.send(intake) {
                return Ok(());
            }
        }
        Err(PipelineError::Abandoned { hop: self.hop.to_owned(), upstream: self.upstream.to_owned() })
    }

    /// Reads a whole table, or the rows of some groups, then sends its versions as positions.
    pub fn scan_table(&self, table: &Table, groups: Option<Groups>, versions: Positions) -> Fed {
        let rows = self.runtime.block_on(async {
            match groups {
                Some(groups) => table.scan_groups(groups).await,
                None => table.scan(None).await,
            }
        });
        let mut rows = rows.map_err(self.failed())?;
        while let Some(rows) = self.runtime.block_on(rows.try_next()).map_err(self.failed())? {
            if self.stop.is_cancelled() || !self.send(rows_of(rows)) {
                return Ok(());
            }
        }
        self.send(barrier(versions));
        Ok(())
    }

    /// Sends input. Returns whether the hop still reads; if not, it failed and reports that itself.
    fn send(&self, intake: Intake) -> bool {
        self.to.send(Inflow::Rows(intake))
    }

    fn failed<E: Into<LakeError>>(&self) -> impl FnOnce(E) -> PipelineError {
        lake_error(self.hop, format!("reading {} failed", self.upstream))
    }
}

fn rows_of(rows: RecordBatch) -> Intake {
    Intake { rows, rejects: Vec::new(), positions: Positions::default(), finished: None }
}

/// A point at which a commit may end, without rows.
fn barrier(positions: Positions) -> Intake {
    Intake { rows: RecordBatch::new_empty(Arc::new(Schema::empty())), rejects: Vec::new(), positions, finished: None }
}
