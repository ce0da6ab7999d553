//! The validated plan of a pipeline: plain data that every layer may read.
//!
//! `config` makes it out of text; nothing here knows how.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arrow_schema::SchemaRef;

/// One pipeline, ready to run: every name resolved, every problem already reported.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pipeline's name, the first part of every `txn` application id.
    pub name: String,
    /// SHA-256 of the pipeline file with its variables filled in, as lower-case hex.
    pub config_hash: String,
    /// The pipeline file with its variables filled in, as TOML: what has the hash above.
    pub text: String,
    /// Every source, in the order of the file.
    pub sources: Vec<SourceSpec>,
    /// Every table that a hop reads or writes.
    pub tables: Vec<TableSpec>,
    /// Every hop, each after the hops that write what it reads.
    pub hops: Vec<HopSpec>,
}

impl Plan {
    /// The source of that name. The plan is closed: every name in a hop is in it.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The table of that name.
    pub fn table(&self, name: &TableName) -> Option<&TableSpec> {
        self.tables.iter().find(|table| table.name == *name)
    }
}

/// A layer of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// What arrived, append-only.
    Bronze,
    /// Cleaned and typed.
    Silver,
    /// Modelled for its readers.
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

/// A table's name; it lies at `<lake>/<layer>/<table>`.
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

/// Where rows come from.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its name in the pipeline file.
    pub name: String,
    /// What it is and how it is read.
    pub kind: SourceKind,
}

/// The kinds of source.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// Files in a folder.
    Files(FilesSpec),
    /// Generated rows.
    Simulate(SimulateSpec),
}

/// Files in a folder, each a lane.
#[derive(Clone, Debug)]
pub struct FilesSpec {
    /// The folder: an absolute path, or a URL of an object store.
    pub path: String,
    /// Globs relative to the folder, any of which lets a file in.
    pub glob: Vec<String>,
    /// Whether folders below it are read too.
    pub recursive: bool,
    /// How a file is decoded.
    pub format: Format,
    /// How a file is compressed.
    pub compression: Compression,
    /// The declared columns, in table order; `None` infers them from the first file.
    pub columns: Option<SchemaRef>,
    /// Keep each file unchanged beside the bronze table it lands in.
    pub keep_files: bool,
    /// What to do with a file that changed after it was read to its end.
    pub changed_files: ChangedFiles,
}

/// What to do with a file that changed after it was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedFiles {
    /// Stop and name it: what changed would be lost otherwise.
    Stop,
    /// Leave it, with a warning.
    Ignore,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By the ending of its name: `.gz`, `.zst`, anything else not at all.
    Auto,
    /// Not at all.
    None,
    /// gzip, several members included.
    Gzip,
    /// zstd, several frames included.
    Zstd,
}

/// How a file's bytes become rows.
#[derive(Clone, Debug)]
pub enum Format {
    /// Delimited text with quoted fields.
    Csv(CsvFormat),
    /// One JSON object a line.
    JsonLines {
        /// The character encoding.
        encoding: Encoding,
    },
    /// Parquet.
    Parquet,
    /// Avro object container.
    Avro,
}

/// Delimited text with quoted fields, newlines in quotes included (RFC 4180).
#[derive(Clone, Debug)]
pub struct CsvFormat {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields that hold a delimiter or newline.
    pub quote: u8,
    /// Whether the first record names the columns. Without it the declared columns
    /// apply in order.
    pub header: bool,
    /// Fields with exactly this text are null, besides the empty one.
    pub nulls: Vec<String>,
    /// The character encoding.
    pub encoding: Encoding,
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
    /// What is generated.
    pub dataset: Dataset,
    /// How many rows.
    pub rows: u64,
    /// The seed.
    pub seed: u64,
    /// The share of rows, from 0 to 1, that are bad on purpose.
    pub bad: f64,
}

/// What the simulator can generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Customers of a shop, with two-line addresses.
    Customers,
    /// Products of a shop.
    Products,
    /// Orders of those customers for those products.
    Orders,
}

