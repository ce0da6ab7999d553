//! Which fields a record has beyond the declared ones, and which of these it lacks, at any depth.

use arrow_schema::{DataType, FieldRef, Schema};
use serde_json::Value;

use super::object;

/// The first field of `record` that is not declared, with its parents.
pub(super) fn unknown(record: &[u8], declared: &Schema) -> Option<String> {
    for (key, value) in object::fields(record)? {
        let name = object::name(key)?;
        match declared.fields().find(&name) {
            None => return Some(name.into_owned()),
            Some((_, field)) => {
                if let Some(path) = below(value, field, unknown_in) {
                    return Some(path);
                }
            }
        }
    }
    None
}

/// The first declared field that `record` lacks, with its parents. One that is null is there.
pub(super) fn lacking(record: &[u8], declared: &Schema) -> Option<String> {
    let found = object::fields(record)?;
    let mut values = vec![None; declared.fields().len()];
    for (key, value) in found {
        if let Some((at, _)) = declared.fields().find(&object::name(key)?) {
            values[at] = Some(value);
        }
    }
    declared.fields().iter().zip(values).find_map(|(field, value)| match value {
        None => Some(field.name().clone()),
        Some(value) => below(value, field, lacking_in),
    })
}

/// What `find` finds in a nested value.
fn below(value: &[u8], field: &FieldRef, find: fn(&Value, &DataType, &str) -> Option<String>) -> Option<String> {
    if !field.data_type().is_nested() {
        return None;
    }
    find(&serde_json::from_slice(value).ok()?, field.data_type(), field.name())
}

fn unknown_in(value: &Value, kind: &DataType, path: &str) -> Option<String> {
    match (value, kind) {
        (Value::Object(object), DataType::Struct(fields)) => object.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match fields.find(name) {
                None => Some(path),
                Some((_, field)) => unknown_in(value, field.data_type(), &path),
            }
        }),
        (Value::Array(items), DataType::List(item)) => {
            items.iter().find_map(|value| unknown_in(value, item.data_type(), &format!("{path}.element")))
        }
        _ => None,
    }
}

fn lacking_in(value: &Value, kind: &DataType, path: &str) -> Option<String> {
    match (value, kind) {
        (Value::Object(object), DataType::Struct(fields)) => fields.iter().find_map(|field| {
            let path = format!("{path}.{}", field.name());
            match object.get(field.name()) {
                None => Some(path),
                Some(value) => lacking_in(value, field.data_type(), &path),
            }
        }),
        (Value::Array(items), DataType::List(item)) => {
            items.iter().find_map(|value| lacking_in(value, item.data_type(), &format!("{path}.element")))
        }
        _ => None,
    }
}
