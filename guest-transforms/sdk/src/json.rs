//! Rows to and from JSON lines, for tests.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Failure, Result};

/// How to treat fields that the schema does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    AsText,
    Refuse,
}

/// Reads one JSON object a line. A field that is absent is null; a date is
/// `"2024-01-31"`, a timestamp `"2024-01-31T12:00:00Z"`, a decimal a string or number.
pub(crate) fn parse(lines: &str, schema: &SchemaRef, others: Others) -> Result<RecordBatch> {
    let objects = objects::<Map<String, Value>>(lines)?;
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    for name in objects.iter().flat_map(Map::keys) {
        if fields.iter().any(|field| field.name() == name) {
            continue;
        }
        if others == Others::Refuse {
            return Err(Failure::input(format!("there is no column {name:?}")));
        }
        fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
    }
    let columns = fields.iter().map(|field| column(&objects, field)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(objects.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| Failure::input(error.to_string()))
}

/// Writes each row as a JSON object, nulls left out, decimals as numbers with all of their digits.
pub(crate) fn print(rows: &RecordBatch) -> Vec<String> {
    let row = |row: usize| {
        let fields = rows.schema_ref().fields().iter().zip(rows.columns());
        let present = fields.filter(|(_, column)| column.is_valid(row));
        let cells =
            present.map(|(field, column)| format!("{}:{}", Value::from(field.name().as_str()), cell(column, row)));
        format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
    };
    (0..rows.num_rows()).map(row).collect()
}

/// Reads `{"row": 0, "code": "…"}` lines.
pub(crate) fn rejections(lines: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        row: u32,
        code: String,
    }
    Ok(objects::<Line>(lines)?.into_iter().map(|line| format!("{} {}", line.row, line.code)).collect())
}

fn objects<T: for<'a> Deserialize<'a>>(lines: &str) -> Result<Vec<T>> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let object = |line| serde_json::from_str(line).map_err(|error| Failure::input(format!("{line}: {error}")));
    lines.map(object).collect()
}

fn column(objects: &[Map<String, Value>], field: &Field) -> Result<ArrayRef> {
    let cells: Vec<&Value> = objects.iter().map(|object| object.get(field.name()).unwrap_or(&Value::Null)).collect();
    let wrong =
        |cell: &Value| Failure::input(format!("{cell} is not a {} for column {:?}", field.data_type(), field.name()));
    let primitive = Primitive { cells: &cells, wrong: &wrong };
    Ok(match field.data_type() {
        DataType::Utf8 => {
            let mut column = StringBuilder::new();
            for cell in cells {
                match cell {
                    Value::Null => column.append_null(),
                    Value::String(text) => column.append_value(text),
                    other => column.append_value(other.to_string()),
                }
            }
            Arc::new(column.finish())
        }
        DataType::Binary => {
            let mut column = BinaryBuilder::new();
            cells.iter().for_each(|cell| column.append_option(cell.as_str()));
            Arc::new(column.finish())
        }
        DataType::Boolean => {
            let mut column = BooleanBuilder::new();
            for cell in cells {
                match cell {
                    Value::Null => column.append_null(),
                    Value::Bool(value) => column.append_value(*value),
                    other => return Err(wrong(other)),
                }
            }
            Arc::new(column.finish())
        }
        DataType::Int8 => Arc::new(primitive.column::<Int8Type>(|cell| cell.as_i64()?.try_into().ok())?.finish()),
        DataType::Int16 => Arc::new(primitive.column::<Int16Type>(|cell| cell.as_i64()?.try_into().ok())?.finish()),
        DataType::Int32 => Arc::new(primitive.column::<Int32Type>(|cell| cell.as_i64()?.try_into().ok())?.finish()),
        DataType::Int64 => Arc::new(primitive.column::<Int64Type>(Value::as_i64)?.finish()),
        DataType::Float32 => {
            Arc::new(primitive.column::<Float32Type>(|cell| cell.as_f64().map(|x| x as f32))?.finish())
        }
        DataType::Float64 => Arc::new(primitive.column::<Float64Type>(Value::as_f64)?.finish()),
        DataType::Date32 => Arc::new(primitive.column::<Date32Type>(|cell| day(cell.as_str()?))?.finish()),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let column = primitive.column::<TimestampMicrosecondType>(|cell| instant(cell.as_str()?))?.finish();
            Arc::new(column.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let value = |cell: &Value| match cell {
                Value::String(text) => units(text, *scale),
                number => units(&number.to_string(), *scale),
            };
            let column = primitive.column::<Decimal128Type>(value)?.finish();
            Arc::new(column.with_precision_and_scale(*precision, *scale)?)
        }
        other => {
            return Err(Failure::input(format!(
                "column {:?} is {other}, which JSON lines here cannot give",
                field.name()
            )));
        }
    })
}

struct Primitive<'a> {
    cells: &'a [&'a Value],
    wrong: &'a dyn Fn(&Value) -> Failure,
}

impl Primitive<'_> {
    fn column<T: ArrowPrimitiveType>(&self, read: impl Fn(&Value) -> Option<T::Native>) -> Result<PrimitiveBuilder<T>> {
        let mut column = PrimitiveBuilder::new();
        for cell in self.cells {
            match cell {
                Value::Null => column.append_null(),
                cell => column.append_value(read(cell).ok_or_else(|| (self.wrong)(cell))?),
            }
        }
        Ok(column)
    }
}

fn cell(column: &dyn Array, row: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)).to_string(),
        DataType::Binary => Value::from(String::from_utf8_lossy(column.as_binary::<i32>().value(row))).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => Value::from(column.as_primitive::<Float32Type>().value(row)).to_string(),
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(row)).to_string(),
        DataType::Date32 => format!("\"{}\"", show_day(i64::from(column.as_primitive::<Date32Type>().value(row)))),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
            let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
            let (hour, minute) = (second / 3_600, second / 60 % 60);
            format!("\"{}T{hour:02}:{minute:02}:{:02}{fraction}Z\"", show_day(day), second % 60)
        }
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        other => format!("\"<{other}>\""),
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD` (proleptic Gregorian).
fn day(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day): (i64, i64, i64) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let days = days_from_civil(year, month, day);
    (show_day(days) == text).then_some(i32::try_from(days).ok()?)
}

/// Microseconds since 1970-01-01 UTC of `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`.
fn instant(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let seconds = hour * 3_600 + minute * 60 + second;
    let micros = format!("{fraction:0<6}").parse::<i64>().ok().filter(|_| fraction.len() <= 6)?;
    Some((i64::from(day(date)?) * 86_400 + seconds) * 1_000_000 + micros)
}

/// Parses a decimal to units of its last digit; more digits than the scale are an error.
fn units(text: &str, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction:0<scale$}");
    (fraction.len() <= scale).then_some(())?;
    digits.parse::<i128>().ok().map(|units| sign * units)
}

/// Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Howard Hinnant's `civil_from_days`, as `YYYY-MM-DD`.
fn show_day(days: i64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
