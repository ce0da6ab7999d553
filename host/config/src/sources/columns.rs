//! Declared columns: `name = "decimal(10,2) not null"`.

use std::sync::Arc;

use arrow_schema::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, SchemaRef, TimeUnit};

use serde_json::{Value as Json, json};

use crate::diagnostics::{Context, Draft, list, meant};
use crate::document::{Entry, Value};
use crate::keys::{Found, Kind, Shape, json_schema};
use sluicebox_core::columns::same_column;

/// The types as they are written; `decimal` takes its precision and scale.
const TYPES: &[&str] = &[
    "string",
    "binary",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "float32",
    "float64",
    "decimal(p,s)",
    "date",
    "timestamp",
];

/// A table of columns with their types, at least one.
#[derive(Clone, Copy)]
pub(super) struct ColumnTypes;

impl Shape for ColumnTypes {
    fn label(&self) -> String {
        "table of column to [type](#columns)".to_owned()
    }

    fn schema(&self) -> Json {
        let types: Vec<String> = TYPES
            .iter()
            .map(|name| match *name {
                "decimal(p,s)" => r"decimal\s*\(\s*[0-9]+\s*,\s*[0-9]+\s*\)".to_owned(),
                name => name.to_owned(),
            })
            .collect();
        let column = json_schema::pattern(&format!(r"^\s*({})(\s+(not\s+)?null)?\s*$", types.join("|")));
        json!({
            "type": "object", "additionalProperties": column, "propertyNames": { "minLength": 1 }, "minProperties": 1,
        })
    }
}

impl Kind for ColumnTypes {
    type Value = SchemaRef;

    fn read(&self, found: &Found<'_, '_>) -> Option<SchemaRef> {
        let entries = found.entries()?;
        if entries.is_empty() {
            let hint = "declare columns, or leave the table out to infer them";
            found.section.misplaced(found.key, "declares no column", hint);
            return None;
        }
        read(found.section.cx, found.what(), entries)
    }
}

/// Reads the columns of `what`, in the order of the file.
fn read(cx: &Context, what: &str, entries: &[Entry]) -> Option<SchemaRef> {
    let mut fields: Vec<Field> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        check_name(cx, what, entry, &entries[..index]);
        match &entry.node.value {
            Value::Text(text) => match parse(text) {
                Ok((data_type, nullable)) => fields.push(Field::new(&entry.key, data_type, nullable)),
                Err(hint) => cx.report(
                    Draft::error(format!("unknown type `{text}` of column `{}` in {what}", entry.key))
                        .at(&entry.node.span)
                        .hint(hint),
                ),
            },
            Value::Broken => {}
            other => cx.report(
                Draft::error(format!(
                    "the type of column `{}` in {what} must be a string, not {}",
                    entry.key,
                    other.kind()
                ))
                .at(&entry.node.span)
                .hint(format!("write `{} = \"string\"`, for example", entry.key)),
            ),
        }
    }
    (fields.len() == entries.len()).then(|| Arc::new(Schema::new(fields)) as SchemaRef)
}

fn check_name(cx: &Context, what: &str, entry: &Entry, before: &[Entry]) {
    let name = &entry.key;
    if name.is_empty() {
        cx.report(Draft::error(format!("a column without a name in {what}")).at(&entry.key_span));
    }
    if let Some(twin) = before.iter().find(|twin| same_column(&twin.key, name)) {
        cx.report(
            Draft::error(format!("columns `{}` and `{name}` in {what} differ only in case", twin.key))
                .at(&entry.key_span)
                .also(&twin.key_span, "the first of them")
                .hint("Delta tables do not tell upper from lower case in column names"),
        );
    }
}

/// The type and whether it may be null, or what to write instead.
fn parse(text: &str) -> Result<(DataType, bool), String> {
    let lower = text.trim().to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let (words, nullable) = match words.as_slice() {
        [front @ .., "not", "null"] => (front, false),
        [front @ .., "null"] if !front.is_empty() => (front, true),
        all => (all, true),
    };
    let name = words.concat();
    let data_type = match name.as_str() {
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        decimal if decimal.starts_with("decimal") => parse_decimal(decimal)?,
        other => return Err(suggest(other)),
    };
    Ok((data_type, nullable))
}

fn parse_decimal(text: &str) -> Result<DataType, String> {
    let hint = format!("write `decimal(10,2)`: up to {DECIMAL128_MAX_PRECISION} digits, of which 2 behind the point");
    let inner = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(|| hint.clone())?;
    let (precision, scale) = inner.split_once(',').ok_or_else(|| hint.clone())?;
    let precision: u8 = precision.parse().map_err(|_| hint.clone())?;
    let scale: i8 = scale.parse().map_err(|_| hint.clone())?;
    match (precision, scale) {
        (1..=DECIMAL128_MAX_PRECISION, 0..) if scale.unsigned_abs() <= precision => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => {
            Err(format!("the precision is from 1 to {DECIMAL128_MAX_PRECISION} and the scale from 0 to the precision"))
        }
    }
}

/// What someone who knows another system's types most likely meant.
fn suggest(name: &str) -> String {
    let bare = name.split('(').next().unwrap_or(name);
    let known = match bare {
        "int" | "integer" => Some("int32"),
        "long" | "bigint" => Some("int64"),
        "short" | "smallint" => Some("int16"),
        "byte" | "tinyint" => Some("int8"),
        "float" | "real" => Some("float32"),
        "double" => Some("float64"),
        "boolean" => Some("bool"),
        "text" | "varchar" | "char" | "str" | "utf8" | "uuid" => Some("string"),
        "bytes" | "blob" | "bytea" => Some("binary"),
        "datetime" | "timestamptz" | "timestamp_ntz" | "time" => Some("timestamp"),
        "date32" | "date64" => Some("date"),
        "numeric" | "number" | "money" | "decimal128" => Some("decimal(p,s)"),
        "uint8" => return "Delta tables have no unsigned integers; `int16` holds every value".to_owned(),
        "uint16" => return "Delta tables have no unsigned integers; `int32` holds every value".to_owned(),
        "uint32" => return "Delta tables have no unsigned integers; `int64` holds every value".to_owned(),
        "uint64" => return "Delta tables have no unsigned integers; `decimal(20,0)` holds every value".to_owned(),
        other => meant(other, TYPES.iter().copied()),
    };
    match known {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("types are {}, each also with `not null`", list(TYPES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_whatever_their_spacing_and_case() {
        assert_eq!(parse(" Decimal( 10 , 2 )  NOT  NULL "), Ok((DataType::Decimal128(10, 2), false)));
        assert_eq!(parse("int64 null"), Ok((DataType::Int64, true)));
        assert_eq!(parse("timestamp").map(|(data_type, _)| data_type.to_string()), Ok("Timestamp(µs, \"UTC\")".into()));
    }

    #[test]
    fn impossible_types_are_refused() {
        for text in
            ["", "not null", "decimal", "decimal(39,0)", "decimal(4,5)", "decimal(4,-1)", "decimal(0,0)", "int65"]
        {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}
