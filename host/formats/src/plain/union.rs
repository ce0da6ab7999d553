//! Converts unions to text, because no table has values of several types.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StringArray, StructArray, UnionArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, DataType, Field, FieldRef};

/// Whether there is a union in `kind`.
pub(crate) fn has_union(kind: &DataType) -> bool {
    match kind {
        DataType::Union(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_union(field.data_type())),
        DataType::List(field) | DataType::Map(field, _) => has_union(field.data_type()),
        _ => false,
    }
}

/// Replaces every union in an array by text: strings as they are, bytes as text if they are UTF-8 and in hexadecimal
/// if not, others as they are displayed.
pub(super) fn flatten(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_union(array.data_type()) {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Union(..) => Arc::new(texts(array.as_union())?),
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let items = flatten(lists.values())?;
            Arc::new(ListArray::try_new(like(item, &items), lists.offsets().clone(), items, lists.nulls().cloned())?)
        }
        DataType::Map(field, sorted) => {
            let maps = array.as_map();
            let entries: ArrayRef = Arc::new(maps.entries().clone());
            let entries = flatten(&entries)?;
            let field = like(field, &entries);
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            Arc::new(MapArray::try_new(field, offsets, entries.as_struct().clone(), nulls, *sorted)?)
        }
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns = structs.columns().iter().map(flatten).collect::<Result<Vec<_>, _>>()?;
            let fields = fields.iter().zip(&columns).map(|(field, column)| like(field, column)).collect();
            Arc::new(StructArray::try_new_with_length(fields, columns, structs.nulls().cloned(), structs.len())?)
        }
        _ => array.clone(),
    })
}

/// `field` with the array's type. A union may have nulls without being nullable.
fn like(field: &FieldRef, array: &ArrayRef) -> FieldRef {
    let nullable = field.is_nullable() || matches!(field.data_type(), DataType::Union(..));
    Arc::new(Field::new(field.name(), array.data_type().clone(), nullable))
}

fn texts(union: &UnionArray) -> Result<StringArray, ArrowError> {
    let mut texts = StringBuilder::new();
    for row in 0..union.len() {
        let value = union.value(row);
        if value.is_null(0) || value.data_type().is_null() {
            texts.append_null();
            continue;
        }
        let bytes = value.as_binary_opt::<i32>().map(|bytes| bytes.value(0));
        match bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            Some(text) => texts.append_value(text),
            None => texts.append_value(array_value_to_string(&flatten(&value)?, 0)?),
        }
    }
    Ok(texts.finish())
}
