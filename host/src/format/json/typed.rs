//! Decoded text to the declared types, exactly as for CSV.
//!
//! The JSON decoder cuts off the fraction of a number for a column of whole numbers and
//! rounds decimals, and one wrong value fails its whole batch. So it gives text for every
//! scalar, and the types are made here, value by value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::format::value;

/// The columns as the decoder gives them: all nullable, with text for every scalar.
pub(super) fn as_text(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(text_field).collect();
    Arc::new(Schema::new(fields))
}

fn text_field(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(text_field).collect()),
        DataType::List(item) => DataType::List(text_field(item)),
        DataType::Map(..) => field.data_type().clone(),
        _ => DataType::Utf8,
    };
    Arc::new(Field::new(field.name(), kind, true))
}

/// Whether JSON can be read into that type.
pub(super) fn readable(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(fields) => fields.iter().all(|field| readable(field.data_type())),
        DataType::List(item) => readable(item.data_type()),
        DataType::Map(..)
        | DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..)
        | DataType::Timestamp(TimeUnit::Microsecond, _) => true,
        _ => false,
    }
}

/// A value that is not of its type: where, and as it is written.
#[derive(Debug)]
pub(super) struct BadValue {
    /// The row.
    pub(super) row: usize,
    /// The text.
    pub(super) text: String,
}

/// `array`, whose scalars are text, as `kind`. What is not readable is null and in `bad`.
pub(super) fn typed(array: &ArrayRef, kind: &DataType, bad: &mut Vec<BadValue>) -> Result<ArrayRef, ArrowError> {
    Ok(match kind {
        DataType::Int8 => integers::<Int8Type>(array, bad),
        DataType::Int16 => integers::<Int16Type>(array, bad),
        DataType::Int32 => integers::<Int32Type>(array, bad),
        DataType::Int64 => Arc::new(values::<Int64Type>(array, bad, value::integer)),
        DataType::Float32 => {
            Arc::new(values::<Float32Type>(array, bad, |text| std::str::from_utf8(text).ok()?.parse().ok()))
        }
        DataType::Float64 => Arc::new(values::<Float64Type>(array, bad, value::float)),
        DataType::Date32 => Arc::new(values::<Date32Type>(array, bad, value::date)),
        DataType::Timestamp(_, zone) => {
            Arc::new(values::<TimestampMicrosecondType>(array, bad, value::timestamp).with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let values = values::<Decimal128Type>(array, bad, |text| value::decimal(text, *precision, *scale));
            Arc::new(values.with_data_type(kind.clone()))
        }
        DataType::Boolean => booleans(array, bad),
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns = structs
                .columns()
                .iter()
                .zip(fields)
                .map(|(column, field)| typed(column, field.data_type(), bad))
                .collect::<Result<Vec<_>, _>>()?;
            let fields = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, structs.nulls().cloned(), structs.len())?)
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let mut bad_items = Vec::new();
            let items = typed(lists.values(), item.data_type(), &mut bad_items)?;
            for item in bad_items {
                // The list that the item is in: the last one that begins at or before it.
                let row = lists.value_offsets().partition_point(|offset| *offset as usize <= item.row) - 1;
                bad.push(BadValue { row, text: item.text });
            }
            let item = Arc::new(item.as_ref().clone().with_nullable(true));
            Arc::new(ListArray::try_new(item, lists.offsets().clone(), items, lists.nulls().cloned())?)
        }
        DataType::Binary => {
            let (offsets, values, nulls) = array.as_string::<i32>().clone().into_parts();
            Arc::new(BinaryArray::try_new(offsets, values, nulls)?)
        }
        _ => array.clone(),
    })
}

fn integers<T>(array: &ArrayRef, bad: &mut Vec<BadValue>) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    Arc::new(values::<T>(array, bad, |text| T::Native::try_from(value::integer(text)?).ok()))
}

fn values<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    bad: &mut Vec<BadValue>,
    read: impl Fn(&[u8]) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    let texts = array.as_string::<i32>();
    texts.iter().enumerate().map(|(row, text)| read_one(row, text?, bad, &read)).collect()
}

fn booleans(array: &ArrayRef, bad: &mut Vec<BadValue>) -> ArrayRef {
    let texts = array.as_string::<i32>();
    let values: BooleanArray =
        texts.iter().enumerate().map(|(row, text)| read_one(row, text?, bad, value::boolean)).collect();
    Arc::new(values)
}

#[inline]
fn read_one<V>(row: usize, text: &str, bad: &mut Vec<BadValue>, read: impl Fn(&[u8]) -> Option<V>) -> Option<V> {
    let value = read(text.as_bytes()).or_else(|| read(text.trim().as_bytes()));
    if value.is_none() {
        bad.push(BadValue { row, text: text.to_owned() });
    }
    value
}
