//! What a line holds beyond the declared columns.

use std::borrow::Cow;

use arrow_schema::DataType;

use super::decode::Columns;
use super::object;

/// A line, made ready for a decoder that ignores fields it does not know.
pub(super) struct Prepared {
    /// The line with nested values of string columns turned into strings, if it has any.
    pub(super) text: Option<Vec<u8>>,
    /// The fields that no column takes, as one JSON object.
    pub(super) rescued: Option<String>,
}

/// Looks through `line`. One that is not shaped like an object is left to the decoder.
pub(super) fn prepare(line: &[u8], declared: &Columns) -> Prepared {
    let nothing = Prepared { text: None, rescued: None };
    let Some(fields) = object::fields(line) else {
        return nothing;
    };
    let mut rescued: Vec<(&[u8], &[u8])> = Vec::new();
    let mut kept: Vec<(&[u8], Cow<'_, [u8]>)> = Vec::with_capacity(fields.len());
    let mut changed = false;
    let mut next = 0;
    for (key, value) in fields {
        let Some(name) = object::name(key) else {
            return nothing;
        };
        let Some((at, column)) = declared.find(&name, next) else {
            rescued.push((key, value));
            continue;
        };
        next = at + 1;
        let nested = matches!(value.first(), Some(b'{' | b'['));
        if nested && matches!(column.data_type(), DataType::Utf8) {
            // A value that is not JSON must stay visible to the decoder as such.
            let Some(text) = as_string(value) else {
                return nothing;
            };
            kept.push((key, Cow::Owned(text)));
            changed = true;
        } else {
            if nested && has_unknown(value, column.data_type()) {
                rescued.push((key, value));
            }
            kept.push((key, Cow::Borrowed(value)));
        }
    }
    // What is rescued must be JSON too; the decoder, which ignores it, checks that.
    let rescued = (!rescued.is_empty()).then(|| object_of(rescued)).and_then(|text| String::from_utf8(text).ok());
    let text = changed.then(|| object_of(kept.iter().map(|(key, value)| (*key, value.as_ref()))));
    Prepared { text, rescued }
}

/// Whether an object somewhere in `value` has a field that `kind` has not.
fn has_unknown(value: &[u8], kind: &DataType) -> bool {
    match (value.first(), kind) {
        (Some(b'{'), DataType::Struct(fields)) => object::fields(value).into_iter().flatten().any(|(key, value)| {
            // A key that is no text is left to the decoder.
            let Some(name) = object::name(key) else { return false };
            match fields.find(&name) {
                Some((_, field)) => has_unknown(value, field.data_type()),
                None => true,
            }
        }),
        (Some(b'['), DataType::List(item)) => {
            object::items(value).into_iter().flatten().any(|value| has_unknown(value, item.data_type()))
        }
        _ => false,
    }
}

/// `value`, if it is JSON, as a JSON string of its text.
fn as_string(value: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<serde::de::IgnoredAny>(value).ok()?;
    serde_json::to_vec(std::str::from_utf8(value).ok()?).ok()
}

/// An object with these keys and values, as they are written.
fn object_of<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut text = vec![b'{'];
    for (at, (key, value)) in fields.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(key);
        text.push(b':');
        text.extend_from_slice(value);
    }
    text.push(b'}');
    text
}
