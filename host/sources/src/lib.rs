//! Where rows come from.
//!
//! A source gives batches of one lane at a time. Its rows have the decoded columns,
//! then `_lane` and `_position`. It keeps no progress of its own: who opens it says
//! what is done.

mod capture;
mod error;
mod files;
mod http;
pub mod kafka;
mod message_decoder;
pub mod post;
mod registry;
mod secret;
mod simulated;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

pub use error::SourceError;
pub use files::{NOT_WHOLE, Position};

use sluicebox_core::batch::{Batch, Lane, Positions, Reject};
use sluicebox_core::plan::{Contract, Demands, SourceKind, SourceSpec};
use sluicebox_simulate as simulate;

/// Where rows come from.
pub trait Source: Send {
    /// What comes next.
    ///
    /// It blocks, so it is for a plain thread and not for one of the runtime's workers. A source
    /// that waits for others to write comes back with [`Next::Idle`] several times a second.
    ///
    /// # Errors
    /// What stops the source as a whole. After an error it gives nothing more.
    fn next(&mut self) -> Result<Next, SourceError>;

    /// Answers [`Next::Lanes`]: the revoked lanes were let go of, and the assigned ones go on
    /// here. A lane without a position begins where the source's own settings say.
    ///
    /// # Errors
    /// As [`Source::next`].
    fn assign(&mut self, _from: &Positions) -> Result<(), SourceError> {
        Ok(())
    }

    /// Hears what is committed, so that it can tell others as a courtesy. The tables stay the
    /// only ones that count.
    fn committed(&mut self, _positions: &Positions) {}

    /// Is called now and then while nobody takes what [`Source::next`] gave, so that a broker
    /// does not take this reader for dead.
    fn wait(&mut self) {}

    /// How far it has come, for progress bars.
    fn progress(&self) -> Progress;
}

/// What a source has to say.
#[derive(Debug)]
pub enum Next {
    /// Rows of one lane.
    Rows(SourceBatch),
    /// Nothing just now; more may come.
    Idle,
    /// The lanes that this reader owns are about to be others. It waits for
    /// [`Source::assign`] before it goes on.
    Lanes(LaneChange),
    /// Nothing is left.
    End,
}

impl Next {
    /// The rows, if it is rows.
    pub fn rows(self) -> Option<SourceBatch> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::Idle | Self::Lanes(_) | Self::End => None,
        }
    }
}

/// Lanes that a reader gets and gives up, as those who share a source have agreed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneChange {
    /// Lanes that it shall read from now on.
    pub assigned: Vec<Lane>,
    /// Lanes that somebody else will read, as soon as this reader lets go of them.
    pub revoked: Vec<Lane>,
    /// All that it owns after the change.
    pub owned: Vec<Lane>,
    /// Whether it owns the first lane of all, which brings the duties that only one of all readers has.
    pub first: bool,
}

/// What a source gives at once: about 8,192 rows, or none where it only moves its lane or
/// brings rejects.
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
    /// The contract of the table that rows land in as they come; `None` where a module makes others of them.
    pub contract: Option<Contract>,
    /// Drives requests to object stores.
    pub runtime: &'a Handle,
    /// Whether a source that others write to goes on for ever; if not, it ends where it
    /// ended when it was opened.
    pub follow: bool,
}

impl OpenSource<'_> {
    /// What is wanted of records whose fields no header names.
    fn demands(&self) -> Demands {
        self.contract.map_or_else(Demands::default, |contract| contract.demands())
    }
}

/// Opens a source.
///
/// # Errors
/// Its folder cannot be listed, or a file that was read to its end has changed.
pub fn open(request: OpenSource<'_>) -> Result<Box<dyn Source>, SourceError> {
    match &request.spec.kind {
        SourceKind::Files(spec) => Ok(Box::new(files::FileSource::open(&request, spec)?)),
        SourceKind::Capture(spec) => Ok(Box::new(capture::CaptureSource::open(&request, spec)?)),
        SourceKind::Kafka(spec) => match &spec.capture {
            Some(files) => Ok(Box::new(capture::HandOver::open(&request, files, spec)?)),
            None => Ok(Box::new(kafka::KafkaSource::open(&request, spec)?)),
        },
        SourceKind::Simulate(spec) => match simulate::event_columns(spec.dataset) {
            Some(columns) => Ok(Box::new(simulated::SimulatedEvents::open(spec, columns, &request)?)),
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
pub struct Redecoded {
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
pub fn redecode(
    spec: &SourceSpec,
    lane: &Lane,
    records: &[Record<'_>],
    known: Option<SchemaRef>,
    demands: Demands,
    runtime: &Handle,
) -> Result<Result<Vec<Redecoded>, String>, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::redecode(&spec.name, files, lane, records, (known, demands), runtime),
        SourceKind::Capture(capture) => capture::redecode(&spec.name, capture, lane, records, demands, runtime).map(Ok),
        SourceKind::Kafka(kafka) => kafka::redecode(&spec.name, kafka, lane, records, demands, runtime).map(Ok),
        SourceKind::Simulate(_) => Ok(Err("what is generated bad stays bad".to_owned())),
    }
}

/// The columns that the source's rows will have, without `_lane` and `_position`: declared,
/// as known from its table, or inferred from the first file that has rows.
///
/// # Errors
/// There is no file to infer from, or the first one cannot be read; or messages cannot be decoded into
/// the declared columns.
pub fn schema(spec: &SourceSpec, known: Option<SchemaRef>, runtime: &Handle) -> Result<SchemaRef, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::schema(&spec.name, files, known, runtime),
        SourceKind::Capture(capture) => capture::schema(&spec.name, capture),
        SourceKind::Kafka(kafka) => kafka::schema(&spec.name, kafka),
        SourceKind::Simulate(spec) => {
            Ok(simulate::event_columns(spec.dataset).unwrap_or_else(|| simulate::schema(spec.dataset)))
        }
    }
}
