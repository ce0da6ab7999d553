//! What a pipeline says of a table: how rows change it, what they must fulfil, how its files lie.

use std::time::Duration;

use super::TableName;

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

impl Contract {
    /// What is wanted of records whose fields no header names, as those of JSON and of messages: a decoder has
    /// to see to it, because a record alone says what it has.
    pub fn demands(&self) -> Demands {
        let refuses = |answer| matches!(answer, Drift::Freeze | Drift::RejectRow);
        Demands { known: refuses(self.new_column), whole: refuses(self.missing_column) }
    }
}

/// What a record has to be to become a row, beside being well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// It has no field that no column takes.
    pub known: bool,
    /// It has a field for every column.
    pub whole: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Self { new_column: Drift::Evolve, missing_column: Drift::NullValue, type_change: Drift::RejectRow }
    }
}
