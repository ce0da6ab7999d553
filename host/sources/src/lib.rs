//! Sources: where rows come from.
//!
//! A source gives batches of one lane at a time. Its rows have the decoded columns, then `_lane` and `_position`. It
//! stores no progress: whoever opens it passes the positions.

mod capabilities;
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

use std::fmt::Display;
use std::io::{self, Read};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

pub use capabilities::{Capabilities, capabilities};
pub use error::SourceError;
pub use files::{NOT_WHOLE, Position, Seal};

use sluicebox_core::batch::{Batch, Lane, Positions, Reject};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{Contract, Demands, Format, MessageFormat, SourceKind, SourceSpec};
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::{FormatError, Input};
use sluicebox_simulate as simulate;

/// Sources: where rows come from.
pub trait Source: Send {
    /// The next message of the source.
    ///
    /// It blocks, so it must be called on a plain thread and not on a runtime worker. An unbounded source without
    /// rows returns [`Next::Idle`] several times a second.
    ///
    /// # Errors
    /// Why the source stopped. After an error it gives nothing more.
    fn next(&mut self) -> Result<Next, SourceError>;

    /// Answers [`Next::Lanes`]: the revoked lanes are given up, and the assigned ones continue at these positions. A
    /// lane without a position starts where the source's settings say.
    ///
    /// # Errors
    /// As [`Source::next`].
    fn assign(&mut self, _from: &Positions) -> Result<(), SourceError> {
        Ok(())
    }

    /// Receives committed positions, for example to commit offsets to Kafka. They are informative only; the tables
    /// are the ledger.
    fn committed(&mut self, _positions: &Positions) {}

    /// Called regularly while nobody reads what [`Source::next`] returned, so that a broker does not think that the
    /// reader is dead.
    fn wait(&mut self) {}

    /// Files that it was asked for and does not take, all of them so far.
    fn left_out(&self) -> Option<&LeftOut> {
        None
    }

    /// How far it has come, for progress bars.
    fn progress(&self) -> Progress;
}

/// A message of a source.
#[derive(Debug)]
pub enum Next {
    /// Rows of one lane.
    Rows(SourceBatch),
    /// No rows at the moment; more may come.
    Idle,
    /// A rebalance. The source waits for [`Source::assign`] before it continues.
    Lanes(LaneChange),
    /// The end of the source.
    End,
}

impl Next {
    /// The rows, if this is `Rows`.
    pub fn rows(self) -> Option<SourceBatch> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::Idle | Self::Lanes(_) | Self::End => None,
        }
    }
}

/// A rebalance: lanes that a reader gets and gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneChange {
    /// Lanes that this reader reads from now on.
    pub assigned: Vec<Lane>,
    /// Lanes that another reader gets as soon as this one gives them up.
    pub revoked: Vec<Lane>,
    /// All lanes of this reader after the change.
    pub owned: Vec<Lane>,
    /// Whether it has the first lane of the source, which makes its host the leader.
    pub first: bool,
}

/// A batch of a source: about 8,192 rows, or none if it only advances a position or has rejects.
#[derive(Debug)]
pub struct SourceBatch {
    /// Rows, and the position of their lane after them.
    pub batch: Batch,
    /// Records between those rows that could not be decoded.
    pub rejects: Vec<Reject>,
    /// The file that ends with these rows.
    pub finished: Option<FinishedFile>,
}

/// A file that was read to its end.
#[derive(Clone, Debug)]
pub struct FinishedFile {
    /// Its lane.
    pub lane: Lane,
    /// Where it lies, for people: an absolute path, or a URL without credentials.
    pub location: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: DateTime<Utc>,
    input: Input,
}

impl FinishedFile {
    /// Its bytes as they are stored, up to the size that it had when it was listed. Reading them may block on
    /// the runtime.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        self.input.raw().map_err(|error| match error {
            FormatError::Open(error) => error,
            error => io::Error::other(error),
        })
    }
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes as they are stored, or rows.
    pub done: u64,
    /// The total, if it is known.
    pub total: Option<u64>,
    /// The unit of both.
    pub unit: Unit,
}

/// A unit of progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Bytes as they are stored.
    #[default]
    Bytes,
    /// Rows.
    Rows,
}

