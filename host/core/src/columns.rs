//! The columns that the host adds to rows, and how they are told from data.
//!
//! Data may have columns of any name, `_lane` and `_weight` included. A column is the host's because
//! the host made it, and says so in its field's metadata under [`MARK`]; the mark is kept in the schemas
//! of tables. Metadata that comes with foreign bytes is taken off where they are decoded.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

/// The key of a field's metadata whose value is the [`SystemColumn::word`] of what the column is.
pub const MARK: &str = "sluicebox.system";

/// The key of a field's metadata whose value is what the column is called where it comes from, if the
/// host lands it under another name.
pub const ORIGIN: &str = "sluicebox.origin";

/// A column that the host adds to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemColumn {
    /// `Dictionary(Int32, Utf8)` in memory, `Utf8` in a table: the lane that a row came from.
    Lane,
    /// `Int64`: the row's own position in its lane.
    Position,
    /// `Timestamp(µs, UTC)`: when the host landed the row.
    IngestedAt,
    /// `Utf8`, a JSON object: fields outside of the table's contract.
    Rescued,
    /// `Binary`: the original bytes of the row, where the source keeps them.
    Raw,
    /// `Binary`: the key of the message that the row was.
    Key,
    /// `Utf8`, a JSON list of `{"key": …, "value": …}`: the headers of the message that the row was.
    /// What is not text is `base64` instead of `value`.
    Headers,
    /// `Timestamp(µs, UTC)`: when the message was made, or when the broker got it.
    Timestamp,
    /// `Utf8`: what a row of a table's changes does, in Delta's words: `insert`, `update_preimage`,
    /// `update_postimage`, `delete`.
    ChangeType,
    /// `Int64`: 1 for a row that a change put in place, -1 for one that it took away.
    Weight,
    /// `UInt32`: in an emitted pass-through batch, the input row that an output row continues. It is
    /// part of the contract with modules and in no table.
    Row,
}

impl SystemColumn {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Lane,
        Self::Position,
        Self::IngestedAt,
        Self::Rescued,
        Self::Raw,
        Self::Key,
        Self::Headers,
        Self::Timestamp,
        Self::ChangeType,
        Self::Weight,
        Self::Row,
    ];

    /// The columns that say where a row came from, which quarantine has columns of its own for.
    pub const ORIGINS: [Self; 3] = [Self::Lane, Self::Position, Self::IngestedAt];

    /// Its name without the prefix.
    pub const fn word(self) -> &'static str {
        // The name is the word behind one `_`.
        let (_, word) = self.name().split_at(1);
        word
    }

    /// Its name where the pipeline sets no other prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lane => "_lane",
            Self::Position => "_position",
            Self::IngestedAt => "_ingested_at",
            Self::Rescued => "_rescued",
            Self::Raw => "_raw",
            Self::Key => "_key",
            Self::Headers => "_headers",
            Self::Timestamp => "_timestamp",
            Self::ChangeType => "_change_type",
            Self::Weight => "_weight",
            Self::Row => "_row",
        }
    }

    /// Its type in a table.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Lane | Self::Rescued | Self::Headers | Self::ChangeType => DataType::Utf8,
            Self::Position | Self::Weight => DataType::Int64,
            Self::IngestedAt | Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Raw | Self::Key => DataType::Binary,
            Self::Row => DataType::UInt32,
        }
    }

    /// The column as tables have it: nullable, marked, under its standard name.
    pub fn field(self) -> Field {
        self.mark(Field::new(self.name(), self.data_type(), true))
    }

    /// `field`, known to be this column.
    pub fn mark(self, field: Field) -> Field {
        let mut metadata = field.metadata().clone();
        metadata.insert(MARK.to_owned(), self.word().to_owned());
        field.with_metadata(metadata)
    }

    /// What the host says that `field` is; `None` for data.
    pub fn of(field: &Field) -> Option<Self> {
        let word = field.metadata().get(MARK)?;
        Self::ALL.into_iter().find(|column| column.word() == word)
    }

    /// Its place in `schema`.
    pub fn find(self, schema: &Schema) -> Option<usize> {
        schema.fields().iter().position(|field| Self::of(field) == Some(self))
    }

    /// Its values in `rows`.
    pub fn values(self, rows: &RecordBatch) -> Option<&ArrayRef> {
        self.find(rows.schema_ref()).map(|index| rows.column(index))
    }
}

/// What a pipeline calls the columns that the host adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemNames {
    prefix: Arc<str>,
}

