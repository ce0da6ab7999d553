//! One rule of an expectation.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, Decimal128Array, Int64Array, PrimitiveArray,
    Scalar, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::BooleanBuffer;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use regex::Regex;

use crate::upsert::Keys;
use sluicebox_core::plan::Rule;
use sluicebox_core::reject::RejectCode;
use sluicebox_core::types::Named;

/// A rule, prepared for a column's type.
pub(super) enum Judge {
    NotNull,
    /// Numbers, dates, timestamps and text between bounds of the same type.
    Range {
        low: Option<ArrayRef>,
        high: Option<ArrayRef>,
        text: String,
    },
    /// Floats are compared separately, because NaN is between no bounds.
    Floats {
        low: f64,
        high: f64,
        text: String,
    },
    Matches(Regex),
    Words {
        words: HashSet<String>,
        text: String,
    },
    Values {
        converter: RowConverter,
        values: HashSet<Box<[u8]>>,
        text: String,
    },
    Unique(Box<Keys>),
}

impl Judge {
    /// The rule for values of `data_type`, or why there is none. Uniqueness is checked elsewhere.
    pub(super) fn new(rule: &Rule, data_type: &DataType) -> Result<Self, String> {
        match rule {
            Rule::NotNull | Rule::Unique(_) => Ok(Self::NotNull),
            Rule::Range { min, max } => range(min.as_deref(), max.as_deref(), data_type),
            Rule::Matches(pattern) => {
                if data_type != &DataType::Utf8 {
                    return Err(format!("`matches` is for text, and it is {}", Named(data_type)));
                }
                Regex::new(pattern).map(Self::Matches).map_err(|error| error.to_string())
            }
            Rule::OneOf(values) => one_of(values, data_type),
        }
    }

    /// Its name in counts.
    pub(super) fn name(&self) -> &'static str {
        let code = self.code().as_str();
        code.strip_prefix("expect.").unwrap_or(code)
    }

    /// Its code in quarantine.
    pub(super) fn code(&self) -> RejectCode {
        match self {
            Self::NotNull => RejectCode::ExpectNotNull,
            Self::Range { .. } | Self::Floats { .. } => RejectCode::ExpectRange,
            Self::Matches(_) => RejectCode::ExpectMatches,
            Self::Words { .. } | Self::Values { .. } => RejectCode::ExpectOneOf,
            Self::Unique(_) => RejectCode::ExpectUnique,
        }
    }

    /// The rows that break the rule, or `None` for none.
    pub(super) fn violations(&self, column: &ArrayRef) -> Result<Option<BooleanBuffer>, ArrowError> {
        Ok(match self {
            Self::NotNull => column.logical_nulls().map(|nulls| !nulls.inner()),
            Self::Unique(_) => None,
            Self::Range { low, high, .. } => {
                let below = low.as_ref().map(|low| arrow_ord::cmp::lt(column, &Scalar::new(low))).transpose()?;
                let above = high.as_ref().map(|high| arrow_ord::cmp::gt(column, &Scalar::new(high))).transpose()?;
                match (below.map(set), above.map(set)) {
                    (Some(below), Some(above)) => Some(&below | &above),
                    (below, above) => below.or(above),
                }
            }
            Self::Floats { low, high, .. } => Some(match column.data_type() {
                DataType::Float32 => outside::<Float32Type>(column, *low, *high),
                _ => outside::<Float64Type>(column, *low, *high),
            }),
            Self::Matches(pattern) => Some(unlike(column, |text| pattern.is_match(text))),
            Self::Words { words, .. } => Some(unlike(column, |text| words.contains(text))),
            Self::Values { converter, values, .. } => {
                let rows = converter.convert_columns(&[Arc::clone(column)])?;
                Some(BooleanBuffer::collect_bool(column.len(), |row| {
                    column.is_valid(row) && !values.contains(rows.row(row).as_ref())
                }))
            }
        })
    }
}

