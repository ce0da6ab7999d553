//! Bytes to rows: CSV, JSON, Parquet, Avro.
//!
//! A file is opened as a [`Rows`] reader that gives batches of decoded columns, the
//! record number of every row, and the records that could not be decoded. Memory is
//! bounded by one read window and one batch, whatever the file's size.

mod avro;
mod binary;
pub mod csv;
mod error;
mod evidence;
mod exact;
mod form;
mod guard;
mod infer;
mod input;
mod json;
mod json_rows;
pub mod limits;
mod local;
mod members;
mod message;
mod names;
mod parquet;
mod plain;
mod reading;
mod scalar;
mod text;
mod value;
mod window;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub use self::avro::BadSchema;
pub use self::parquet::ParquetWriter;
pub use binary::Binary;
pub use error::{FormatError, Laid};
pub use infer::{Evidence, InferredColumn, SAMPLE_FILES, SAMPLE_RECORDS, Sample, Sampled, chosen, infer};
pub use input::{Input, Meter};
pub use json_rows::{infer_json, rows_as_json, rows_from_json};
pub use local::LocalFile;
pub use message::{BadMessage, MessageDecoder, Messages};

use self::guard::{Guarded, guarded};
use self::scalar::Exactness;
use sluicebox_core::plan::{Compression, Demands, Encoding, Format, Timestamps};
use sluicebox_core::reject::RejectCode;

/// Rows of a batch at most.
pub const BATCH_ROWS: usize = 8_192;

/// The rows of one file, in their order.
pub trait Rows: Send {
    /// The next batch, or `None` at the file's end.
    ///
    /// # Errors
    /// What is wrong with the file as a whole; a record that is wrong by itself is in
    /// [`Decoded::bad`] instead.
    fn next(&mut self) -> Result<Option<Decoded>, FormatError>;
}

/// One batch of a file.
#[derive(Debug)]
pub struct Decoded {
    /// The decoded columns; no system columns.
    pub rows: RecordBatch,
    /// Which records the rows are, from 0.
    pub numbers: Numbers,
    /// The records that could not be decoded, in the file's order.
    pub bad: Vec<BadRecord>,
    /// How many records of the file are done after this batch, bad ones included.
    pub done: u64,
}

/// The record numbers of a batch's rows, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Every record from this one on.
    From(u64),
    /// These, where bad records lie between them.
    Each(Vec<u64>),
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Its number in the file, from 0.
    pub record: u64,
    /// The line it begins on, from 1, in a text file.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub reason: RejectCode,
    /// A sentence with the offending value.
    pub message: String,
    /// Its original bytes, at most [`PAYLOAD_BYTES`] of them.
    pub payload: Vec<u8>,
}

/// A bad record's bytes are kept up to here; its message says so when it was longer.
pub const PAYLOAD_BYTES: usize = 1 << 20;

/// A record of a text file may be this long; a longer one is bad.
pub const RECORD_BYTES: usize = 16 << 20;

/// What to read and how.
#[derive(Clone, Debug)]
pub struct FileSpec<'a> {
    /// How bytes become rows.
    pub format: &'a Format,
    /// How the file is compressed.
    pub compression: Compression,
    /// The declared columns; without them everything is read as the file has it, and
    /// text has to be inferred first.
    pub columns: Option<&'a SchemaRef>,
    /// These are the columns of a table whose contract judges types: a format that has types of its own keeps
    /// them.
    pub own_types: bool,
    /// Nobody declared the columns: they were inferred, or are those of a table, and a text is a value of theirs
    /// only if it comes back as it was written.
    pub inferred: bool,
    /// What is wanted of records whose fields no header names.
    pub demands: Demands,
    /// Records that are done already.
    pub skip: u64,
    /// What becomes of times that microseconds do not hold.
    pub timestamps: Timestamps,
    /// The file is one that somebody wrote, and not some records out of such.
    pub whole: bool,
}

/// Opens `input` for reading.
///
/// # Errors
/// The file cannot be opened, or its header does not fit.
pub fn open(input: &Input, spec: &FileSpec<'_>, meter: &Meter) -> Result<Box<dyn Rows>, FormatError> {
    let rows = guarded(spec.skip, || decoder(input, spec, meter))?;
    Ok(Box::new(Guarded::new(rows, spec.skip)))
}

