//! Adds the system columns to a source's rows.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, FieldRef, Schema};

use sluicebox_core::batch::Lane;
use sluicebox_core::columns::SystemColumn;
use sluicebox_formats::{FormatError, Numbers};

/// Decoded rows, records of these numbers, with `_lane` and `_position` after their own columns.
pub(super) fn stamp(rows: &RecordBatch, numbers: Numbers, lane: &Lane) -> Result<RecordBatch, FormatError> {
    let count = rows.num_rows();
    let positions: Int64Array = match numbers {
        Numbers::From(first) => (first as i64..first as i64 + count as i64).collect(),
        Numbers::Each(numbers) => numbers.into_iter().map(|number| number as i64).collect(),
    };
    with_columns(rows, lane, positions)
}

/// Adds a lane and these positions to `rows`.
pub(crate) fn with_columns(rows: &RecordBatch, lane: &Lane, positions: Int64Array) -> Result<RecordBatch, FormatError> {
    let mut fields: Vec<FieldRef> = rows.schema().fields().to_vec();
    fields.extend(system_fields());
    let mut arrays = rows.columns().to_vec();
    arrays.push(lanes(lane, rows.num_rows()));
    arrays.push(Arc::new(positions));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(FormatError::Rows)
}

/// A batch without rows that only advances a position.
pub(crate) fn no_rows() -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::new(system_fields().to_vec())))
}

fn system_fields() -> [FieldRef; 2] {
    let lane = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let lane = SystemColumn::Lane.mark(Field::new(SystemColumn::Lane.name(), lane, false));
    [Arc::new(lane), Arc::new(SystemColumn::Position.field().with_nullable(false))]
}

fn lanes(lane: &Lane, rows: usize) -> ArrayRef {
    let keys = Int32Array::from(vec![0; rows]);
    let values = StringArray::from(vec![lane.as_ref()]);
    // All keys point to the one value.
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
}
