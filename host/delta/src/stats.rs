//! The statistics of a data file for the log, from the file's footer.

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, Datelike, Days, NaiveDate, SecondsFormat, Utc};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Number, Value, json};
use sluicebox_core::columns::same_column;

/// Delta's default for `delta.dataSkippingNumIndexedCols`.
const INDEXED_COLUMNS: usize = 32;
/// Delta's usual length of text bounds: long enough to skip by, short enough for the log.
const TEXT_PREFIX: usize = 32;

/// Which columns of `schema` get bounds in the log: those in `telling`, then the first ones, [`INDEXED_COLUMNS`] in
/// all.
pub(crate) fn indexed(schema: &Schema, telling: &[String]) -> Vec<bool> {
    let named = |field: &Field| telling.iter().any(|column| same_column(column, field.name()));
    let mut indexed: Vec<bool> = schema.fields().iter().map(|field| named(field)).collect();
    let mut left = INDEXED_COLUMNS.saturating_sub(indexed.iter().filter(|is| **is).count());
    for is in indexed.iter_mut().filter(|is| !**is) {
        if left == 0 {
            break;
        }
        *is = true;
        left -= 1;
    }
    indexed
}

/// The table property that names the columns with bounds; `None` if they are Delta's default.
pub(crate) fn stats_columns(schema: &Schema, telling: &[String]) -> Option<String> {
    // Delta counts the children of structs, not the structs.
    fn leaves(data_type: &DataType) -> usize {
        match data_type {
            DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
            _ => 1,
        }
    }
    let indexed = indexed(schema, telling);
    let mut before = 0;
    let mut hidden = false;
    for (field, is) in schema.fields().iter().zip(&indexed) {
        let named = telling.iter().any(|column| same_column(column, field.name()));
        hidden |= *is && named && before >= INDEXED_COLUMNS;
        before += leaves(field.data_type());
    }
    hidden.then(|| {
        let names = schema.fields().iter().zip(&indexed).filter(|(_, is)| **is);
        names.map(|(field, _)| format!("`{}`", field.name())).collect::<Vec<_>>().join(",")
    })
}

/// The `stats` text of an `add` action for a file of `schema` (without partition columns).
///
/// `with_nan` says which columns have a NaN: Parquet leaves it out of its bounds, but readers sort it above all
/// numbers, so such a column must not have bounds.
pub(crate) fn of_file(schema: &Schema, footer: &ParquetMetaData, with_nan: &[bool], indexed: &[bool]) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    let columns = footer.file_metadata().schema_descr();
    for (leaf, descriptor) in columns.columns().iter().enumerate() {
        let [name] = descriptor.path().parts() else {
            continue;
        };
        let Some((position, field)) = schema.column_with_name(name) else {
            continue;
        };
        if !indexed.get(position).is_some_and(|is| *is) {
            continue;
        }
        let chunks: Vec<&Statistics> =
            footer.row_groups().iter().filter_map(|group| group.column(leaf).statistics()).collect();
        // Statistics of only some row groups are not those of the file.
        if chunks.len() != footer.num_row_groups() {
            continue;
        }
        let missing: Option<u64> = chunks.iter().map(|chunk| chunk.null_count_opt()).sum();
        if let Some(missing) = missing {
            nulls.insert(name.clone(), json!(missing));
        }
        let rows = footer.file_metadata().num_rows();
        let all_null = missing.is_some_and(|missing| i64::try_from(missing) == Ok(rows));
        let has_nan = with_nan.get(position).copied().unwrap_or(false);
        // A reader may take a bound that is missing for one that no value fulfils, so there are both or none.
        if !all_null
            && !has_nan
            && let Some((Some(low), Some(high))) = bounds(field.data_type(), descriptor.physical_type(), &chunks)
        {
            min.insert(name.clone(), low);
            max.insert(name.clone(), high);
        }
    }
    json!({
        "numRecords": footer.file_metadata().num_rows(),
        "minValues": min,
        "maxValues": max,
        "nullCount": nulls,
    })
    .to_string()
}

type Bounds = (Option<Value>, Option<Value>);

