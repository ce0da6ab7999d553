//! The threads that feed a hop: a source read ahead, or a table followed.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use crossbeam_channel::Sender;
use futures::TryStreamExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::fault::PipelineError;
use super::flow::{Finished, Flow, Intake};
use super::sink::lake_error;
use crate::batch::{Lane, Positions};
use crate::lake::Table;
use crate::meter::Meters;
use crate::source::Source;

/// What a feeder says last.
pub type Fed = Result<(), PipelineError>;

/// Reads a source to its end, or until the run is stopped.
pub fn read_source(
    mut source: Box<dyn Source>,
    hop: &str,
    upstream: &str,
    to: &Sender<Intake>,
    meter: &Meters,
    stop: &CancellationToken,
) -> Fed {
    while !stop.is_cancelled() {
        let next = source.next().map_err(|error| PipelineError::Source {
            hop: hop.to_owned(),
            upstream: upstream.to_owned(),
            source: Box::new(error),
        })?;
        let progress = source.progress();
        meter.set_source(progress.done, progress.total);
        let Some(next) = next else { break };
        let intake = Intake {
            rows: next.batch.rows,
            rejects: next.rejects,
            positions: next.batch.positions,
            finished: next.finished.map(|file| Finished { lane: file.lane.to_string(), location: file.location }),
        };
        if to.send(intake).is_err() {
            break; // The hop has failed and says so itself.
        }
    }
    Ok(())
}

/// Reads what was added to a table after `after`, up to the version that `table` was
/// opened at, then what the hop above hands on while it runs.
pub fn follow_table(
    table: &Table,
    after: Option<u64>,
    live: Option<crossbeam_channel::Receiver<Flow>>,
    hop: &str,
    upstream: &str,
    to: &Sender<Intake>,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Fed {
    let lane = Lane::from(upstream);
    let failed = || lake_error(hop, format!("reading {upstream} failed"));
    if table.version().is_some() {
        let added = runtime.block_on(table.added_since(after)).map_err(failed())?;
        let mut added = std::pin::pin!(added);
        while let Some(next) = runtime.block_on(added.try_next()).map_err(failed())? {
            let intake = match next {
                crate::lake::Added::Rows { rows, .. } => rows_of(rows),
                crate::lake::Added::End { version } => barrier(&lane, version),
            };
            if stop.is_cancelled() || to.send(intake).is_err() {
                return Ok(());
            }
        }
    }
    let Some(live) = live else { return Ok(()) };
    let mut ended = false;
    for next in live {
        let intake = match next {
            Flow::Rows(rows) => rows_of(rows),
            Flow::Barrier(version) => barrier(&lane, version),
            Flow::End => {
                ended = true;
                break;
            }
        };
        if to.send(intake).is_err() {
            return Ok(());
        }
    }
    if ended { Ok(()) } else { Err(PipelineError::Abandoned { hop: hop.to_owned(), upstream: upstream.to_owned() }) }
}

fn rows_of(rows: RecordBatch) -> Intake {
    Intake { rows, rejects: Vec::new(), positions: Positions::default(), finished: None }
}

fn barrier(lane: &Lane, version: u64) -> Intake {
    Intake {
        rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
        rejects: Vec::new(),
        positions: Positions::of(lane.clone(), version as i64),
        finished: None,
    }
}

/// Reads a whole table as it stands, then says what versions that was.
pub fn scan_table(
    table: &Table,
    versions: Positions,
    hop: &str,
    upstream: &str,
    to: &Sender<Intake>,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Fed {
    let failed = || lake_error(hop, format!("reading {upstream} failed"));
    let rows = runtime.block_on(table.scan(None)).map_err(failed())?;
    let mut rows = std::pin::pin!(rows);
    while let Some(rows) = runtime.block_on(rows.try_next()).map_err(failed())? {
        if stop.is_cancelled() || to.send(rows_of(rows)).is_err() {
            return Ok(());
        }
    }
    let end = Intake {
        rows: RecordBatch::new_empty(Arc::new(Schema::empty())),
        rejects: Vec::new(),
        positions: versions,
        finished: None,
    };
    // A hop that is gone has failed and says so itself.
    let _ = to.send(end);
    Ok(())
}