fn decoder(input: &Input, spec: &FileSpec<'_>, meter: &Meter) -> Result<Box<dyn Rows>, FormatError> {
    let columns = spec.columns.cloned();
    match spec.format {
        Format::Csv(format) => {
            let text = text::open(input, spec.compression, format.encoding, meter)?;
            let known = csv::Known { columns, exact: spec.inferred };
            Ok(Box::new(csv::CsvRows::new(text, format, &known, spec.skip)?))
        }
        Format::JsonLines { .. } | Format::Json { .. } => {
            let records = json_records(input, spec.format, spec.compression, spec.whole, meter)?;
            let exactness = Exactness { floats: spec.own_types, cut_times: spec.timestamps == Timestamps::Truncate };
            let rows = json::JsonRows::new(records, columns, spec.skip)?;
            Ok(Box::new(rows.demanding(spec.demands).exact(exactness)))
        }
        Format::Parquet => parquet::open(input, spec, meter),
        Format::Avro => {
            let reader = input.reader(spec.compression, meter)?;
            Ok(Box::new(avro::AvroRows::new(
                reader,
                |schema| Ok(plain::Plan::of_file(schema, spec, avro::CODES)?.exact(spec.timestamps)),
                spec.skip,
            )?))
        }
    }
}

/// The records of a JSON file.
fn json_records(
    input: &Input,
    format: &Format,
    compression: Compression,
    whole: bool,
    meter: &Meter,
) -> Result<(json::Framing, text::Original), FormatError> {
    let (encoding, path) = match format {
        Format::Json { encoding, path } => (*encoding, Some(path)),
        Format::JsonLines { encoding } => (*encoding, None),
        _ => (Encoding::Utf8, None),
    };
    let text = text::open(input, compression, encoding, meter)?;
    match path {
        Some(path) => Ok(json::Framing::documents(text, path)),
        None => json::Framing::lines(text, whole),
    }
}

/// The columns that a file of JSON, Parquet or Avro has; those of delimited text say [`infer`].
///
/// # Errors
/// As [`open`]; an empty text file has no columns, which is an empty schema.
pub fn schema(input: &Input, format: &Format, compression: Compression) -> Result<SchemaRef, FormatError> {
    let meter = Meter::default();
    guarded(0, || match format {
        Format::Csv(_) => Ok(infer(&[Sampled { name: "", input }], format, compression)?.schema()),
        Format::JsonLines { .. } | Format::Json { .. } => {
            json::infer(json_records(input, format, compression, true, &meter)?.0)
        }
        Format::Parquet => parquet::schema(input),
        Format::Avro => avro::schema(input.reader(compression, &meter)?),
    })
}

/// The endings by which a format's files are known, compressed forms included.
pub fn endings(format: &Format) -> &'static [&'static str] {
    match format {
        Format::Csv(_) => &[
            ".csv", ".tsv", ".csv.gz", ".csv.zst", ".csv.bz2", ".csv.xz", ".tsv.gz", ".tsv.zst", ".tsv.bz2", ".tsv.xz",
        ],
        Format::Json { .. } => &[".json", ".json.gz", ".json.zst", ".json.bz2", ".json.xz"],
        Format::JsonLines { .. } => &[
            ".jsonl",
            ".ndjson",
            ".json",
            ".jsonl.gz",
            ".jsonl.zst",
            ".jsonl.bz2",
            ".jsonl.xz",
            ".ndjson.gz",
            ".ndjson.zst",
            ".ndjson.bz2",
            ".ndjson.xz",
            ".json.gz",
            ".json.zst",
            ".json.bz2",
            ".json.xz",
        ],
        Format::Parquet => &[".parquet"],
        Format::Avro => &[".avro"],
    }
}

impl Numbers {
    /// The same numbers as a list of `rows`.
    pub fn to_vec(&self, rows: usize) -> Vec<u64> {
        match self {
            Numbers::From(first) => (*first..*first + rows as u64).collect(),
            Numbers::Each(numbers) => numbers.clone(),
        }
    }
}
