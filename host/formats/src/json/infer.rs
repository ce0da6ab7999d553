//! Columns from a sample of JSON lines.

use std::sync::Arc;

use arrow_json::reader::infer_json_schema_from_iterator;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};

use super::lines::{Front, Lines};
use super::object;
use crate::plain::plain_type;
use crate::text::Text;
use crate::{FormatError, SAMPLE_RECORDS, is_system_column};

/// The fields of the first records, in the order in which they first appear. Lines that are
/// not objects do not count; they are bad records when the file is read.
pub(crate) fn infer(text: Text) -> Result<SchemaRef, FormatError> {
    let (mut lines, _) = Lines::new(text);
    let (mut sample, mut numbers) = (Vec::new(), Vec::new());
    let mut order: Vec<String> = Vec::new();
    while sample.len() < SAMPLE_RECORDS {
        let front = lines.front(SAMPLE_RECORDS - sample.len());
        match front.map_err(|source| FormatError::Read { done: sample.len() as u64, source })? {
            Front::End => break,
            Front::TooLong(..) => {}
            Front::Lines(found, bytes, count) => {
                for line in found {
                    let text = lines.text(&line);
                    let Ok(value @ serde_json::Value::Object(_)) = serde_json::from_slice(text) else {
                        continue;
                    };
                    for (key, _) in object::fields(text).unwrap_or_default() {
                        if let Some(name) = object::name(key)
                            && !order.iter().any(|known| *known == name)
                        {
                            order.push(name.into_owned());
                        }
                    }
                    sample.push(value);
                    numbers.push(line.number);
                }
                lines.take(bytes, count);
            }
        }
    }
    let inferred = together(&sample).map_err(|source| {
        // If some lines do not go together, more do not either: the first that breaks the
        // peace ends the shortest beginning that fails.
        let counts: Vec<usize> = (1..=sample.len()).collect();
        let fine = counts.partition_point(|count| together(&sample[..*count]).is_ok());
        FormatError::Infer { line: numbers[fine.min(numbers.len() - 1)], source }
    })?;
    // The inferred order is that of a hash map.
    let fields: Vec<FieldRef> = order
        .iter()
        .filter(|name| !is_system_column(name))
        .filter_map(|name| inferred.fields().find(name))
        .map(|(_, field)| Arc::new(Field::new(field.name(), settled(&plain_type(field.data_type())), true)))
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns that hold all of these objects.
fn together(objects: &[serde_json::Value]) -> Result<Schema, ArrowError> {
    infer_json_schema_from_iterator(objects.iter().map(Ok::<_, ArrowError>))
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
        DataType::List(item) => DataType::List(Arc::new(Field::new(item.name(), settled(item.data_type()), true))),
        other => other.clone(),
    }
}
