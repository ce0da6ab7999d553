//! Rows inside a hop: slices for the sandbox, and system columns added or removed.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use super::quarantine::UNKNOWN_POSITION;
use sluicebox_core::batch::{Lane, Reject, Stage};
use sluicebox_core::columns::{SystemColumn, SystemNames, relabelled};
use sluicebox_core::reject::Reason;
use sluicebox_formats as format;

/// Rows of one call of a module. More rows fall out of the processor's cache and are slower per row; fewer pay more
/// for the call.
const ROWS_PER_PUSH: usize = 8_192;

/// Bytes of one call of a module, for large rows.
const BYTES_PER_PUSH: usize = 4 << 20;

/// Splits rows into slices for one call each.
pub fn slices(rows: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let total = rows.num_rows();
    let per_row = rows.get_array_memory_size() / total.max(1);
    let step = (BYTES_PER_PUSH / per_row.max(1)).clamp(1, ROWS_PER_PUSH);
    (0..total).step_by(step).map(move |from| rows.slice(from, step.min(total - from)))
}

/// Rows without the system columns: quarantine has its own.
pub fn without_origin(rows: &RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let is_origin =
        |at: usize| SystemColumn::of(schema.field(at)).is_some_and(|own| SystemColumn::ORIGINS.contains(&own));
    let kept: Vec<usize> = (0..rows.num_columns()).filter(|at| !is_origin(*at)).collect();
    rows.project(&kept).expect("every index is of a column of these rows")
}

/// Rows with `_ingested_at`.
pub fn with_ingested_at(rows: &RecordBatch, now: DateTime<Utc>) -> RecordBatch {
    let column: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), rows.num_rows()).with_timezone("UTC"));
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(SystemColumn::IngestedAt.field()));
    let mut columns = rows.columns().to_vec();
    columns.push(column);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .expect("the new column has the type of its field and a value for every row")
}

/// The columns of a table's changes: its own, and those that say what becomes of each row.
pub fn with_marks(table: &SchemaRef, names: &SystemNames) -> SchemaRef {
    let mut fields = table.fields().to_vec();
    fields.extend(CHANGE_MARKS.map(|mark| Arc::new(names.field(mark))));
    Arc::new(Schema::new(fields))
}

/// The columns that say what becomes of each row of a table's changes.
pub const CHANGE_MARKS: [SystemColumn; 2] = [SystemColumn::ChangeType, SystemColumn::Weight];

/// A table's changes, in which what becomes of each row is said under the pipeline's names.
pub fn with_named_marks(changes: RecordBatch, names: &SystemNames) -> RecordBatch {
    let is_mark = |field: &FieldRef| SystemColumn::of(field).is_some_and(|own| CHANGE_MARKS.contains(&own));
    let right = |field: &FieldRef| SystemColumn::of(field).is_some_and(|own| *field.name() == names.name(own));
    let schema = changes.schema();
    if schema.fields().iter().all(|field| !is_mark(field) || right(field)) {
        return changes;
    }
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| match SystemColumn::of(field).filter(|own| CHANGE_MARKS.contains(own)) {
            Some(mark) => Arc::new(names.field(mark)),
            None => field.clone(),
        })
        .collect();
    relabelled(&changes, Arc::new(Schema::new(fields)))
}

/// Rejects of these rows, with lane, position and payload; the caller sets reason and message. Rows without `_lane`
/// come from `upstream`.
pub fn describe(rows: &RecordBatch, indexes: &[usize], upstream: &Lane, stage: &Stage) -> Vec<Reject> {
    let lanes = SystemColumn::Lane.values(rows).and_then(|lanes| arrow_cast::cast(lanes, &DataType::Utf8).ok());
    let positions = SystemColumn::Position.values(rows);
    let positions = positions.and_then(|positions| positions.as_primitive_opt::<Int64Type>().cloned());
    indexes
        .iter()
        .zip(format::rows_as_json(&without_origin(rows), indexes))
        .map(|(row, payload)| Reject {
            lane: match &lanes {
                Some(lanes) if !lanes.is_null(*row) => Lane::from(lanes.as_string::<i32>().value(*row)),
                _ => upstream.clone(),
            },
            position: match &positions {
                Some(positions) if !positions.is_null(*row) => positions.value(*row),
                _ => UNKNOWN_POSITION,
            },
            line: None,
            reason: Reason::Module(String::new()),
            message: String::new(),
            stage: stage.clone(),
            payload,
        })
        .collect()
}

/// Lane and positions of rows, for errors about all of them.
pub fn origin_of(rows: &RecordBatch) -> Option<String> {
    let lanes = arrow_cast::cast(SystemColumn::Lane.values(rows)?, &DataType::Utf8).ok()?;
    let positions = SystemColumn::Position.values(rows)?.as_primitive_opt::<Int64Type>()?;
    let lane = lanes.as_string_opt::<i32>().filter(|lanes| !lanes.is_empty() && lanes.is_valid(0))?.value(0);
    Some(format!(" at record {} of `{lane}`", positions.value(0)))
}
