//! Parses payloads of quarantine as rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use sluicebox_core::batch::Reject;
use sluicebox_core::columns::SystemColumn;
use sluicebox_formats as format;

/// Parsed rows, and payloads that could not be parsed.
pub struct Typed {
    /// The rows, with the columns asked for.
    pub rows: RecordBatch,
    /// The index of the payload of each row.
    pub taken: Vec<usize>,
    /// Payloads that could not be parsed, and why.
    pub bad: Vec<(usize, String)>,
}

impl Typed {
    /// Leaves out deletions.
    pub fn keep_present(&mut self) -> Result<(), ArrowError> {
        let Some(weights) = SystemColumn::Weight.values(&self.rows) else { return Ok(()) };
        let weights = arrow_cast::cast(weights, &DataType::Int64)?;
        let weights = weights.as_primitive::<Int64Type>();
        let keep: BooleanArray = weights.iter().map(|weight| Some(weight.is_none_or(|weight| weight >= 0))).collect();
        self.rows = arrow_select::filter::filter_record_batch(&self.rows, &keep)?;
        let mut keep = keep.values().iter();
        self.taken.retain(|_| keep.next() == Some(true));
        Ok(())
    }
}

/// Parses JSON payloads as rows of `schema`. Lane and position are those of the quarantine. Rows of a source get
/// `landed` as their time; for other rows that time is unknown and null.
pub fn typed(rejects: &[&Reject], schema: &SchemaRef, landed: Option<DateTime<Utc>>) -> Result<Typed, ArrowError> {
    let origin = |field: &Field| SystemColumn::of(field).filter(|own| SystemColumn::ORIGINS.contains(own));
    let inner: Vec<_> = schema.fields().iter().filter(|field| origin(field).is_none()).cloned().collect();
    let inner: SchemaRef = Arc::new(Schema::new(inner));
    let all: Vec<usize> = (0..rejects.len()).collect();
    let lines = |chosen: &[usize]| {
        chosen.iter().flat_map(|index| rejects[*index].payload.iter().copied().chain([b'\n'])).collect::<Vec<u8>>()
    };
    let read = |chosen: &[usize]| match format::rows_from_json(&lines(chosen), &inner) {
        Ok(rows) if rows.num_rows() == chosen.len() => Ok(rows),
        Ok(rows) => Err(format!("the payload is {} rows", rows.num_rows())),
        Err(error) => Err(error.to_string()),
    };
    let (mut parts, mut taken, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    match read(&all) {
        Ok(rows) => (parts, taken) = (vec![rows], all),
        // One payload is wrong. Each is parsed alone to find it.
        Err(_) => {
            for index in all {
                match read(&[index]) {
                    Ok(rows) => {
                        parts.push(rows);
                        taken.push(index);
                    }
                    Err(why) => bad.push((index, why)),
                }
            }
        }
    }
    let decoded = arrow_select::concat::concat_batches(&inner, &parts)?;
    let rows = taken.len();
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef, ArrowError> {
        let made: ArrayRef = match origin(field) {
            Some(SystemColumn::Lane) => {
                Arc::new(StringArray::from_iter_values(taken.iter().map(|index| &*rejects[*index].lane)))
            }
            Some(SystemColumn::Position) => {
                Arc::new(taken.iter().map(|index| rejects[*index].position).collect::<Int64Array>())
            }
            Some(_) => match landed {
                Some(now) => {
                    Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), rows).with_timezone("UTC"))
                }
                None => new_null_array(field.data_type(), rows),
            },
            None => {
                decoded.column_by_name(field.name()).cloned().unwrap_or_else(|| new_null_array(&DataType::Null, rows))
            }
        };
        if made.data_type() == field.data_type() { Ok(made) } else { arrow_cast::cast(&made, field.data_type()) }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(Typed { rows: RecordBatch::try_new_with_options(schema.clone(), columns, &options)?, taken, bad })
}