/// The arguments of [`open`].
#[derive(Debug)]
pub struct OpenSource<'a> {
    /// The source.
    pub spec: &'a SourceSpec,
    /// The recorded positions.
    pub done: &'a Positions,
    /// When they were recorded: a file written to since then may not be the one that was read.
    pub since: Option<DateTime<Utc>>,
    /// The columns of the table that the rows are written to, if it exists. Undeclared columns are read as before,
    /// whatever the next file looks like.
    pub known: Option<SchemaRef>,
    /// The contract of the table that decoded rows are written to unchanged; `None` if a module is in between.
    pub contract: Option<Contract>,
    /// Drives requests to object stores.
    pub runtime: &'a Handle,
    /// Whether an unbounded source is followed for ever; if not, it ends where it ended when it was opened.
    pub follow: bool,
}

impl OpenSource<'_> {
    /// What the contract demands of records without a header.
    fn demands(&self) -> Demands {
        self.contract.map_or_else(Demands::default, |contract| contract.demands())
    }
}

/// The lane of a partition, of a stream that was made anew so many times.
fn stream_lane(topic: &str, partition: impl Display, reset: u32) -> Lane {
    match reset {
        0 => format!("{topic}/{partition}").into(),
        reset => format!("{topic}/{partition}#{reset}").into(),
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

/// A record from quarantine.
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
    /// Records that are rows now, with `_lane` and `_position`.
    pub rows: RecordBatch,
    /// Those that are still none: which of them, a reason and a message.
    pub bad: Vec<(usize, RejectCode, String)>,
}

/// Decodes rejected records of one lane again, with the present settings of the source. `Ok(Err(why))` if single
/// records of this source cannot be decoded.
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

/// Whether the source's rows have `_rescued`: what no column takes, record by record.
pub fn rescues(spec: &SourceSpec) -> bool {
    let of_messages = |format: &MessageFormat| matches!(format, MessageFormat::Json | MessageFormat::Avro(_));
    match &spec.kind {
        SourceKind::Files(files) => matches!(files.format, Format::JsonLines { .. }),
        SourceKind::Capture(capture) => of_messages(&capture.format),
        SourceKind::Kafka(kafka) => of_messages(&kafka.format),
        SourceKind::Simulate(spec) => simulate::event_columns(spec.dataset).is_some(),
    }
}

/// What the files of a source say about their columns.
#[derive(Debug)]
pub struct Inferred {
    /// The columns, each with what was seen of it.
    pub sample: sluicebox_formats::Sample,
    /// The files that were looked at, by name.
    pub files: Vec<String>,
    /// Of how many.
    pub of: usize,
}

/// What the files of a source say about their columns, whatever is declared; `None` for a source without files.
///
/// # Errors
/// There is no file to infer from, or the first one cannot be read.
pub fn infer(spec: &SourceSpec, runtime: &Handle) -> Result<Option<Inferred>, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::infer(&spec.name, files, runtime).map(Some),
        SourceKind::Capture(_) | SourceKind::Kafka(_) | SourceKind::Simulate(_) => Ok(None),
    }
}

/// The columns of the source's rows, without `_lane` and `_position`: declared, known from the table, or inferred
/// from a sample of the files. A column of files without rows has no type.
///
/// # Errors
/// There is no file to infer from, or it cannot be read; or messages cannot be decoded into the declared columns.
pub fn schema(spec: &SourceSpec, known: Option<SchemaRef>, runtime: &Handle) -> Result<SchemaRef, SourceError> {
    match &spec.kind {
        SourceKind::Files(files) => files::schema(&spec.name, files, known, runtime),
        SourceKind::Capture(capture) => capture::schema(&spec.name, capture),
        SourceKind::Kafka(kafka) => kafka::schema(&spec.name, kafka),
        SourceKind::Simulate(spec) => {
            let Some(columns) = simulate::event_columns(spec.dataset) else {
                return Ok(simulate::schema(spec.dataset));
            };
            let raw = std::sync::Arc::new(SystemColumn::Raw.field());
            Ok(std::sync::Arc::new(Schema::new(columns.fields().iter().cloned().chain([raw]).collect::<Vec<_>>())))
        }
    }
}
