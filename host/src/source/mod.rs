//! Where rows come from.
//!
//! A source gives batches of one lane at a time. Its rows have the decoded columns,
//! then `_lane` and `_position`. It keeps no progress of its own: who opens it says
//! what is done.

mod error;
mod files;
mod simulated;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

pub use error::SourceError;
pub use files::Position;

use crate::batch::{Batch, Lane, Positions, Reject};
use crate::plan::{SourceKind, SourceSpec};
use crate::simulate;

/// Where rows come from.
pub trait Source: Send {
    /// The next rows of one lane, or `None` when nothing is left. A batch has about 8,192
    /// rows; it may have none, where it only moves its lane or brings rejects.
    ///
    /// It blocks, so it is for a plain thread and not for one of the runtime's workers.
    ///
    /// # Errors
    /// What stops the source as a whole. After an error it gives nothing more.
    fn next(&mut self) -> Result<Option<SourceBatch>, SourceError>;

    /// How far it has come, for progress bars.
    fn progress(&self) -> Progress;
}

/// What a source gives at once.
#[derive(Debug)]
pub struct SourceBatch {
    /// Rows, and where their lane stands after them.
    pub batch: Batch,
    /// Records between those rows that could not be decoded.
    pub rejects: Vec<Reject>,
    /// The file that these rows are the last of.
    pub finished: Option<FinishedFile>,
}

/// A file that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedFile {
    /// Its lane.
    pub lane: Lane,
    /// Where it lies: an absolute path, or a URL.
    pub location: String,
    /// Its size.
    pub bytes: u64,
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes as they are stored, or rows.
    pub done: u64,
    /// Of how many, if that is known.
    pub total: Option<u64>,
    /// Which of the two are counted.
    pub unit: Unit,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Bytes as they are stored.
    #[default]
    Bytes,
    /// Rows.
    Rows,
}

/// What a source needs to begin.
#[derive(Debug)]
pub struct OpenSource<'a> {
    /// The source.
    pub spec: &'a SourceSpec,
    /// What is done already.
    pub done: &'a Positions,
    /// When that was recorded: a file written to since may not be what was read.
    pub since: Option<DateTime<Utc>>,
    /// The columns of the table that the rows land in, if it exists: what is not declared is
    /// then read as before, whatever the next file looks like.
    pub known: Option<SchemaRef>,
    /// Drives requests to object stores.
    pub runtime: &'a Handle,
}

/// Opens a source.
///
/// # Errors
/// Its folder cannot be listed, or a file that was read to its end has changed.
pub fn open(request: OpenSource<'_>) -> Result<Box<dyn Source>, SourceError> {
    match &request.spec.kind {
        SourceKind::Files(spec) => Ok(Box::new(files::FileSource::open(&request, spec)?)),
        SourceKind::Simulate(spec) => match simulate::event_columns(spec.dataset) {
            Some(columns) => Ok(Box::new(simulated::SimulatedEvents::open(spec, columns, request.done)?)),
            None => Ok(Box::new(simulated::Simulated::open(spec, request.done))),
        },
    }
}

/// A record as it was kept in quarantine.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its position in its lane.
    pub position: i64,
    /// Its original bytes.
    pub bytes: &'a [u8],
}

/// Records that were decoded again.
#[derive(Debug)]
pub struct Again {
    /// Those that are rows now, with `_lane` and `_position`.
    pub rows: RecordBatch,
    /// Those that are still none: which of them, a reason and a message.
    pub bad: Vec<(usize, String, String)>,
}

/// Decodes records of one lane that could not be decoded before, as the source is now.
/// `Ok(Err(why))` where records of this source cannot be decoded by themselves.
///
/// # Errors
/// The source's folder cannot be listed, or the header of its file not be read.
pub fn again(
    spec: &SourceSpec,
    lane: &Lane,
    records: &[Record<'_>],
    known: Option<SchemaRef>,
    runtime: &Handle,
) -> Result<Result<Vec<Again>, String>, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::again(&spec.name, files, lane, records, known, runtime),
        SourceKind::Simulate(_) => Ok(Err("what is generated bad stays bad".to_owned())),
    }
}

/// The columns that the source's rows will have, without `_lane` and `_position`: declared,
/// as known from its table, or inferred from the first file that has rows.
///
/// # Errors
/// There is no file to infer from, or the first one cannot be read.
pub fn schema(spec: &SourceSpec, known: Option<SchemaRef>, runtime: &Handle) -> Result<SchemaRef, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::schema(&spec.name, files, known, runtime),
        SourceKind::Simulate(spec) => {
            Ok(simulate::event_columns(spec.dataset).unwrap_or_else(|| simulate::schema(spec.dataset)))
        }
    }
}
