//! Partition values: as text in the log, and as folder names.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Date32Array, Decimal128Array, PrimitiveArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use sha2::{Digest, Sha256};

/// What Hive and Delta call the folder of a null.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";
/// Bytes of a folder's name at most: file systems allow 255, and the log writes it with further escapes.
const FOLDER_BYTES: usize = 120;
/// Digits of the digest at the end of a name that was cut.
const DIGEST_DIGITS: usize = 16;

/// Whether values of this type can be told apart by their text in the log.
pub(super) fn can_partition(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Decimal128(_, _)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// One row's value as the log has it. The empty text is null there, so that rows which have it are refused before.
pub(super) fn value(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)).filter(|text| !text.is_empty()).map(str::to_owned),
        DataType::Boolean => Some(array.as_boolean().value(row).to_string()),
        DataType::Int8 => Some(array.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => Some(array.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => Some(array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().value_as_date(row).map(|date| date.format("%Y-%m-%d").to_string())
        }
        DataType::Decimal128(_, _) => Some(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
                .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
        }
        _ => None,
    }
}

/// Which rows have a value that the log cannot write so that every reader gets it back: it writes the empty text
/// as it writes null, and of years only those of four digits are read alike.
pub(super) fn unwritable(values: &ArrayRef) -> Vec<usize> {
    let year = |row: usize| match values.data_type() {
        DataType::Date32 => values.as_primitive::<Date32Type>().value_as_date(row).map(|date| date.year()),
        _ => DateTime::from_timestamp_micros(values.as_primitive::<TimestampMicrosecondType>().value(row))
            .map(|time| time.year()),
    };
    let unwritable = |row: &usize| match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(*row).is_empty(),
        DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _) => {
            year(*row).is_none_or(|year| !(1..=9999).contains(&year))
        }
        _ => false,
    };
    (0..values.len()).filter(|row| values.is_valid(*row)).filter(unwritable).collect()
}

/// The text that this program writes for a value that the log has as `text`, whoever wrote that; `None` for
/// null, and for a text that is no value of the type.
pub(super) fn normal(data_type: &DataType, text: &str) -> Option<String> {
    let one = column(data_type, Some(text), 1)?;
    value(&one, 0)
}

/// The folder of a partition: `a=1/b=x%20y`. The values stand in the log; a folder's name only has to be
/// another for another value, so that a long one is cut and ends with a digest of the whole.
pub(super) fn folder<'a>(values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut folder = String::new();
    for (column, value) in values {
        if !folder.is_empty() {
            folder.push('/');
        }
        let mut name = String::new();
        escape(column, &mut name);
        name.push('=');
        match value {
            Some(value) => escape(value, &mut name),
            None => name.push_str(NULL_FOLDER),
        }
        if name.len() > FOLDER_BYTES {
            name = shortened(&name);
        }
        folder.push_str(&name);
    }
    folder
}

/// The beginning of a name, and a digest of all of it.
fn shortened(name: &str) -> String {
    let mut end = FOLDER_BYTES - DIGEST_DIGITS - 1;
    // An escape stays whole; names are plain ASCII by now.
    if let Some(escape) = name[..end].rfind('%').filter(|escape| escape + 3 > end) {
        end = escape;
    }
    let digest = Sha256::digest(name.as_bytes());
    let mut short = format!("{}-", &name[..end]);
    for byte in digest.iter().take(DIGEST_DIGITS / 2) {
        // Writing to a String cannot fail.
        let _ = write!(short, "{byte:02x}");
    }
    short
}