/// A table and the rules for writing it.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: TableName,
    /// How rows change it.
    pub mode: WriteMode,
    /// With mode `replace`, the upstream column that each column of `by` is made from: whoever
    /// knows which upstream rows changed then knows which groups did.
    pub groups_from: Vec<String>,
    /// Columns whose values name its folders.
    pub partition_by: Vec<String>,
    /// Columns that the host makes out of others as rows are written.
    pub derive: Vec<Derived>,
    /// What happens when rows do not have the table's columns.
    pub contract: Contract,
    /// What the values of its rows must fulfil.
    pub expect: Vec<Expectation>,
    /// How its data files are made.
    pub layout: Layout,
    /// Whether each commit records which rows it changed, for readers that follow the table.
    pub changes: bool,
    /// What is done to it besides writing.
    pub upkeep: Upkeep,
    /// A sentence for its readers, kept in the table's metadata.
    pub description: Option<String>,
}

impl TableSpec {
    /// A table with nothing said about it but its mode.
    pub fn new(name: TableName, mode: WriteMode) -> Self {
        Self {
            name,
            groups_from: match &mode {
                WriteMode::Replace { by } => by.clone(),
                _ => Vec::new(),
            },
            mode,
            partition_by: Vec::new(),
            derive: Vec::new(),
            contract: Contract::default(),
            expect: Vec::new(),
            layout: Layout::default(),
            changes: false,
            upkeep: Upkeep::default(),
            description: None,
        }
    }
}

/// How rows change a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Rows are added.
    Append,
    /// A row takes the place of the row with the same key, unless that one is newer.
    Upsert {
        /// The columns that name a row. Null is a value like any other.
        key: Vec<String>,
        /// The column that says which of two rows is newer; without it, the later one.
        order_by: Option<String>,
        /// Rows that remove the row with the same key instead of taking its place.
        delete_when: Option<DeleteWhen>,
    },
    /// Rows are added up by key. A row with a `_weight` of -1 is taken away again.
    Accumulate {
        /// The columns that name a group. Null is a value like any other.
        key: Vec<String>,
        /// The columns that are summed up, each a number.
        sum: Vec<String>,
        /// The column that counts the rows of a group. A group whose count reaches 0 is removed.
        count: String,
    },
    /// The rows of one run are the whole table.
    Overwrite,
    /// The rows of one run take the place of every row whose `by` columns have the same values.
    Replace {
        /// The columns that name a group, the partition columns as a rule.
        by: Vec<String>,
    },
}

impl WriteMode {
    /// The columns that say which rows of the table a row is matched with.
    pub fn key(&self) -> &[String] {
        match self {
            WriteMode::Append | WriteMode::Overwrite => &[],
            WriteMode::Upsert { key, .. } | WriteMode::Accumulate { key, .. } => key,
            WriteMode::Replace { by } => by,
        }
    }

    /// The columns of the table that the mode names, each with the word that names it.
    pub fn columns(&self) -> Vec<(&'static str, &str)> {
        fn all<'a>(word: &'static str, columns: &'a [String]) -> impl Iterator<Item = (&'static str, &'a str)> {
            columns.iter().map(move |column| (word, column.as_str()))
        }
        match self {
            WriteMode::Append | WriteMode::Overwrite => Vec::new(),
            WriteMode::Upsert { key, order_by, .. } => {
                all("key", key).chain(all("order_by", order_by.as_slice())).collect()
            }
            WriteMode::Accumulate { key, sum, .. } => all("key", key).chain(all("sum", sum)).collect(),
            WriteMode::Replace { by } => all("by", by).collect(),
        }
    }
}

/// Which rows of an upsert are deletions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteWhen {
    /// The column that says so.
    pub column: String,
    /// Its values, as text, that mean deletion.
    pub is: Vec<String>,
}

/// A column that the host makes out of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its name.
    pub column: String,
    /// The column that it is made from.
    pub from: String,
    /// How.
    pub by: Derivation,
}

/// How a column is made from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// The year of a date or timestamp, in UTC: `Int32`.
    Year,
    /// The first day of the month of a date or timestamp, in UTC: `Date32`.
    Month,
    /// The day of a date or timestamp, in UTC: `Date32`.
    Date,
    /// The hour of the day of a timestamp, in UTC, from 0 to 23: `Int32`.
    Hour,
    /// A number below this one, the same for the same value: `Int32`.
    Bucket(u32),
}

/// What the values of one column must fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The column.
    pub column: String,
    /// What its values must fulfil, all of it.
    pub rules: Vec<Rule>,
    /// What happens to a row that does not.
    pub otherwise: Otherwise,
}