/// What the rule expects, as the end of a sentence.
impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => write!(f, "which it must not"),
            Self::Range { text, .. } | Self::Floats { text, .. } => write!(f, "which is not {text}"),
            Self::Matches(pattern) => write!(f, "which does not match /{pattern}/"),
            Self::Words { text, .. } | Self::Values { text, .. } => write!(f, "which is not one of {text}"),
            Self::Unique(_) => write!(f, "which another row of the same commit has"),
        }
    }
}

/// The rows for which a comparison is true; for null it is not.
fn set(compared: BooleanArray) -> BooleanBuffer {
    match compared.nulls() {
        Some(nulls) => compared.values() & nulls.inner(),
        None => compared.values().clone(),
    }
}

fn outside<T>(column: &ArrayRef, low: f64, high: f64) -> BooleanBuffer
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let values: &PrimitiveArray<T> = column.as_primitive();
    let bad = BooleanBuffer::collect_bool(values.len(), |row| {
        let value: f64 = values.value(row).into();
        !(value >= low && value <= high)
    });
    match values.nulls() {
        Some(nulls) => &bad & nulls.inner(),
        None => bad,
    }
}

/// The rows whose text breaks the rule. Adjacent texts are often equal, and checked once.
fn unlike(column: &ArrayRef, fits: impl Fn(&str) -> bool) -> BooleanBuffer {
    let texts: &StringArray = column.as_string();
    let mut last: Option<(&str, bool)> = None;
    BooleanBuffer::collect_bool(texts.len(), |row| {
        if texts.is_null(row) {
            return false;
        }
        let text = texts.value(row);
        match last {
            Some((same, bad)) if same == text => bad,
            _ => {
                let bad = !fits(text);
                last = Some((text, bad));
                bad
            }
        }
    })
}

fn range(min: Option<&str>, max: Option<&str>, data_type: &DataType) -> Result<Judge, String> {
    let text = match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, max) => format!("{} or less", max.unwrap_or_default()),
    };
    if data_type.is_floating() {
        let number = |text: &str| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|bound| !bound.is_nan())
                .ok_or_else(|| format!("'{text}' is no number"))
        };
        let low = min.map(number).transpose()?.unwrap_or(f64::NEG_INFINITY);
        let high = max.map(number).transpose()?.unwrap_or(f64::INFINITY);
        return ordered(low <= high, &text).map(|()| Judge::Floats { low, high, text });
    }
    let low = min.map(|min| bound(min, data_type, Side::Low)).transpose()?;
    let high = max.map(|max| bound(max, data_type, Side::High)).transpose()?;
    if let (Some(low), Some(high)) = (&low, &high) {
        let fine = arrow_ord::cmp::lt_eq(low, high).is_ok_and(|fine| fine.value(0));
        ordered(fine, &text)?;
    }
    Ok(Judge::Range { low, high, text })
}

fn ordered(fine: bool, text: &str) -> Result<(), String> {
    if fine { Ok(()) } else { Err(format!("no value is {text}")) }
}

/// The direction in which a bound between two values of the column is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Low,
    High,
}

/// A bound as a value of the column's type that accepts the same values.
fn bound(text: &str, data_type: &DataType, side: Side) -> Result<ArrayRef, String> {
    let no = |what: &str| format!("'{text}' is no {what}");
    Ok(match data_type {
        DataType::Utf8 => Arc::new(StringArray::from(vec![text])),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let bound = scaled(text, 0, side).ok_or_else(|| no("number"))?;
            // A bound beyond all values of the column accepts all of them, or none.
            let widest =
                Int64Array::from(vec![i64::try_from(bound).unwrap_or(if bound < 0 { i64::MIN } else { i64::MAX })]);
            let fits = arrow_cast::cast(&widest, data_type).map_err(|error| error.to_string())?;
            if fits.is_null(0) {
                return Err(format!("{text} lies beyond what {data_type} holds"));
            }
            fits
        }
        DataType::Decimal128(precision, scale) => {
            let bound = scaled(text, *scale, side).ok_or_else(|| no("number"))?;
            let value = Decimal128Array::from(vec![bound]).with_precision_and_scale(*precision, *scale);
            Arc::new(value.map_err(|error| error.to_string())?)
        }
        DataType::Date32 => {
            let day = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map_err(|_| no("date such as 2024-12-31"))?;
            Arc::new(Date32Array::from(vec![arrow_array::types::Date32Type::from_naive_date(day)]))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = instant(text.trim()).ok_or_else(|| no("instant such as 2024-12-31T23:00:00Z"))?;
            Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone_opt(zone.clone()))
        }
        other => return Err(format!("`min` and `max` are for numbers, text, dates and instants, and it is {other}")),
    })
}

