//! What rows say of themselves besides their values: which change of an upstream table they are,
//! and that they delete.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::error::DeltaError;
use super::schema::find;
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::plan::DeleteWhen;

/// What Delta calls a row that a change added.
pub(super) const INSERT: &str = "insert";
/// A row as it was before a change.
pub(super) const BEFORE: &str = "update_preimage";
/// A row as a change left it.
pub(super) const AFTER: &str = "update_postimage";
/// A row that a change removed.
pub(super) const DELETE: &str = "delete";

/// The weight of a row that `delete_when` names. It deletes what has its key and is not newer; a row of weight
/// -1 only says that itself is there no more.
pub(super) const DELETES: i64 = i64::MIN;

/// Whether a column speaks of the change that a row is: the host says so, whatever it is called.
fn is_mark(field: &Field) -> bool {
    matches!(SystemColumn::of(field), Some(SystemColumn::Weight | SystemColumn::ChangeType))
}

/// The columns of `schema` that are the row itself.
pub(super) fn without(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| is_mark(field)) {
        return Arc::clone(schema);
    }
    let own: Vec<_> = schema.fields().iter().filter(|field| !is_mark(field)).cloned().collect();
    Arc::new(Schema::new(own))
}

/// 1 for a kind of change that puts a row in place, -1 for one that takes it away.
pub(super) fn weight_of(change: &str) -> i64 {
    if change == BEFORE || change == DELETE { -1 } else { 1 }
}

/// The rows themselves, and the weight of each where there are any but 1: from the host's `_weight`, else
/// from its `_change_type`, and [`DELETES`] for those that `delete_when` names.
pub(super) fn split(
    table: &str,
    known: &Schema,
    rows: &RecordBatch,
    delete_when: Option<&DeleteWhen>,
) -> Result<(RecordBatch, Option<Int64Array>), DeltaError> {
    let failed = || DeltaError::arrow("read the marks of rows", table);
    // A weight that is no number must not count as one.
    let strictly = CastOptions { safe: false, ..CastOptions::default() };
    let mut weights: Option<Vec<i64>> = None;
    if let Some(column) = SystemColumn::Weight.values(rows) {
        let column = cast_with_options(column, &DataType::Int64, &strictly).map_err(failed())?;
        weights = Some(column.as_primitive::<Int64Type>().iter().map(|weight| weight.unwrap_or(1)).collect());
    } else if let Some(column) = SystemColumn::ChangeType.values(rows) {
        let column = cast_with_options(column, &DataType::Utf8, &strictly).map_err(failed())?;
        weights = Some(column.as_string::<i32>().iter().map(|change| change.map_or(1, weight_of)).collect());
    }
    if let Some(rule) = delete_when {
        match find(rows.schema_ref(), &rule.column) {
            Some(index) => {
                let column = cast_with_options(rows.column(index), &DataType::Utf8, &strictly).map_err(failed())?;
                let weights = weights.get_or_insert_with(|| vec![1; rows.num_rows()]);
                for (weight, text) in weights.iter_mut().zip(column.as_string::<i32>()) {
                    // A row that is there no more deletes nothing but itself, whatever it says.
                    if *weight > 0 && text.is_some_and(|text| rule.is.iter().any(|value| value == text)) {
                        *weight = DELETES;
                    }
                }
            }
            // Rows without the table's column have null in it, which deletes nothing.
            None if find(known, &rule.column).is_some() => {}
            None => {
                return Err(DeltaError::NoSuchColumn {
                    table: table.to_owned(),
                    column: rule.column.clone(),
                    role: "delete_when",
                });
            }
        }
    }
    let own: Vec<usize> = (0..rows.num_columns()).filter(|index| !is_mark(rows.schema_ref().field(*index))).collect();
    let rows = if own.len() == rows.num_columns() { rows.clone() } else { rows.project(&own).map_err(failed())? };
    Ok((rows, weights.filter(|weights| weights.iter().any(|weight| *weight != 1)).map(Int64Array::from)))
}

/// How many rows each row stands for, where it says so itself in the column that counts them: a
/// module may have added rows up already. Null counts one, and what is taken away counts less.
pub(super) fn counts(
    table: &str,
    count: &str,
    rows: &RecordBatch,
    weights: Option<&Int64Array>,
) -> Result<Option<Int64Array>, DeltaError> {
    let Some(index) = find(rows.schema_ref(), count) else { return Ok(None) };
    let column = rows.column(index).as_primitive_opt::<Int64Type>().ok_or_else(|| DeltaError::SumType {
        table: table.to_owned(),
        column: count.to_owned(),
        data_type: rows.column(index).data_type().clone(),
    })?;
    let overflow = || DeltaError::Overflow { table: table.to_owned(), column: count.to_owned() };
    let each = column.iter().enumerate().map(|(row, count)| {
        let weight = weights.map_or(1, |weights| weights.value(row));
        count.unwrap_or(1).checked_mul(weight).ok_or_else(overflow)
    });
    each.collect::<Result<Vec<i64>, _>>().map(|counts| Some(Int64Array::from(counts)))
}