impl SystemNames {
    /// Names that begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// What stands before the word.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of `column`.
    pub fn name(&self, column: SystemColumn) -> String {
        format!("{}{}", self.prefix, column.word())
    }

    /// The column as tables have it, under this pipeline's name.
    pub fn field(&self, column: SystemColumn) -> Field {
        column.field().with_name(self.name(column))
    }

    /// The column that has that name in this pipeline.
    pub fn named(&self, name: &str) -> Option<SystemColumn> {
        let word = name.strip_prefix(&*self.prefix)?;
        SystemColumn::ALL.into_iter().find(|column| column.word() == word)
    }

    /// `schema` with the host's columns under this pipeline's names.
    pub fn rename(&self, schema: &SchemaRef) -> SchemaRef {
        let right = |field: &Field| SystemColumn::of(field).is_none_or(|column| *field.name() == self.name(column));
        if schema.fields().iter().all(|field| right(field)) {
            return schema.clone();
        }
        let fields: Vec<FieldRef> = schema
            .fields()
            .iter()
            .map(|field| match SystemColumn::of(field) {
                Some(column) if !right(field) => Arc::new(field.as_ref().clone().with_name(self.name(column))),
                _ => field.clone(),
            })
            .collect();
        Arc::new(Schema::new(fields))
    }
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::new("_")
    }
}

/// What `field` keeps of its metadata in a table: what the host says of it.
pub fn kept_metadata(field: &Field) -> HashMap<String, String> {
    let ours = field.metadata().iter().filter(|(key, _)| *key == MARK || *key == ORIGIN);
    ours.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// `schema` as data: without anything that bytes from elsewhere say in the host's words.
pub fn unmarked(schema: &SchemaRef) -> SchemaRef {
    let claims = |field: &FieldRef| field.metadata().contains_key(MARK) || field.metadata().contains_key(ORIGIN);
    if !schema.fields().iter().any(claims) {
        return schema.clone();
    }
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut metadata = field.metadata().clone();
            metadata.retain(|key, _| key != MARK && key != ORIGIN);
            Arc::new(field.as_ref().clone().with_metadata(metadata))
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The same rows under another schema, whose fields differ from theirs in nothing but names and metadata.
///
/// # Panics
/// The schema has other types.
pub fn relabelled(rows: &RecordBatch, schema: SchemaRef) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema, rows.columns().to_vec(), &options)
        .expect("the columns have the types of the schema because the caller changed names and metadata alone")
}

/// A column's name as Delta tells names apart: without regard to the case of letters.
#[derive(Clone, Copy, Debug)]
pub struct ColumnName<'a>(pub &'a str);

impl PartialEq for ColumnName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
            || !(self.0.is_ascii() && other.0.is_ascii()) && self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl Eq for ColumnName<'_> {}

impl ColumnName<'_> {
    /// A key that is equal for equal names.
    pub fn key(self) -> String {
        self.0.to_lowercase()
    }

    /// Its place in `schema`: the very same name, or else the first equal one.
    pub fn find(self, schema: &Schema) -> Option<usize> {
        let fields = schema.fields();
        let same = fields.iter().position(|field| field.name() == self.0);
        same.or_else(|| fields.iter().position(|field| ColumnName(field.name()) == self))
    }
}

/// Whether two names are one column's.
pub fn same_column(a: &str, b: &str) -> bool {
    ColumnName(a) == ColumnName(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_known_by_its_mark_and_not_by_its_name() {
        for column in SystemColumn::ALL {
            let data = Field::new(column.name(), column.data_type(), true);
            assert_eq!(SystemColumn::of(&data), None);
            assert_eq!(SystemColumn::of(&column.field()), Some(column));
            let names = SystemNames::new("_sb_");
            let named = names.field(column);
            assert_eq!(SystemColumn::of(&named), Some(column));
            assert_eq!(names.named(named.name()), Some(column));
            assert_eq!(names.named(column.name()), None);
        }
    }

    #[test]
    fn what_foreign_bytes_claim_is_taken_off() {
        let forged: SchemaRef = Arc::new(Schema::new(vec![SystemColumn::Weight.field()]));
        assert_eq!(SystemColumn::Weight.find(&unmarked(&forged)), None);
    }

    #[test]
    fn letters_may_differ_in_case() {
        assert!(same_column("ÉTAT", "état") && same_column("Id", "ID") && !same_column("a", "b"));
    }
}
