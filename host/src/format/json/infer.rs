//! Columns from a sample of JSON lines.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::{Front, Lines, object};
use crate::format::plain::plain_type;
use crate::format::text::Text;
use crate::format::{FormatError, SAMPLE_RECORDS, is_system_column};

/// The fields of the first records, in the order in which they first appear. Lines that are
/// not objects do not count; they are bad records when the file is read.
pub(in crate::format) fn infer(text: Text) -> Result<SchemaRef, FormatError> {
    let (mut lines, _) = Lines::new(text);
    let mut sample = Vec::new();
    let mut order: Vec<String> = Vec::new();
    while sample.len() < SAMPLE_RECORDS {
        let front = lines.front(SAMPLE_RECORDS - sample.len());
        match front.map_err(|source| FormatError::Read {
            done: sample.len() as u64,
            source,
        })? {
            Front::End => break,
            Front::TooLong(..) => {}
            Front::Lines(found, bytes, count) => {
                for line in found {
                    let text = &lines.bytes()[line.place];
                    let Ok(value @ serde_json::Value::Object(_)) = serde_json::from_slice(text)
                    else {
                        continue;
                    };
                    for (key, _) in object::fields(text).unwrap_or_default() {
                        if let Some(name) = object::name(key)
                            && !order.contains(&name)
                        {
                            order.push(name);
                        }
                    }
                    sample.push(value);
                }
                lines.take(bytes, count);
            }
        }
    }
    let inferred = arrow_json::reader::infer_json_schema_from_iterator(
        sample.iter().map(Ok::<_, arrow_schema::ArrowError>),
    )
    .map_err(FormatError::Infer)?;
    // The inferred order is that of a hash map.
    let fields: Vec<FieldRef> = order
        .iter()
        .filter(|name| !is_system_column(name))
        .filter_map(|name| inferred.fields().find(name))
        .map(|(_, field)| {
            Arc::new(Field::new(
                field.name(),
                settled(&plain_type(field.data_type())),
                true,
            ))
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The same type with struct fields in alphabetical order, and no struct without fields.
fn settled(kind: &DataType) -> DataType {
    match kind {
        DataType::Struct(fields) if fields.is_empty() => DataType::Utf8,
        DataType::Struct(fields) => {
            let mut fields: Vec<FieldRef> = fields
                .iter()
                .map(|field| Arc::new(Field::new(field.name(), settled(field.data_type()), true)))
                .collect();
            fields.sort_by(|one, other| one.name().cmp(other.name()));
            DataType::Struct(fields.into())
        }
        DataType::List(item) => DataType::List(Arc::new(Field::new(
            item.name(),
            settled(item.data_type()),
            true,
        ))),
        other => other.clone(),
    }
}