/// Folder names keep to characters that every file system and URL takes as they are.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => into.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// A column of `rows` equal values, from their text in the log; `None` if the text is not of that type.
pub(super) fn column(data_type: &DataType, value: Option<&str>, rows: usize) -> Option<ArrayRef> {
    let Some(text) = value.filter(|text| !text.is_empty()) else {
        return Some(arrow_array::new_null_array(data_type, rows));
    };
    Some(match data_type {
        DataType::Utf8 => {
            let mut builder = StringBuilder::with_capacity(rows, text.len() * rows);
            (0..rows).for_each(|_| builder.append_value(text));
            Arc::new(builder.finish())
        }
        DataType::Boolean => {
            let value = if text.eq_ignore_ascii_case("true") {
                true
            } else if text.eq_ignore_ascii_case("false") {
                false
            } else {
                return None;
            };
            let mut builder = BooleanBuilder::with_capacity(rows);
            builder.append_n(rows, value);
            Arc::new(builder.finish())
        }
        DataType::Int8 => repeat::<Int8Type>(text.parse().ok()?, rows),
        DataType::Int16 => repeat::<Int16Type>(text.parse().ok()?, rows),
        DataType::Int32 => repeat::<Int32Type>(text.parse().ok()?, rows),
        DataType::Int64 => repeat::<Int64Type>(text.parse().ok()?, rows),
        DataType::Float32 => repeat::<arrow_array::types::Float32Type>(text.parse().ok()?, rows),
        DataType::Float64 => repeat::<arrow_array::types::Float64Type>(text.parse().ok()?, rows),
        DataType::Binary => {
            let mut builder = arrow_array::builder::BinaryBuilder::new();
            (0..rows).for_each(|_| builder.append_value(text));
            Arc::new(builder.finish())
        }
        DataType::Date32 => {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Arc::new(Date32Array::from_value(Date32Type::from_naive_date(date), rows))
        }
        DataType::Decimal128(precision, scale) => {
            let value = arrow_cast::parse::parse_decimal::<Decimal128Type>(text, *precision, *scale).ok()?;
            Arc::new(Decimal128Array::from_value(value, rows).with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
                .map(|time| time.and_utc().timestamp_micros())
                .or_else(|_| DateTime::parse_from_str(text, "%+").map(|time| time.timestamp_micros()))
                .ok()?;
            Arc::new(TimestampMicrosecondArray::from_value(micros, rows).with_timezone_opt(zone.clone()))
        }
        _ => return None,
    })
}

fn repeat<T: ArrowPrimitiveType>(value: T::Native, rows: usize) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows))
}

/// Values by column, as an `add` action wants them.
pub(super) fn map(columns: &[String], values: &[Option<String>]) -> HashMap<String, Option<String>> {
    columns.iter().cloned().zip(values.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_plain() {
        let folder = folder([("a", Some("x y/z%ü")), ("b", None)]);
        assert_eq!(folder, "a=x%20y%2Fz%25%C3%BC/b=__HIVE_DEFAULT_PARTITION__");
    }

    #[test]
    fn long_values_have_short_folders_of_their_own() {
        let of = |text: &str| folder([("authority", Some(text))]);
        let long = "ü".repeat(200);
        let (one, other) = (of(&long), of(&format!("{long}x")));
        assert_ne!(one, other);
        for name in [one, other, of(&"x".repeat(10_000)), folder([("c".repeat(300).as_str(), None)])] {
            assert!(name.len() <= FOLDER_BYTES && !name.ends_with('.'), "{name}");
            let escapes = name.match_indices('%').all(|(at, _)| {
                name.as_bytes()[at + 1..].iter().take(2).filter(|digit| digit.is_ascii_hexdigit()).count() == 2
            });
            assert!(escapes, "{name}");
        }
    }

    #[test]
    fn texts_of_other_writers_are_the_same_values() {
        let same = |data_type: &DataType, text: &str, ours: &str| {
            assert_eq!(normal(data_type, text).as_deref(), Some(ours), "{text}");
        };
        same(&DataType::Int32, "+7", "7");
        same(&DataType::Boolean, "TRUE", "true");
        same(&DataType::Decimal128(10, 2), "1.5", "1.50");
        same(&super::super::schema::timestamp(), "1969-12-31 23:59:59", "1969-12-31T23:59:59.000000Z");
        same(&super::super::schema::timestamp(), "1969-12-31T23:59:59.000Z", "1969-12-31T23:59:59.000000Z");
        assert_eq!(normal(&DataType::Int32, "x"), None);
    }

    #[test]
    fn values_come_back() {
        let types = [
            (DataType::Utf8, "x y/z"),
            (DataType::Boolean, "true"),
            (DataType::Int8, "-3"),
            (DataType::Int64, "9007199254740993"),
            (DataType::Date32, "1969-12-31"),
            (DataType::Decimal128(10, 2), "-12.30"),
            (super::super::schema::timestamp(), "1969-12-31T23:59:59.999999Z"),
        ];
        for (data_type, text) in types {
            let column = column(&data_type, Some(text), 2).expect(text);
            assert_eq!(column.data_type(), &data_type);
            assert_eq!(value(&column, 1).as_deref(), Some(text));
        }
        assert_eq!(column(&DataType::Int32, Some("x"), 1), None);
    }
}
