//! Change data: the rows that a commit changed, in files of their own beside the table's.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Schema, SchemaRef};

use super::data_file::{Target, Written};
use super::error::DeltaError;
use super::partitioned_writer::PartitionedWriter;
use sluicebox_core::columns::SystemColumn;
use sluicebox_parquet_writer::Encodings;

/// The folder of change data, as Delta calls it.
const FOLDER: &str = "_change_data";

/// The columns of change data of a table of `schema`.
pub(super) fn feed_schema(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(SystemColumn::ChangeType.field()));
    Arc::new(Schema::new(fields))
}

/// Rows of a table with the change that each of them is.
pub(super) fn with_changes(table: &str, rows: &RecordBatch, changes: StringArray) -> Result<RecordBatch, DeltaError> {
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(changes));
    RecordBatch::try_new(feed_schema(&rows.schema()), columns).map_err(DeltaError::arrow("describe changes", table))
}

/// The change data of one commit in the making.
pub(super) struct ChangeDataWriter {
    files: PartitionedWriter,
    rows: usize,
}

impl ChangeDataWriter {
    /// For changes of rows of `schema`.
    pub(super) fn new(target: &Target, schema: &SchemaRef) -> Result<Self, DeltaError> {
        // What is learnt of a few changed rows is not true of the table's columns.
        let target = Target { below: Some(FOLDER), encodings: Encodings::default(), ..target.clone() };
        Ok(Self { files: PartitionedWriter::new(target, &feed_schema(schema))?, rows: 0 })
    }

    /// Adds rows of [`feed_schema`].
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        self.rows += rows.num_rows();
        self.files.write(rows)
    }

    /// Adds rows of the table that are all the same change.
    pub(super) fn write_all(&mut self, table: &str, rows: &RecordBatch, change: &str) -> Result<(), DeltaError> {
        let changes = StringArray::from(vec![change; rows.num_rows()]);
        self.write(&with_changes(table, rows, changes)?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The files that are complete, so that they can be removed.
    pub(super) fn complete_paths(&self) -> Vec<String> {
        self.files.complete_paths()
    }

    /// Completes the files.
    pub(super) fn finish(self) -> Result<Vec<Written>, DeltaError> {
        self.files.finish()
    }
}
