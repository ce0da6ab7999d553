//! Which fields a record has beyond the declared ones, and which of these it lacks, at any depth.

use arrow_schema::{DataType, FieldRef};

use super::decode::Columns;
use super::object;

/// The first field of `record` that is not declared, with its parents.
pub(super) fn unknown(record: &[u8], declared: &Columns) -> Option<String> {
    for (key, value) in object::fields(record)? {
        let name = object::name(key)?;
        match declared.find(&name, 0) {
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
pub(super) fn lacking(record: &[u8], declared: &Columns) -> Option<String> {
    let found = object::fields(record)?;
    let mut values = vec![None; declared.fields().len()];
    let mut next = 0;
    for (key, value) in found {
        if let Some((at, _)) = declared.find(&object::name(key)?, next) {
            values[at] = Some(value);
            next = at + 1;
        }
    }
    declared.fields().iter().zip(values).find_map(|(field, value)| match value {
        None => Some(field.name().clone()),
        Some(value) => below(value, field, lacking_in),
    })
}

/// What `find` finds in a nested value.
fn below(value: &[u8], field: &FieldRef, find: fn(&[u8], &DataType, &str) -> Option<String>) -> Option<String> {
    if field.data_type().is_nested() { find(value, field.data_type(), field.name()) } else { None }
}

fn unknown_in(value: &[u8], kind: &DataType, path: &str) -> Option<String> {
    match (value.first(), kind) {
        (Some(b'{'), DataType::Struct(fields)) => object::fields(value)?.into_iter().find_map(|(key, value)| {
            let name = object::name(key)?;
            let path = format!("{path}.{name}");
            match fields.find(&name) {
                None => Some(path),
                Some((_, field)) => unknown_in(value, field.data_type(), &path),
            }
        }),
        (Some(b'['), DataType::List(item)) => object::items(value)?
            .into_iter()
            .find_map(|value| unknown_in(value, item.data_type(), &format!("{path}.element"))),
        _ => None,
    }
}

fn lacking_in(value: &[u8], kind: &DataType, path: &str) -> Option<String> {
    match (value.first(), kind) {
        (Some(b'{'), DataType::Struct(fields)) => {
            let mut values = vec![None; fields.len()];
            for (key, value) in object::fields(value)? {
                if let Some((at, _)) = fields.find(&object::name(key)?) {
                    values[at] = Some(value);
                }
            }
            fields.iter().zip(values).find_map(|(field, value)| {
                let path = format!("{path}.{}", field.name());
                match value {
                    None => Some(path),
                    Some(value) => lacking_in(value, field.data_type(), &path),
                }
            })
        }
        (Some(b'['), DataType::List(item)) => object::items(value)?
            .into_iter()
            .find_map(|value| lacking_in(value, item.data_type(), &format!("{path}.element"))),
        _ => None,
    }
}
