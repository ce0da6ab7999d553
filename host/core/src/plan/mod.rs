//! The validated plan of a pipeline: plain data that every crate may read.
//!
//! `config` makes it from a pipeline file. Tables are in `table`.

mod capture;
mod csv;
mod file_columns;
mod message;
mod naming;
mod stream;
mod table;
mod text_values;
mod time_form;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arrow_schema::SchemaRef;

use crate::columns::SystemNames;

pub use capture::{CaptureFiles, CaptureSpec, Gaps, LayoutPart, TimePart};
pub use csv::{CsvFormat, Quoting};
pub use file_columns::{FileColumns, FileFact, NamePart};
pub use message::{AvroSchemas, MessageFormat, Registry};
pub use naming::ColumnNames;
pub use stream::{KafkaConnection, KafkaSpec, Mechanism, OnLost, Sasl, Secret, Security, StreamStart, Token};
pub use table::{
    Contract, DeleteWhen, Demands, Derivation, Derived, Drift, Expectation, Layout, Otherwise, Rule, TableSpec, Upkeep,
    WriteMode,
};
pub use text_values::{EpochUnit, TextValues, ValueForm};
pub use time_form::{BadForm, LocalOrInstant, TimeForm};

/// A pipeline, ready to run: every name is resolved and every problem reported.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipeline's name, the first part of every `txn` application id.
    pub name: String,
    /// SHA-256 of the pipeline file with its variables filled in, as lower-case hex.
    pub config_hash: String,
    /// The pipeline file with its variables filled in, as TOML: the text that is hashed.
    pub text: String,
    /// What the host's own columns are called.
    pub system: SystemNames,
    /// Every source, in the order of the file.
    pub sources: Vec<SourceSpec>,
    /// Every table that a hop reads or writes.
    pub tables: Vec<TableSpec>,
    /// Every hop, each after the hops that write what it reads.
    pub hops: Vec<HopSpec>,
}

impl Plan {
    /// The source with this name. The plan is closed: every name in a hop is in it.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The table with this name.
    pub fn table(&self, name: &TableName) -> Option<&TableSpec> {
        self.tables.iter().find(|table| table.name == *name)
    }
}

/// A layer of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Landed rows, append-only.
    Bronze,
    /// Cleaned and typed.
    Silver,
    /// Modelled for queries.
    Gold,
}

impl Layer {
    /// Its name in files, paths and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Bronze => "bronze",
            Layer::Silver => "silver",
            Layer::Gold => "gold",
        }
    }
}

/// A table's name; its folder is `<lake>/<layer>/<table>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The layer.
    pub layer: Layer,
    /// The name within the layer: lower-case letters, digits and `_`.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer.as_str(), self.name)
    }
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its name in the pipeline file.
    pub name: String,
    /// Its kind, with the settings of that kind.
    pub kind: SourceKind,
    /// What its columns are called in the lake.
    pub names: ColumnNames,
}

/// The kinds of source.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// Files in a folder.
    Files(FilesSpec),
    /// Files of Event Hubs Capture.
    Capture(CaptureSpec),
    /// Topics of Kafka, or hubs of Event Hubs.
    Kafka(KafkaSpec),
    /// Generated rows.
    Simulate(SimulateSpec),
}

/// Files in a folder, each a lane.
#[derive(Clone, Debug)]
pub struct FilesSpec {
    /// The folder: an absolute path, or a URL of an object store.
    pub path: String,
    /// Globs relative to the folder. A file that matches any of them is read.
    pub glob: Vec<String>,
    /// Whether subfolders are read too.
    pub recursive: bool,
    /// Which links are followed.
    pub links: Links,
    /// How many files and folders may be looked at.
    pub max_files: u64,
    /// How a file is decoded.
    pub format: Format,
    /// How a file is compressed.
    pub compression: Compression,
    /// The declared columns, in table order; `None` infers them from the first file.
    pub columns: Option<SchemaRef>,
    /// Columns that a file does not hold but is: of its path, its time.
    pub file_columns: FileColumns,
    /// Keep each file unchanged beside the bronze table it lands in.
    pub keep_files: bool,
    /// What to do with a file that changed after it was read to its end.
    pub changed_files: ChangedFiles,
    /// What becomes of times that microseconds do not hold.
    pub timestamps: Timestamps,
}

/// What becomes of times with digits below microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// Their rows go to quarantine: a table would hold another time.
    #[default]
    Exact,
    /// The digits are cut off.
    Truncate,
}

impl FilesSpec {
    /// Files and folders that are looked at where nobody says otherwise.
    pub const MAX_FILES: u64 = 1_000_000;
}

/// Which links in a folder of files are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Those that lead to something in the folder itself.
    Inside,
    /// All of them.
    Anywhere,
}

/// What to do with a file that changed after it was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedFiles {
    /// Stop and name it: its changes would be lost otherwise.
    Stop,
    /// Skip it, with a warning.
    Ignore,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By the file name: `.gz`, `.zst`, `.bz2`, `.xz`, anything else is not compressed.
    Auto,
    /// Not compressed.
    None,
    /// gzip, several members included.
    Gzip,
    /// zstd, several frames included.
    Zstd,
    /// bzip2, several streams included.
    Bzip2,
    /// xz, several streams included.
    Xz,
}