fn bounds(data_type: &DataType, physical: PhysicalType, chunks: &[&Statistics]) -> Option<Bounds> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let (low, high) = integers(chunks)?;
            Some((Some(json!(low)), Some(json!(high))))
        }
        DataType::Date32 => {
            let (low, high) = integers(chunks)?;
            Some((date(low), date(high)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let (low, high) = integers(chunks)?;
            // The log has milliseconds: the range is widened to whole ones, never narrowed.
            Some((instant(low.div_euclid(1_000)), instant_above(high)))
        }
        DataType::Float32 | DataType::Float64 => {
            let (low, high) = floats(chunks)?;
            // JSON has no infinity and no NaN; such a bound is left out.
            Some((Number::from_f64(low).map(Value::Number), Number::from_f64(high).map(Value::Number)))
        }
        DataType::Decimal128(_, scale) => {
            let (low, high) = match physical {
                PhysicalType::INT32 | PhysicalType::INT64 => {
                    let (low, high) = integers(chunks)?;
                    (i128::from(low), i128::from(high))
                }
                _ => big_integers(chunks)?,
            };
            let scale = u8::try_from(*scale).ok()?;
            Some((decimal(low, scale), decimal(high, scale)))
        }
        DataType::Utf8 => {
            let low = chunks.iter().filter_map(|chunk| chunk.min_bytes_opt()).min()?;
            let high = chunks.iter().filter_map(|chunk| chunk.max_bytes_opt()).max()?;
            Some((text_below(low), text_above(high)))
        }
        // Spark has no bounds of booleans either: they would not help to skip.
        _ => None,
    }
}

fn integers(chunks: &[&Statistics]) -> Option<(i64, i64)> {
    let mut range: Option<(i64, i64)> = None;
    for chunk in chunks {
        let (low, high) = match chunk {
            Statistics::Int32(values) => {
                (values.min_opt().map(|v| i64::from(*v)), values.max_opt().map(|v| i64::from(*v)))
            }
            Statistics::Int64(values) => (values.min_opt().copied(), values.max_opt().copied()),
            _ => return None,
        };
        range = widen(range, low, high);
    }
    range
}

fn big_integers(chunks: &[&Statistics]) -> Option<(i128, i128)> {
    let mut range: Option<(i128, i128)> = None;
    for chunk in chunks {
        let low = chunk.min_bytes_opt().and_then(big_endian);
        let high = chunk.max_bytes_opt().and_then(big_endian);
        range = widen(range, low, high);
    }
    range
}

/// Two's complement, most significant byte first, of any length up to 16.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let mut full = if first & 0x80 == 0 { [0_u8; 16] } else { [0xFF_u8; 16] };
    let start = full.len().checked_sub(bytes.len())?;
    full[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(full))
}

fn widen<T: Ord + Copy>(range: Option<(T, T)>, low: Option<T>, high: Option<T>) -> Option<(T, T)> {
    match (range, low, high) {
        (Some((min, max)), Some(low), Some(high)) => Some((min.min(low), max.max(high))),
        (None, Some(low), Some(high)) => Some((low, high)),
        // A row group with only nulls has no bounds.
        (range, _, _) => range,
    }
}

/// The range of a float column, or `None` if a NaN may be outside of it.
fn floats(chunks: &[&Statistics]) -> Option<(f64, f64)> {
    let mut range: Option<(f64, f64)> = None;
    for chunk in chunks {
        let (low, high) = match chunk {
            Statistics::Float(values) => {
                (values.min_opt().map(|v| f64::from(*v)), values.max_opt().map(|v| f64::from(*v)))
            }
            Statistics::Double(values) => (values.min_opt().copied(), values.max_opt().copied()),
            _ => return None,
        };
        if let (Some(low), Some(high)) = (low, high) {
            if low.is_nan() || high.is_nan() {
                return None;
            }
            range = Some(range.map_or((low, high), |(min, max)| (min.min(low), max.max(high))));
        }
    }
    range
}

fn date(days: i64) -> Option<Value> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let span = Days::new(days.unsigned_abs());
    let date = if days < 0 { epoch.checked_sub_days(span) } else { epoch.checked_add_days(span) }?;
    is_written(date.year()).then(|| json!(date.format("%Y-%m-%d").to_string()))
}

