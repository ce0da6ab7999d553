//! Groups of rows, and scans of the rows of chosen groups.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::error::DeltaError;
use super::follow::rows_of;
use super::json;
use super::schema::find;
use super::table::Table;
use super::upsert::{Keys, Pruner};

/// A set of groups: distinct values of some columns.
pub struct Groups {
    table: String,
    fields: Vec<Field>,
    columns: Vec<String>,
    keys: Keys,
}

impl Groups {
    /// An empty set of groups by these columns of rows of `schema`. Null is a value like any other.
    ///
    /// # Errors
    /// A column is missing, or its type cannot be compared.
    pub fn new(table: &str, schema: &SchemaRef, columns: &[String]) -> Result<Self, DeltaError> {
        let fields = columns.iter().filter_map(|column| find(schema, column)).map(|at| schema.field(at).clone());
        let fields = fields.collect();
        let keys = Keys::new(table, schema, columns, "by")?;
        Ok(Self { table: table.to_owned(), fields, columns: columns.to_vec(), keys })
    }

    /// Adds the groups of these rows.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        self.keys.add(rows).map_err(self.failed())
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// Each group as a row, its columns under these names.
    pub fn rows(&self, names: &[String]) -> Result<RecordBatch, DeltaError> {
        let fields = self.fields.iter().zip(names).map(|(field, name)| field.clone().with_name(name));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = self.keys.arrays(0..self.keys.len()).map_err(self.failed())?;
        RecordBatch::try_new(schema, columns).map_err(self.failed())
    }

    /// The first of these rows that is in none of the groups, as text.
    pub fn stranger(&self, rows: &RecordBatch) -> Result<Option<String>, DeltaError> {
        let keys = self.keys.encode(rows).map_err(self.failed())?;
        let Some(row) = keys.iter().position(|key| self.keys.find(key.as_ref()).is_none()) else { return Ok(None) };
        let values = self.columns.iter().filter_map(|column| {
            let at = find(rows.schema_ref(), column)?;
            Some(format!("{column} = {}", json::value(rows.column(at), row)))
        });
        Ok(Some(values.collect::<Vec<_>>().join(", ")))
    }

    /// The rows that are in one of the groups.
    fn filter(&self, rows: &RecordBatch) -> Result<RecordBatch, DeltaError> {
        let keys = self.keys.encode(rows).map_err(self.failed())?;
        let held: BooleanArray = keys.iter().map(|key| Some(self.keys.find(key.as_ref()).is_some())).collect();
        if held.true_count() == rows.num_rows() {
            return Ok(rows.clone());
        }
        filter_record_batch(rows, &held).map_err(self.failed())
    }

    fn failed(&self) -> impl FnOnce(ArrowError) -> DeltaError + use<'_> {
        DeltaError::arrow("compare groups", &self.table)
    }
}

impl Table {
    /// The rows of this handle's version in these groups, with all columns. Files without such rows, according to the
    /// log, are not opened.
    pub async fn scan_groups(
        &self,
        groups: Groups,
    ) -> Result<BoxStream<'static, Result<RecordBatch, DeltaError>>, DeltaError> {
        if self.version().is_none() || groups.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let context = Arc::new(self.context()?);
        let pruner = Pruner::new(&groups.keys, &context.partition_by).map_err(groups.failed())?;
        let files = self.file_set()?.select(|file| pruner.may_hold(file));
        let rows = rows_of(context, files, self.known_schema()?.clone());
        let rows = rows.and_then(move |rows| std::future::ready(groups.filter(&rows)));
        Ok(rows.try_filter(|rows| std::future::ready(rows.num_rows() > 0)).boxed())
    }
}