/// The format of a file.
#[derive(Clone, Debug)]
pub enum Format {
    /// Delimited text with quoted fields.
    Csv(CsvFormat),
    /// One JSON object a line.
    JsonLines {
        /// The character encoding.
        encoding: Encoding,
    },
    /// JSON however it is laid out: arrays of objects, or objects behind each other.
    Json {
        /// The character encoding.
        encoding: Encoding,
        /// The keys that lead to the records in a document; none where they are the document.
        path: Vec<String>,
    },
    /// Parquet.
    Parquet,
    /// Avro object container.
    Avro,
}

/// A character encoding of text files. A byte-order mark is always recognised and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8; a row that is not valid UTF-8 goes to quarantine.
    Utf8,
    /// ISO 8859-1.
    Latin1,
    /// Windows-1252.
    Windows1252,
}

/// Generated rows: the same seed gives the same rows.
#[derive(Clone, Debug)]
pub struct SimulateSpec {
    /// The dataset.
    pub dataset: Dataset,
    /// The number of rows.
    pub rows: u64,
    /// The seed.
    pub seed: u64,
    /// The share of rows, from 0 to 1, that are bad on purpose.
    pub bad: f64,
    /// Settings of events; other datasets ignore them.
    pub events: EventMix,
}

/// The rate and faults of events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMix {
    /// The most events per second; 0 for no limit.
    pub rate: u64,
    /// The share of events, from 0 to 1, that come up to ten minutes after their time.
    pub late: f64,
    /// The share of events, from 0 to 1, that repeat one of the last 1,000 events.
    pub duplicates: f64,
    /// The event time between two events.
    pub step: Duration,
}

impl Default for EventMix {
    fn default() -> Self {
        Self { rate: 0, late: 0.0, duplicates: 0.0, step: Duration::from_millis(10) }
    }
}

/// The datasets of the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Customers of a shop, with two-line addresses.
    Customers,
    /// Products of a shop.
    Products,
    /// Orders of those customers for those products.
    Orders,
    /// Orders as events of a live shop.
    OrderEvents,
    /// Reviews of products, as events.
    Reviews,
    /// User actions in an app, as events.
    AppEvents,
}

/// A hop: moves rows from one upstream into tables.
#[derive(Clone, Debug)]
pub struct HopSpec {
    /// Its name, the second part of every `txn` application id.
    pub name: String,
    /// Where the rows come from.
    pub from: Upstream,
    /// The module; without one, rows are written as they are.
    pub module: Option<ModuleSpec>,
    /// The table of each output port; `None` is the first port of the module. Without a module there is one entry, of
    /// port `None`.
    pub to: Vec<(Option<String>, TableName)>,
    /// The table of each lookup port.
    pub lookups: Vec<(String, TableName)>,
    /// The event time of rows; `None` if the hop does not use it.
    pub event_time: Option<EventTime>,
    /// What happens when somebody else removes rows of the append table that it reads.
    pub on_deletes: OnDeletes,
    /// When to commit.
    pub flush: Flush,
}

/// What a hop does with a version of an append table that removed rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeletes {
    /// It stops and names the version.
    #[default]
    Stop,
    /// It takes the table's changes, so that what was removed is taken away downstream.
    Follow,
    /// It leaves the version out.
    Skip,
}

/// Event time in a hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// The upstream column with the event time, a timestamp.
    pub column: String,
    /// How much later than others rows may come.
    pub lateness: Duration,
}

/// What a hop reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A source, by name.
    Source(String),
    /// A table.
    Table(TableName),
}

/// A module in a hop.
#[derive(Clone, Debug)]
pub struct ModuleSpec {
    /// The compiled component.
    pub path: PathBuf,
    /// Its configuration: one JSON object, as text.
    pub config: String,
    /// The limits of its job.
    pub limits: Limits,
    /// The folder of its fixtures, for `sluice test`.
    pub fixtures: Option<PathBuf>,
}

/// The limits of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes over all of its memories and tables.
    pub memory: u64,
    /// Wall time of one call.
    pub time: Duration,
    /// Bytes emitted in one call.
    pub output_bytes: u64,
    /// Rows emitted in one call.
    pub output_rows: u64,
    /// Log lines kept of one call.
    pub log_lines: u32,
    /// Log bytes kept of one call.
    pub log_bytes: u32,
    /// Resource handles open at once.
    pub handles: u32,
    /// Bytes of WebAssembly stack.
    pub stack: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            time: Duration::from_secs(2),
            output_bytes: 64 << 20,
            output_rows: 4 << 20,
            log_lines: 100,
            log_bytes: 64 << 10,
            handles: 1_000,
            stack: 1 << 20,
        }
    }
}

/// When a hop commits: at the limit that is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Rows read.
    pub rows: u64,
    /// Bytes of rows read, in memory.
    pub bytes: u64,
    /// Time since the first of them.
    pub time: Duration,
}

impl Default for Flush {
    fn default() -> Self {
        Self { rows: 2_000_000, bytes: 256 << 20, time: Duration::from_secs(30) }
    }
}

impl Compression {
    /// What `Auto` means for a file of that name; never `Auto` itself.
    pub fn of(self, name: &str) -> Compression {
        match self {
            Compression::Auto if name.ends_with(".gz") => Compression::Gzip,
            Compression::Auto if name.ends_with(".zst") => Compression::Zstd,
            Compression::Auto if name.ends_with(".bz2") => Compression::Bzip2,
            Compression::Auto if name.ends_with(".xz") => Compression::Xz,
            Compression::Auto => Compression::None,
            known => known,
        }
    }
}
