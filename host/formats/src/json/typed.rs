//! Decoded text to the declared types, exactly as for CSV.
//!
//! The JSON decoder cuts off the fraction of a number for a column of whole numbers and
//! rounds decimals, and one wrong value fails its whole batch. So it gives text for every
//! scalar, and the types are made here, value by value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};

use crate::reading::Reading;
use crate::scalar::{self, Exactness, Texts};

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
        DataType::Map(..) => true,
        other => scalar::readable(other),
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
pub(super) fn typed(
    array: &ArrayRef,
    kind: &DataType,
    exactness: Exactness,
    bad: &mut Vec<BadValue>,
) -> Result<ArrayRef, ArrowError> {
    if let Some(texts) = array.as_string_opt()
        && let Some(array) = scalar::column(&mut Strings { texts, bad }, kind, &Reading::default(), exactness)
    {
        return Ok(array);
    }
    Ok(match kind {
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns = structs
                .columns()
                .iter()
                .zip(fields)
                .map(|(column, field)| typed(column, field.data_type(), exactness, bad))
                .collect::<Result<Vec<_>, _>>()?;
            let fields = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, structs.nulls().cloned(), structs.len())?)
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let mut bad_items = Vec::new();
            let items = typed(lists.values(), item.data_type(), exactness, &mut bad_items)?;
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

/// A column of strings.
struct Strings<'a> {
    texts: &'a StringArray,
    bad: &'a mut Vec<BadValue>,
}

impl Strings<'_> {
    fn values<V>(&mut self, read: impl Fn(&[u8]) -> Option<V>) -> impl Iterator<Item = Option<V>> {
        let Self { texts, bad } = self;
        texts.iter().enumerate().map(move |(row, text)| {
            let text = text?;
            let value = read(text.as_bytes()).or_else(|| read(text.trim().as_bytes()));
            if value.is_none() {
                bad.push(BadValue { row, text: text.to_owned() });
            }
            value
        })
    }
}

impl Texts for Strings<'_> {
    fn numbers<T: ArrowPrimitiveType>(&mut self, read: impl Fn(&[u8]) -> Option<T::Native>) -> PrimitiveArray<T> {
        self.values(read).collect()
    }

    fn booleans(&mut self, read: impl Fn(&[u8]) -> Option<bool>) -> BooleanArray {
        self.values(read).collect()
    }
}
