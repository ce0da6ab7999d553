//! The types of a Delta table, as Arrow.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};

use super::error::DeltaError;
use sluicebox_core::columns::{ColumnName, kept_metadata};

/// Delta's own limit for decimals.
const MAX_PRECISION: u8 = 38;

/// The one timestamp type that every reader of reader version 1 understands.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The schema of a table made for rows of `schema`: every column nullable and of a type
/// that Delta has. Columns of Arrow's null type are left out until they have a type.
///
/// # Errors
/// A column has a type or a name that Delta tables lack.
pub fn table_schema(table: &str, schema: &Schema) -> Result<SchemaRef, DeltaError> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if let Some(field) = table_field(field)? {
            fields.push(field);
        }
    }
    check_names(table, &fields)?;
    Ok(Arc::new(Schema::new(fields)))
}

/// A table's column for rows that have `field`; `None` for Arrow's null type.
pub(super) fn table_field(field: &Field) -> Result<Option<FieldRef>, DeltaError> {
    if field.data_type() == &DataType::Null {
        return Ok(None);
    }
    check_name(field.name())?;
    let data_type = table_type(field.name(), field.data_type())?;
    Ok(Some(Arc::new(Field::new(field.name(), data_type, true).with_metadata(kept_metadata(field)))))
}

/// The Delta type that holds every value of `data_type`.
fn table_type(column: &str, data_type: &DataType) -> Result<DataType, DeltaError> {
    use DataType as T;
    let unsupported = || DeltaError::UnsupportedType { column: column.to_owned(), data_type: data_type.clone() };
    Ok(match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Date32 => {
            data_type.clone()
        }
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 => T::Float32,
        T::Date64 => T::Date32,
        T::Timestamp(_, _) => timestamp(),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => {
            let fits = *precision <= MAX_PRECISION && *scale >= 0 && i16::from(*scale) <= i16::from(*precision);
            if !fits {
                return Err(unsupported());
            }
            T::Decimal128(*precision, *scale)
        }
        T::Dictionary(_, values) => table_type(column, values)?,
        T::RunEndEncoded(_, values) => table_type(column, values.data_type())?,
        T::Struct(fields) => {
            let mut children = Vec::with_capacity(fields.len());
            for field in fields {
                check_name(field.name())?;
                let path = format!("{column}.{}", field.name());
                if field.data_type() != &T::Null {
                    children.push(Field::new(field.name(), table_type(&path, field.data_type())?, true));
                }
            }
            if children.is_empty() {
                return Err(unsupported());
            }
            T::Struct(Fields::from(children))
        }
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            let item = table_type(&format!("{column}.element"), item.data_type())?;
            T::List(Arc::new(Field::new("element", item, true)))
        }
        T::Map(entries, _) => {
            let T::Struct(entry) = entries.data_type() else {
                return Err(unsupported());
            };
            let [key, value] = entry.as_ref() else {
                return Err(unsupported());
            };
            let key = table_type(&format!("{column}.key"), key.data_type())?;
            let value = table_type(&format!("{column}.value"), value.data_type())?;
            let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
            T::Map(Arc::new(Field::new("key_value", T::Struct(entry), false)), false)
        }
        T::Null | T::Time32(_) | T::Time64(_) | T::Duration(_) | T::Interval(_) | T::Union(_, _) => {
            return Err(unsupported());
        }
    })
}

/// Refuses names that Delta without column mapping and Parquet readers stumble on.
fn check_name(name: &str) -> Result<(), DeltaError> {
    match name.chars().find(|c| " ,;{}()\n\t=".contains(*c)) {
        Some(character) => Err(DeltaError::ColumnName { column: name.to_owned(), character }),
        None => Ok(()),
    }
}

/// Refuses names that differ at most in case, beside each other or in one struct: Delta takes them for one.
pub(super) fn check_names<'a>(table: &str, fields: impl IntoIterator<Item = &'a FieldRef>) -> Result<(), DeltaError> {
    match twin("", fields) {
        Some(column) => Err(DeltaError::DuplicateColumn { table: table.to_owned(), column }),
        None => Ok(()),
    }
}

/// The first field whose name another one has before it, at any depth, with its parents.
fn twin<'a>(above: &str, fields: impl IntoIterator<Item = &'a FieldRef>) -> Option<String> {
    let mut seen = HashSet::new();
    fields.into_iter().find_map(|field| {
        let path = format!("{above}{}", field.name());
        if !seen.insert(ColumnName(field.name()).key()) {
            return Some(path);
        }
        within(&path, field.data_type())
    })
}

fn within(path: &str, data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Struct(fields) => twin(&format!("{path}."), fields),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => within(&format!("{path}.element"), item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => entry.iter().find_map(|part| within(path, part.data_type())),
            _ => None,
        },
        _ => None,
    }
}

/// The position of a column in `schema`; names are equal when they differ only in case.
pub(super) fn find(schema: &Schema, name: &str) -> Option<usize> {
    ColumnName(name).find(schema)
}

/// A table's Delta schema as Arrow, with the field names that this program writes.
pub(super) fn from_delta(table: &str, schema: &StructType) -> Result<SchemaRef, DeltaError> {
    let arrow: Schema = schema.try_into_arrow().map_err(DeltaError::arrow("read the schema", table))?;
    let mut fields = Vec::with_capacity(arrow.fields().len());
    for field in arrow.fields() {
        // Naming the children of lists and maps alike spares a cast for every batch.
        let data_type = match field.data_type() {
            nested if nested.is_nested() => table_type(field.name(), nested)?,
            plain => plain.clone(),
        };
        let kept = Field::new(field.name(), data_type, field.is_nullable()).with_metadata(kept_metadata(field));
        fields.push(Arc::new(kept));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The Delta schema for an Arrow schema of this module.
pub(super) fn to_delta(table: &str, schema: &Schema) -> Result<StructType, DeltaError> {
    schema.try_into_kernel().map_err(DeltaError::arrow("write the schema", table))
}

/// The table's struct, or list of structs, with the children that the rows have and it does not;
/// `None` if it has all.
pub(super) fn merge_struct(known: &DataType, rows: &Field) -> Result<Option<DataType>, DeltaError> {
    if let (DataType::List(known), DataType::List(item)) = (known, rows.data_type()) {
        let merged = merge_struct(known.data_type(), item)?;
        return Ok(merged.map(|item| DataType::List(Arc::new(Field::new(known.name(), item, known.is_nullable())))));
    }
    let (DataType::Struct(known), DataType::Struct(_)) = (known, rows.data_type()) else {
        return Ok(None);
    };
    let Some(rows) = table_field(rows)? else {
        return Ok(None);
    };
    let DataType::Struct(found) = rows.data_type() else {
        return Ok(None);
    };
    let names = Schema::new(known.clone());
    let mut merged: Vec<FieldRef> = known.iter().cloned().collect();
    let mut changed = false;
    for field in found {
        match find(&names, field.name()) {
            None => {
                merged.push(Arc::clone(field));
                changed = true;
            }
            Some(position) => {
                let child = &merged[position];
                if let Some(data_type) = merge_struct(child.data_type(), field)? {
                    merged[position] = Arc::new(Field::new(child.name(), data_type, child.is_nullable()));
                    changed = true;
                }
            }
        }
    }
    Ok(changed.then(|| DataType::Struct(Fields::from(merged))))
}