/// Parses a timestamp, or a date, which is midnight UTC.
fn instant(text: &str) -> Option<i64> {
    let with_zone = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_micros());
    with_zone
        .or_else(|_| {
            let plain = text.replacen(' ', "T", 1);
            NaiveDateTime::parse_from_str(&plain, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc().timestamp_micros())
        })
        .ok()
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
        })
}

/// Parses a decimal as an integer of 10^-scale, rounded inwards if it is finer.
fn scaled(text: &str, scale: i8, side: Side) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::try_from(scale).ok()?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(scale)];
    let finer = fraction[kept.len()..].bytes().any(|digit| digit != b'0');
    let value: i128 = format!("0{whole}{kept:0<scale$}").parse().ok()?;
    let value = if negative { -value } else { value };
    // Truncating digits rounds towards zero; the other direction needs one more step.
    Some(match (finer, negative, side) {
        (true, false, Side::Low) => value.checked_add(1)?,
        (true, true, Side::High) => value.checked_sub(1)?,
        _ => value,
    })
}

fn one_of(values: &[String], data_type: &DataType) -> Result<Judge, String> {
    let text = values.join(", ");
    if data_type == &DataType::Utf8 {
        return Ok(Judge::Words { words: values.iter().cloned().collect(), text });
    }
    let converter = RowConverter::new(vec![SortField::new(data_type.clone())]).map_err(|error| error.to_string())?;
    let mut known = HashSet::new();
    for value in values {
        let array = match data_type {
            DataType::Boolean => match value.as_str() {
                "true" => Arc::new(BooleanArray::from(vec![true])) as ArrayRef,
                "false" => Arc::new(BooleanArray::from(vec![false])),
                _ => return Err(format!("'{value}' is neither true nor false")),
            },
            floating if floating.is_floating() => {
                return Err("`one_of` is not for floats, which are hardly ever equal to what is written".to_owned());
            }
            _ => {
                let (low, high) = (bound(value, data_type, Side::Low)?, bound(value, data_type, Side::High)?);
                if low.as_ref() != high.as_ref() {
                    return Err(format!("'{value}' is no value of {}", Named(data_type)));
                }
                low
            }
        };
        let rows = converter.convert_columns(&[array]).map_err(|error| error.to_string())?;
        known.insert(rows.row(0).as_ref().into());
    }
    Ok(Judge::Values { converter, values: known, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_between_two_values_move_inwards() {
        for (text, scale, low, high) in [
            ("1.005", 2, 101, 100),
            ("-1.005", 2, -100, -101),
            ("1.50", 1, 15, 15),
            ("7", 2, 700, 700),
            (".5", 0, 1, 0),
            ("-0.5", 0, 0, -1),
        ] {
            assert_eq!(scaled(text, scale, Side::Low), Some(low), "{text}");
            assert_eq!(scaled(text, scale, Side::High), Some(high), "{text}");
        }
        for text in ["", ".", "1e3", "0x1", "--1", "1 000"] {
            assert_eq!(scaled(text, 2, Side::Low), None, "{text:?}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(instant("1970-01-02"), Some(86_400_000_000));
        assert_eq!(instant("1970-01-01 01:00:00.5"), Some(3_600_500_000));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(instant("soon"), None);
    }
}