fn instant(millis: i64) -> Option<Value> {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
    is_written(time.year()).then(|| json!(time.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

/// The first millisecond that is not before an instant; of the last millisecond of the year 9999, which has none
/// after it, its last microsecond.
fn instant_above(micros: i64) -> Option<Value> {
    let millis = micros.div_euclid(1_000);
    if micros.rem_euclid(1_000) == 0 {
        return instant(millis);
    }
    let last = || instant(millis).map(|_| json!("9999-12-31T23:59:59.999999Z"));
    instant(millis + 1).or_else(last)
}

/// Whether every reader makes the same of a year's digits: beyond four of them, and before the first year, each
/// has a way of its own. A bound that cannot be written is left out, and nothing is skipped by it.
fn is_written(year: i32) -> bool {
    (1..=9999).contains(&year)
}

/// A decimal as a JSON number; one that a reader's double would round outwards is left out.
fn decimal(unscaled: i128, scale: u8) -> Option<Value> {
    // 15 digits survive a round trip through a double; more may be rounded past the value.
    if unscaled.unsigned_abs() >= 1_000_000_000_000_000 {
        return None;
    }
    let divisor = 10_i128.checked_pow(u32::from(scale))?;
    let sign = if unscaled < 0 { "-" } else { "" };
    let (whole, rest) =
        (unscaled.unsigned_abs() / divisor.unsigned_abs(), unscaled.unsigned_abs() % divisor.unsigned_abs());
    let text = match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:0width$}", width = usize::from(scale)),
    };
    let number: f64 = text.parse().ok()?;
    match scale {
        0 => i64::try_from(unscaled).ok().map(|value| json!(value)),
        _ => Number::from_f64(number).map(Value::Number),
    }
}

/// A prefix is never greater than the text it begins.
fn text_below(bytes: &[u8]) -> Option<Value> {
    let text = valid_prefix(bytes);
    let end = text.char_indices().nth(TEXT_PREFIX).map_or(text.len(), |(at, _)| at);
    Some(json!(&text[..end]))
}

/// An upper bound of a text: if it is cut, its last character is raised.
fn text_above(bytes: &[u8]) -> Option<Value> {
    let text = valid_prefix(bytes);
    if text.len() == bytes.len() && text.chars().count() <= TEXT_PREFIX {
        return Some(json!(text));
    }
    let mut prefix: Vec<char> = text.chars().take(TEXT_PREFIX).collect();
    while let Some(last) = prefix.pop() {
        // Surrogates are not characters, so they are skipped.
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            next => char::from_u32(next),
        };
        if let Some(next) = next {
            prefix.push(next);
            return Some(json!(prefix.into_iter().collect::<String>()));
        }
    }
    None
}

fn valid_prefix(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The bytes up to there were just checked.
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_still_bounds() {
        let long = "é".repeat(40);
        assert_eq!(text_below(long.as_bytes()), Some(json!("é".repeat(32))));
        assert_eq!(text_above(long.as_bytes()), Some(json!(format!("{}ê", "é".repeat(31)))));
        assert_eq!(text_above("short".as_bytes()), Some(json!("short")));
        assert_eq!(text_above("\u{10FFFF}".repeat(33).as_bytes()), None);
        assert_eq!(
            text_above("\u{D7FF}".repeat(33).as_bytes()),
            Some(json!(format!("{}\u{E000}", "\u{D7FF}".repeat(31))))
        );
    }

    #[test]
    fn instants_widen() {
        assert_eq!(instant((-1_i64).div_euclid(1_000)), Some(json!("1969-12-31T23:59:59.999Z")));
        assert_eq!(date(-1), Some(json!("1969-12-31")));
        // Whole milliseconds are beyond the last year that four digits hold.
        let last = 253_402_300_799_999_999_i64;
        assert_eq!(instant(last.div_euclid(1_000)), Some(json!("9999-12-31T23:59:59.999Z")));
        assert_eq!(instant(last.div_euclid(1_000) + 1), None);
        assert_eq!(instant_above(last), Some(json!("9999-12-31T23:59:59.999999Z")));
        assert_eq!(
            (instant_above(last + 1), instant_above(-62_135_596_800_000_001)),
            (None, instant(-62_135_596_800_000))
        );
        assert_eq!(instant(-62_135_596_800_000), Some(json!("0001-01-01T00:00:00.000Z")));
        assert_eq!(instant(-62_135_596_800_001), None);
        assert_eq!((date(2_932_896), date(2_932_897)), (Some(json!("9999-12-31")), None));
        assert_eq!((date(-719_162), date(-719_163)), (Some(json!("0001-01-01")), None));
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(-1205, 2).map(|v| v.to_string()), Some("-12.05".to_owned()));
        assert_eq!(decimal(10, 0).map(|v| v.to_string()), Some("10".to_owned()));
        assert_eq!(decimal(i128::MAX, 2), None);
        assert_eq!(big_endian(&[0xFF, 0xFE]), Some(-2));
        assert_eq!(big_endian(&[0x00, 0x80]), Some(128));
    }
}