/// What a value must fulfil. Null fulfils every rule but [`Rule::NotNull`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is not null.
    NotNull,
    /// It lies between these, both included, as text of the column's type.
    Range {
        /// The least.
        min: Option<String>,
        /// The greatest.
        max: Option<String>,
    },
    /// It is text in which this regular expression matches somewhere.
    Matches(String),
    /// It is one of these, as text.
    OneOf(Vec<String>),
    /// No other row of the same commit has it, among those with the same values in these columns.
    Unique(Vec<String>),
}

impl Rule {
    /// The further columns that it names.
    pub fn columns(&self) -> &[String] {
        match self {
            Rule::Unique(within) => within,
            Rule::NotNull | Rule::Range { .. } | Rule::Matches(_) | Rule::OneOf(_) => &[],
        }
    }
}

/// What happens to a row that does not fulfil an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Otherwise {
    /// It is counted and goes on.
    Warn,
    /// It goes to quarantine.
    Reject,
    /// The hop stops.
    Stop,
}

impl Otherwise {
    /// Its word in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Otherwise::Warn => "warn",
            Otherwise::Reject => "reject",
            Otherwise::Stop => "stop",
        }
    }
}

/// How data files are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// A file is complete at this many bytes.
    pub file_bytes: u64,
    /// Columns by which the rows of a commit are sorted, so that readers can skip more.
    pub sort_by: Vec<String>,
    /// Rows are marked as deleted instead of files being rewritten. Readers must know how.
    pub deletion_vectors: bool,
    /// Bytes that an upsert may hold in memory.
    pub memory: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self { file_bytes: 128 << 20, sort_by: Vec::new(), deletion_vectors: false, memory: 256 << 20 }
    }
}

/// What is done to a table besides writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Small files of one partition that are put together once there are this many; 0 for never.
    pub compact_at: u64,
    /// The columns whose values lie close together in compacted files.
    pub z_order: Vec<String>,
    /// Files that no version of this age names are removed.
    pub keep_files: Duration,
    /// Log entries of this age that a checkpoint covers are removed.
    pub keep_log: Duration,
    /// How often all of this is looked after while a pipeline runs; `None` for only on command.
    pub every: Option<Duration>,
}

impl Default for Upkeep {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { compact_at: 100, z_order: Vec::new(), keep_files: 7 * day, keep_log: 30 * day, every: None }
    }
}

/// What happens when rows do not have the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// A column that the table does not have.
    pub new_column: Drift,
    /// A column of the table that the rows do not have.
    pub missing_column: Drift,
    /// A column whose type is not the table's and cannot be widened to it.
    pub type_change: Drift,
}

/// An answer to schema drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The table follows: a new column is added, a missing one is null from now on.
    Evolve,
    /// The hop stops.
    Freeze,
    /// The rows concerned go to quarantine.
    RejectRow,
    /// The value is left out or null; in bronze it is kept in `_rescued`.
    NullValue,
}

impl Default for Contract {
    fn default() -> Self {
        Self { new_column: Drift::Evolve, missing_column: Drift::NullValue, type_change: Drift::RejectRow }
    }
}

/// Moves rows from one upstream into tables.
#[derive(Clone, Debug)]
pub struct HopSpec {
    /// Its name, the second part of every `txn` application id.
    pub name: String,
    /// Where the rows come from.
    pub from: Upstream,
    /// What is done to them; without a module they are landed as they are.
    pub module: Option<ModuleSpec>,
    /// The table of each output port; `None` stands for the module's first. Without a
    /// module there is one entry, of port `None`.
    pub to: Vec<(Option<String>, TableName)>,
    /// The table of each lookup port.
    pub lookups: Vec<(String, TableName)>,
    /// When to commit.
    pub flush: Flush,
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
    /// What its job may use.
    pub limits: Limits,
    /// The folder of its fixtures, for `sluice test`.
    pub fixtures: Option<PathBuf>,
}

/// What one job may use.
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
    /// Resource handles alive at once.
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

/// When a hop commits: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Rows taken in.
    pub rows: u64,
    /// Bytes of rows taken in, as they lie in memory.
    pub bytes: u64,
    /// Time since the first of them.
    pub time: Duration,
}

impl Default for Flush {
    fn default() -> Self {
        Self { rows: 2_000_000, bytes: 256 << 20, time: Duration::from_secs(30) }
    }
}
