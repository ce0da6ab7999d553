//! What can go wrong with a table, and what to do about it.

use std::io;

use arrow_schema::{ArrowError, DataType};
use deltalake::DeltaTableError;
use parquet::errors::ParquetError;

use super::vectors::VectorError;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::types::Named;
use sluicebox_stores::{
    Cause, FORBIDDEN, StoreError, TOO_MANY_FILES, io_hint, io_kind, is_forbidden, is_out_of_handles, is_passing,
};

/// A table could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The place of the table could not be reached, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows of a group that was not to be made.
    #[error("a row for table '{table}' is of the group {group}, and none of the rows that it could be made from are")]
    Stranger {
        /// The table.
        table: String,
        /// The group, as columns with their values.
        group: String,
    },
    /// The table's log could not be read or understood.
    #[error("could not {action} table '{table}'")]
    Delta {
        /// What was attempted.
        action: &'static str,
        /// The table's path.
        table: String,
        /// What deltalake said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A data file could not be written or read.
    #[error("could not {action} data file '{path}'")]
    Parquet {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: String,
        /// What the Parquet library said.
        #[source]
        source: Box<ParquetError>,
    },
    /// Rows could not be brought into the table's shape.
    #[error("could not {action} in table '{table}'")]
    Arrow {
        /// What was attempted.
        action: &'static str,
        /// The table.
        table: String,
        /// What Arrow said.
        #[source]
        source: Box<ArrowError>,
    },
    /// An entry of the log is not what the protocol says.
    #[error("version {version} of table '{table}' has an unreadable log entry")]
    Log {
        /// The table.
        table: String,
        /// The version.
        version: u64,
        /// What the JSON reader said.
        #[source]
        source: serde_json::Error,
    },
    /// A column has a type that Delta tables lack.
    #[error("column '{column}' has type {}, which a Delta table cannot hold", Named(.data_type))]
    UnsupportedType {
        /// The column, with its parents.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A column's name has a character that readers of Parquet and Delta stumble on.
    #[error("column name '{column}' has a character that Delta reserves: {character:?}")]
    ColumnName {
        /// The name.
        column: String,
        /// The first reserved character.
        character: char,
    },
    /// Two columns have names that differ at most in case.
    #[error("column '{column}' of table '{table}' appears twice (names differ at most in case)")]
    DuplicateColumn {
        /// The table.
        table: String,
        /// The second of them.
        column: String,
    },
    /// A column of data has the name of one that the host adds.
    #[error("column '{column}' of table '{table}' is data, and the host adds a column of that name")]
    SystemColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A column of data has a name that Delta's change data feed keeps for itself.
    #[error("column '{column}' of table '{table}' has a name that Delta keeps for the change data feed")]
    ChangeFeedColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The table has no columns to store.
    #[error("table '{table}' would have no column besides its partition columns")]
    NoColumns {
        /// The table.
        table: String,
    },
    /// A column named in the table's rules is not in its schema.
    #[error("table '{table}' has no column '{column}', which its {role} names")]
    NoSuchColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The key that names it, such as `key`, `partition_by` or `derive`.
        role: &'static str,
    },
    /// A column cannot be a partition column.
    #[error("column '{column}' of type {} cannot partition table '{table}'", Named(.data_type))]
    PartitionType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A column cannot be sorted by.
    #[error("table '{table}' cannot be sorted by column '{column}' of type {}", Named(.data_type))]
    SortType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A column cannot be derived from one of this type.
    #[error("column '{column}' of table '{table}' cannot be derived from '{from}', which is {}", Named(.data_type))]
    DeriveType {
        /// The table.
        table: String,
        /// The derived column.
        column: String,
        /// The column that it is made from.
        from: String,
        /// The type of that column.
        data_type: DataType,
    },
    /// A record has not the columns or the types of its table, and the contract's answer is not to let it be.
    #[error("table '{table}' keeps {kept}, and {place} differs: {message}")]
    Frozen {
        /// The table.
        table: String,
        /// What the contract holds fast.
        kept: &'static str,
        /// The file and line.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// An expectation does not fit the type of its column.
    #[error("column '{column}' of table '{table}' cannot be checked so: {reason}")]
    Expect {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Why not.
        reason: String,
    },
    /// A row does not fulfil an expectation whose answer is `stop`.
    #[error("column '{column}' of table '{table}' holds {value}, {rule} ({place})")]
    Unmet {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The offending value.
        value: String,
        /// What is expected, as the end of a sentence.
        rule: String,
        /// Where the row came from.
        place: String,
    },
    /// The rows bring a column that the host makes.
    #[error("the rows have column '{column}', which table '{table}' derives itself")]
    DerivedColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The table exists with other partition columns than the plan says.
    #[error("table '{table}' is partitioned by [{found}], not by [{wanted}]")]
    PartitionsDiffer {
        /// The table.
        table: String,
        /// As it is.
        found: String,
        /// As the plan says.
        wanted: String,
    },
    /// The contract's answer to a new column is `freeze`.
    #[error("the rows have column '{column}', which table '{table}' does not have")]
    NewColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The contract's answer to a missing column is `freeze`.
    #[error("the rows lack column '{column}' of table '{table}'")]
    MissingColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The contract's answer to a changed type is `freeze`, or `evolve` where a table cannot follow.
    #[error("column '{column}' of table '{table}' is {}, but the rows have {}", Named(.expected), Named(.found))]
    TypeChange {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The table's type.
        expected: DataType,
        /// The rows' type.
        found: DataType,
    },
    /// The table was never created.
    #[error("table '{table}' does not exist yet")]
    NotCreated {
        /// The table.
        table: String,
    },
    /// The table uses a feature that this program does not implement.
    #[error("table '{table}' uses {feature}, which is not supported")]
    Feature {
        /// The table.
        table: String,
        /// The feature.
        feature: String,
    },
    /// Some lanes of a commit are already recorded and some are not.
    #[error("table '{table}' already has '{app}/{recorded}' at {at}, but not '{app}/{missing}'")]
    MixedPositions {
        /// The table.
        table: String,
        /// The application.
        app: String,
        /// A lane that is already there.
        recorded: String,
        /// Its recorded position.
        at: i64,
        /// A lane that is not.
        missing: String,
    },
    /// Another run of the same hop committed some of the same rows.
    #[error("another run moved '{lane}' of table '{table}' while rows were written for it")]
    Overtaken {
        /// The table.
        table: String,
        /// The application and lane.
        lane: String,
    },
    /// Another hop of that name put rows into the same quarantine, which this one would empty.
    #[error(
        "{table} has rows of the hop `{other}` as well, and this hop puts other rows in the place of all that it holds"
    )]
    Shared {
        /// The quarantine.
        table: String,
        /// Pipeline and hop.
        other: String,
    },
    /// Other writers were faster every time.
    #[error("table '{table}' was changed by other writers during each of {attempts} attempts to commit")]
    Conflict {
        /// The table.
        table: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another writer changed the schema between the rows and their commit.
    #[error("the schema of table '{table}' was changed by another writer while rows were written for it")]
    SchemaMoved {
        /// The table.
        table: String,
    },
    /// The commit failed and the log could not be read to see whether it landed.
    #[error("it is not known whether version {version} of table '{table}' was committed")]
    Unknown {
        /// The table.
        table: String,
        /// The version that was attempted.
        version: u64,
        /// Why the log could not be read.
        #[source]
        source: Box<DeltaError>,
    },
    /// A commit removed rows, so its table cannot be followed as a sequence of added rows.
    #[error("version {version} of table '{table}' removed rows, and nothing says what becomes of them downstream")]
    Removed {
        /// The table.
        table: String,
        /// The version.
        version: u64,
    },
    /// A version is no longer in the log.
    #[error("version {version} of table '{table}' is no longer in its log")]
    LogGone {
        /// The table.
        table: String,
        /// The version.
        version: u64,
    },
    /// A file has a partition value that its column's type cannot hold.
    #[error("data file '{path}' has partition value '{value}' for column '{column}'")]
    PartitionValue {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// The value as the log has it.
        value: String,
    },
    /// A column cannot be summed up, or holds no sum.
    #[error("column '{column}' of table '{table}' is {}, in which no sum is kept", Named(.data_type))]
    SumType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A sum has more digits than its column.
    #[error("the sum in column '{column}' of table '{table}' is too large for it")]
    Overflow {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// More rows were taken from a group than were added to it.
    #[error("table '{table}' would count {count} rows for {group}")]
    NegativeCount {
        /// The table.
        table: String,
        /// The group's key.
        group: String,
        /// The count.
        count: i64,
    },
    /// Groups were named to be emptied in a table that has none.
    #[error("table '{table}' is not replaced by groups, so none can be emptied")]
    NoGroups {
        /// The table.
        table: String,
    },
    /// A deletion vector is not what the protocol says.
    #[error("the deletion vector of data file '{path}' is unreadable")]
    Vector {
        /// The data file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: VectorError,
    },
    /// A background task ended without a result.
    #[error("the task that was to {action} in table '{table}' did not finish")]
    Task {
        /// What it was to do.
        action: &'static str,
        /// The table.
        table: String,
        /// How it ended.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl DeltaError {
    pub(super) fn store(action: &'static str, path: impl ToString) -> impl FnOnce(object_store::Error) -> Self {
        let failed = StoreError::object(action, path);
        move |source| Self::Store(failed(source))
    }

    pub(super) fn io(action: &'static str, path: impl AsRef<std::path::Path>) -> impl FnOnce(io::Error) -> Self {
        let failed = StoreError::io(action, path);
        move |source| Self::Store(failed(source))
    }

    pub(super) fn parquet(action: &'static str, path: impl ToString) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_string();
        move |source| Self::Parquet { action, path, source: Box::new(source) }
    }

    pub(super) fn arrow(action: &'static str, table: impl ToString) -> impl FnOnce(ArrowError) -> Self {
        let table = table.to_string();
        move |source| Self::Arrow { action, table, source: Box::new(source) }
    }

    pub(super) fn delta(action: &'static str, table: impl ToString) -> impl FnOnce(DeltaTableError) -> Self {
        let table = table.to_string();
        move |source| Self::Delta { action, table, source: Box::new(source) }
    }

    /// Whether rows do not have the table's columns, so that whoever mends it wants to know which rows.
    pub fn is_drift(&self) -> bool {
        matches!(
            self,
            Self::NewColumn { .. } | Self::MissingColumn { .. } | Self::TypeChange { .. } | Self::DerivedColumn { .. }
        )
    }

    /// Whether the process, or the system, may open no more files.
    pub(super) fn is_out_of_handles(&self) -> bool {
        match self {
            Self::Store(error) => is_out_of_handles(error.causes()),
            _ => is_out_of_handles(self.causes()),
        }
    }

    /// What other libraries said, outermost first.
    fn causes(&self) -> impl Iterator<Item = Cause<'_>> {
        // A boxed source would show as its box, which no downcast sees through.
        let first: Option<Cause<'_>> = match self {
            Self::Delta { source, .. } => Some(source.as_ref()),
            Self::Parquet { source, .. } => Some(source.as_ref()),
            Self::Arrow { source, .. } => Some(source.as_ref()),
            _ => None,
        };
        std::iter::successors(first, |error| match error.downcast_ref::<ParquetError>() {
            Some(ParquetError::External(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        })
    }
}

impl Fault for DeltaError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Conflict { .. } | Self::SchemaMoved { .. } | Self::Unknown { .. } => Remedy::Retry,
            // Another run is ahead; the next one begins where that is.
            Self::Overtaken { .. } | Self::MixedPositions { .. } => Remedy::Retry,
            Self::Store(error) => error.remedy(),
            Self::Delta { .. } | Self::Parquet { .. } if !is_forbidden(self.causes()) => match io_kind(self.causes()) {
                Some(kind) if is_passing(kind) => Remedy::Retry,
                _ => Remedy::Stop,
            },
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Stranger { .. } => {
                "the groups of the table are not those of its upstream: say with `by` what upstream columns they are made from, or use mode overwrite"
            }
            Self::UnsupportedType { .. } => {
                "convert the column in a module or declare another type for it, for instance a string"
            }
            Self::ColumnName { .. } => {
                "rename it as it lands: `column_names = \"snake\"` in the source makes a name of every header, and its `rename` table names columns one by one; without that, ' ,;{}()\\n\\t=' are not allowed"
            }
            Self::SystemColumn { .. } => {
                "give the host's columns other names, with `system_prefix` in `[pipeline]`, or rename the column where it lands"
            }
            Self::ChangeFeedColumn { .. } => {
                "rename the column where it lands, or leave the table without `change_feed` and hops that follow it"
            }
            Self::DuplicateColumn { .. } => "rename one of them; Delta does not tell names apart by case",
            Self::NoColumns { .. } => "partition by fewer columns",
            Self::NoSuchColumn { .. } => "check the names under [tables] in the pipeline file",
            Self::PartitionType { .. } => "partition by a string, integer, date, timestamp, decimal or boolean column",
            Self::Expect { .. } => "check the entry under `expect` of the table in the pipeline file",
            Self::Unmet { .. } => {
                "mend the row where it comes from, or let it go on with otherwise = \"reject\" or \"warn\""
            }
            Self::SortType { .. } => "sort by a column of numbers, text, dates or instants",
            Self::DeriveType { .. } => {
                "year, month and date are parts of dates and timestamps, hour of timestamps; bucket takes text, whole numbers, decimals, dates and timestamps"
            }
            Self::DerivedColumn { .. } => "rename the derived column, or leave the column out of the rows",
            Self::PartitionsDiffer { .. } => "set partition_by as the table has it, or write to a new table",
            Self::NewColumn { .. } => "allow it with contract = { new_column = \"evolve\" }, or leave the column out",
            Self::MissingColumn { .. } => "allow it with contract = { missing_column = \"null_value\" }",
            Self::Frozen { kept: "its columns", .. } => {
                "declare the field in the source's columns, or keep it aside with contract = { new_column = \"null_value\" }"
            }
            Self::Frozen { kept: "all of its columns", .. } => {
                "allow it with contract = { missing_column = \"null_value\" }"
            }
            Self::TypeChange { .. } | Self::Frozen { .. } => {
                "a table's column keeps its type: use contract = { type_change = \"reject_row\" } or \"null_value\", or write to a new table"
            }
            Self::NotCreated { .. } => "run the pipeline that writes it first",
            Self::Feature { .. } => "turn the feature off in the tool that made the table, or copy the table",
            Self::MixedPositions { .. } => {
                "two runs of the same pipeline read different lanes at the same time; stop one of them"
            }
            Self::Overtaken { .. } => {
                "let one run of a pipeline write a lake at a time; nothing was lost, and the next run continues"
            }
            Self::Shared { .. } => "give one of the two hops another name, or its pipeline another lake",
            Self::Removed { .. } => {
                "say on the hop what becomes of them: on_deletes = \"follow\" takes the removed rows away downstream, \"skip\" leaves that version out"
            }
            Self::LogGone { .. } => "read the whole table once into a new one",
            Self::SumType { .. } => {
                "sum up integers, decimals or floats; the table keeps them as 64-bit integers, decimals of 38 digits or 64-bit floats"
            }
            Self::Overflow { .. } => "sum up a decimal column, or by a finer key",
            Self::NegativeCount { .. } => {
                "the upstream took away rows that this table never had: rebuild the table from the beginning"
            }
            Self::PartitionValue { .. } | Self::Vector { .. } => {
                "the table was damaged or written by another tool; check that file's entry"
            }
            Self::Store(error) => return error.hint(),
            _ if is_forbidden(self.causes()) => FORBIDDEN,
            _ if self.is_out_of_handles() => TOO_MANY_FILES,
            Self::Delta { .. } | Self::Parquet { .. } => io_hint(io_kind(self.causes())?)?,
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
