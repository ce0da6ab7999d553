//! The plan of a table: its mode, contract, expectations and layout.

use std::time::Duration;

use super::TableName;
use crate::columns::SystemNames;

/// A table and the rules for writing it.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: TableName,
    /// How rows change it.
    pub mode: WriteMode,
    /// With mode `replace`, the upstream column that each column of `by` is computed from. The changed upstream rows
    /// then tell which groups changed.
    pub groups_from: Vec<String>,
    /// Partition columns, whose values name its folders.
    pub partition_by: Vec<String>,
    /// Columns that the host derives from others when rows are written.
    pub derive: Vec<Derived>,
    /// What happens if rows do not have the table's columns.
    pub contract: Contract,
    /// What the values of its rows must fulfil.
    pub expect: Vec<Expectation>,
    /// How its data files are made.
    pub layout: Layout,
    /// Whether each commit records which rows it changed, for readers that follow the table.
    pub changes: bool,
    /// Its maintenance.
    pub upkeep: Upkeep,
    /// A sentence for its readers, kept in the table's metadata.
    pub description: Option<String>,
    /// What the host's own columns are called in it.
    pub system: SystemNames,
}

impl TableSpec {
    /// A table with defaults for everything but its mode.
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
            system: SystemNames::default(),
        }
    }
}

/// How rows change a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Rows are added.
    Append,
    /// A row replaces the row with the same key, unless that one is newer.
    Upsert {
        /// The key columns of a row. Null is a value like any other.
        key: Vec<String>,
        /// The column that says which of two rows is newer; without it, the later one.
        order_by: Option<String>,
        /// Rows that delete the row with the same key instead of replacing it.
        delete_when: Option<DeleteWhen>,
    },
    /// Rows are summed by key. A row with a `_weight` of -1 is subtracted.
    Accumulate {
        /// The key columns of a group. Null is a value like any other.
        key: Vec<String>,
        /// The numeric columns that are summed.
        sum: Vec<String>,
        /// The column that counts the rows of a group. A group whose count reaches 0 is removed.
        count: String,
    },
    /// The rows of one run replace the whole table.
    Overwrite,
    /// The rows of one run replace every row with the same values in the `by` columns.
    Replace {
        /// The columns of a group, usually the partition columns.
        by: Vec<String>,
    },
}

impl WriteMode {
    /// The columns by which rows are matched with those of the table.
    pub fn key(&self) -> &[String] {
        match self {
            WriteMode::Append | WriteMode::Overwrite => &[],
            WriteMode::Upsert { key, .. } | WriteMode::Accumulate { key, .. } => key,
            WriteMode::Replace { by } => by,
        }
    }

    /// The columns that the mode names, each with its key in the pipeline file.
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
    /// The column that marks deletions.
    pub column: String,
    /// Its values that mean deletion, as text.
    pub is: Vec<String>,
}

/// A derived column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its name.
    pub column: String,
    /// The column that it is derived from.
    pub from: String,
    /// The derivation.
    pub by: Derivation,
}

/// How a column is derived from another.
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
    /// A bucket number below this one, the same for the same value: `Int32`.
    Bucket(u32),
}

/// What the values of one column must fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The column.
    pub column: String,
    /// The rules, which all must hold.
    pub rules: Vec<Rule>,
    /// What happens to a row that breaks one.
    pub otherwise: Otherwise,
}

/// A rule of a value. Null fulfils every rule but [`Rule::NotNull`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is not null.
    NotNull,
    /// It is between these, both included, as text of the column's type.
    Range {
        /// The minimum.
        min: Option<String>,
        /// The maximum.
        max: Option<String>,
    },
    /// It is text in which this regular expression matches somewhere.
    Matches(String),
    /// It is one of these, as text.
    OneOf(Vec<String>),
    /// No other row of the same commit with the same values in these columns has it.
    Unique(Vec<String>),
}

impl Rule {
    /// The other columns that it names.
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
    /// The size of a file, in bytes.
    pub file_bytes: u64,
    /// Columns by which the rows of a commit are sorted, so that readers can skip more.
    pub sort_by: Vec<String>,
    /// Deleted rows are marked in deletion vectors instead of rewriting files. Readers must support them.
    pub deletion_vectors: bool,
    /// Bytes that an upsert may hold in memory.
    pub memory: u64,
}

impl Default for Layout {
    fn default() -> Self {
        Self { file_bytes: 128 << 20, sort_by: Vec::new(), deletion_vectors: false, memory: 256 << 20 }
    }
}

/// The maintenance of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Small files of one partition are compacted once there are this many; 0 for never.
    pub compact_at: u64,
    /// The columns of the Z-order of compacted files.
    pub z_order: Vec<String>,
    /// Files that no version of this age names are removed.
    pub keep_files: Duration,
    /// Log entries of this age that a checkpoint covers are removed.
    pub keep_log: Duration,
    /// How often a running pipeline does maintenance; `None` for only on command.
    pub every: Option<Duration>,
}

impl Default for Upkeep {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { compact_at: 100, z_order: Vec::new(), keep_files: 7 * day, keep_log: 30 * day, every: None }
    }
}

/// What happens if rows do not have the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// A column that the table does not have.
    pub new_column: Drift,
    /// A column of the table that the rows do not have.
    pub missing_column: Drift,
    /// A column whose type is not that of the table and cannot be widened to it.
    pub type_change: Drift,
}

/// An answer to schema drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The table follows: a new column is added, a missing one is null from now on.
    Evolve,
    /// The hop stops.
    Freeze,
    /// The affected rows go to quarantine.
    RejectRow,
    /// The value is left out or null; in bronze it is kept in `_rescued`.
    NullValue,
}

impl Contract {
    /// What the contract demands of records without a header, such as JSON objects and messages: the decoder must
    /// check it, because only the record says which fields it has.
    pub fn demands(&self) -> Demands {
        let refuses = |answer| matches!(answer, Drift::Freeze | Drift::RejectRow);
        Demands { known: refuses(self.new_column), whole: refuses(self.missing_column) }
    }
}

/// What a record must fulfil to become a row, besides being well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// It has no field without a column.
    pub known: bool,
    /// It has a field for every column.
    pub whole: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Self { new_column: Drift::Evolve, missing_column: Drift::NullValue, type_change: Drift::RejectRow }
    }
}
