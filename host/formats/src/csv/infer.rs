//! Infers columns from a sample of delimited text.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::CsvRows;
use crate::text::Text;
use crate::{FormatError, Rows, SAMPLE_RECORDS, value};
use sluicebox_core::plan::CsvFormat;

/// A candidate type of a column, from the narrowest to the widest.
type Candidate = (fn(&[u8]) -> bool, DataType);

fn candidates() -> Vec<Candidate> {
    vec![
        (is_boolean, DataType::Boolean),
        (is_integer, DataType::Int64),
        (is_float, DataType::Float64),
        (is_date, DataType::Date32),
        (is_timestamp, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
    ]
}

/// Infers the columns: each has the first of boolean, integer, floating-point number, date and timestamp that fits
/// all values of the sample, or else string. Numbers with leading zeros are codes, hence strings; so is a column of
/// nulls.
pub(crate) fn infer(text: Text, format: &CsvFormat) -> Result<SchemaRef, FormatError> {
    let mut rows = CsvRows::new(text, format, None, 0)?;
    let mut sample = Vec::new();
    let mut count = 0;
    while count < SAMPLE_RECORDS
        && let Some(decoded) = rows.next()?
    {
        count += decoded.rows.num_rows();
        sample.push(decoded.rows);
    }
    let fields: Vec<Field> = rows
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let parts: Vec<&StringArray> = sample.iter().map(|rows| rows.column(at).as_string()).collect();
            Field::new(field.name(), kind(&parts), true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The names of the file's columns, in order.
pub(crate) fn names(text: Text, format: &CsvFormat) -> Result<Vec<String>, FormatError> {
    let rows = CsvRows::new(text, format, None, 0)?;
    Ok(rows.schema().fields().iter().map(|field| field.name().clone()).collect())
}

fn kind(parts: &[&StringArray]) -> DataType {
    let values = || parts.iter().flat_map(|part| part.iter().flatten());
    if values().next().is_none() {
        return DataType::Utf8;
    }
    candidates()
        .into_iter()
        .find(|(fits, _)| values().all(|value| fits(value.trim().as_bytes())))
        .map_or(DataType::Utf8, |(_, kind)| kind)
}

fn is_boolean(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false")
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
    digits && !is_code(text) && value::integer(text).is_some()
}

fn is_float(text: &[u8]) -> bool {
    !is_code(text) && value::float(text).is_some()
}

/// Whether digits are a code and not a number, such as `007` or `+49`.
fn is_code(text: &[u8]) -> bool {
    match text {
        [b'+', ..] => true,
        [b'-', b'0', digit, ..] | [b'0', digit, ..] => digit.is_ascii_digit(),
        _ => false,
    }
}

fn is_date(text: &[u8]) -> bool {
    text.len() == 10 && value::date(text).is_some()
}

fn is_timestamp(text: &[u8]) -> bool {
    text.len() >= 10 && value::timestamp(text).is_some()
}
