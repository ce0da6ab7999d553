//! Which data files can hold one of the keys, by what the log says of them.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use chrono::{DateTime, NaiveDate};
use parquet::basic::{LogicalType, TimeUnit as ParquetUnit};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::Value;

use super::keys::Keys;
use crate::partition::{self, normal};
use crate::read::DataRef;
use sluicebox_core::columns::same_column;

/// Keys that are unpacked at once.
const CHUNK: usize = 64 << 10;

/// What is known of the keys, column by column. All columns must let a file through.
pub(crate) struct Pruner {
    columns: Vec<(String, Known)>,
}

enum Known {
    /// The values of a partition column, as this program writes them.
    Partition { values: HashSet<Option<String>>, data_type: DataType },
    /// Integers, days or microseconds, in order.
    Integers { sorted: Vec<i64>, null: bool, unit: Unit },
    /// The least and the greatest text.
    Text { range: Option<(String, String)>, null: bool },
    /// Nothing that a file could be left out for.
    Anything,
}

#[derive(Clone, Copy)]
enum Unit {
    Number,
    Day,
    Microsecond,
}

impl Pruner {
    pub(crate) fn new(keys: &Keys, partition_by: &[String]) -> Result<Self, ArrowError> {
        let mut columns: Vec<(String, Known)> = Vec::new();
        let mut from = 0;
        while from < keys.len() {
            let to = (from + CHUNK).min(keys.len());
            let arrays = keys.arrays(from..to)?;
            for (index, array) in arrays.iter().enumerate() {
                if columns.len() == index {
                    let name = keys.columns[index].clone();
                    let partitions = partition_by.iter().any(|column| same_column(column, &name));
                    columns.push((name, Known::for_type(array.data_type(), partitions)));
                }
                columns[index].1.learn(array)?;
            }
            from = to;
        }
        for (_, known) in &mut columns {
            if let Known::Integers { sorted, .. } = known {
                sorted.sort_unstable();
                sorted.dedup();
            }
        }
        Ok(Self { columns })
    }

    /// Whether `file` can hold one of the keys; true where the log does not say.
    pub(crate) fn may_hold(&self, file: &DataRef) -> bool {
        let stats: Option<Value> = file.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok());
        self.columns.iter().all(|(name, known)| match known {
            Known::Partition { values, data_type } => {
                let own = file.partition.iter().find(|(column, _)| same_column(column, name));
                own.is_none_or(|(_, value)| match value.as_deref().filter(|text| !text.is_empty()) {
                    None => values.contains(&None),
                    Some(text) => {
                        let there = |text: String| values.contains(&Some(text));
                        // Another program may write the same value in another way.
                        there(text.to_owned())
                            || (is_spelt_freely(data_type) && normal(data_type, text).is_none_or(there))
                    }
                })
            }
            Known::Anything => true,
            Known::Integers { sorted, null, unit } => {
                let Some((low, high, nulls)) = bounds(stats.as_ref(), name) else {
                    return true;
                };
                if *null && nulls {
                    return true;
                }
                match (unit.low(low), unit.high(high)) {
                    (Some(low), Some(high)) => any_between(sorted, low, high),
                    _ => true,
                }
            }
            Known::Text { range, null } => {
                let Some((low, high, nulls)) = bounds(stats.as_ref(), name) else {
                    return true;
                };
                if *null && nulls {
                    return true;
                }
                match (range, low.as_str(), high.as_str()) {
                    (Some((min, max)), Some(low), Some(high)) => min.as_str() <= high && max.as_str() >= low,
                    // Only nulls are looked for, and the file has none.
                    (None, Some(_), Some(_)) => false,
                    _ => true,
                }
            }
        })
    }
}

impl Pruner {
    /// Whether a row group can hold one of the keys; true where the footer does not say.
    pub(super) fn may_hold_group(&self, footer: &ParquetMetaData, group: usize) -> bool {
        let columns = footer.file_metadata().schema_descr();
        self.columns.iter().all(|(name, known)| {
            let leaf = (0..columns.num_columns()).find(|leaf| match columns.column(*leaf).path().parts() {
                [column] => same_column(column, name),
                _ => false,
            });
            let Some(leaf) = leaf else {
                return true;
            };
            let Some(statistics) = footer.row_group(group).column(leaf).statistics() else {
                return true;
            };
            let may_be_null = statistics.null_count_opt() != Some(0);
            match known {
                Known::Partition { .. } | Known::Anything => true,
                Known::Integers { null, .. } if *null && may_be_null => true,
                Known::Integers { sorted, unit, .. } => {
                    let descriptor = columns.column(leaf);
                    let bounds = unit.bounds_in(descriptor.logical_type_ref(), statistics);
                    bounds.is_none_or(|(low, high)| any_between(sorted, low, high))
                }
                Known::Text { null, .. } if *null && may_be_null => true,
                Known::Text { range, .. } => match (range, statistics) {
                    (Some((min, max)), Statistics::ByteArray(bounds)) => {
                        let low = bounds.min_bytes_opt().is_none_or(|low| max.as_bytes() >= low);
                        low && bounds.max_bytes_opt().is_none_or(|high| min.as_bytes() <= high)
                    }
                    _ => true,
                },
            }
        })
    }
}

/// Whether one value of a type may be written as several texts.
fn is_spelt_freely(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Utf8)
}

fn any_between(sorted: &[i64], low: i64, high: i64) -> bool {
    let first = sorted.partition_point(|value| *value < low);
    sorted.get(first).is_some_and(|value| *value <= high)
}

/// Least, greatest, and whether there may be nulls.
fn bounds<'a>(stats: Option<&'a Value>, column: &str) -> Option<(&'a Value, &'a Value, bool)> {
    let stats = stats?;
    let low = stats.get("minValues")?.get(column)?;
    let high = stats.get("maxValues")?.get(column)?;
    let nulls = stats.get("nullCount").and_then(|counts| counts.get(column)).and_then(Value::as_i64);
    Some((low, high, nulls != Some(0)))
}

impl Unit {
    /// The bounds of a row group, where they are numbers of this unit.
    fn bounds_in(self, logical: Option<&LogicalType>, statistics: &Statistics) -> Option<(i64, i64)> {
        let fits = match (self, logical) {
            (Unit::Number, None) => true,
            (Unit::Number, Some(LogicalType::Integer(number))) => number.is_signed,
            (Unit::Day, Some(LogicalType::Date)) => true,
            (Unit::Microsecond, Some(LogicalType::Timestamp(time))) => time.unit == ParquetUnit::MICROS,
            _ => false,
        };
        match statistics {
            _ if !fits => None,
            Statistics::Int32(bounds) => Some((i64::from(*bounds.min_opt()?), i64::from(*bounds.max_opt()?))),
            Statistics::Int64(bounds) => Some((*bounds.min_opt()?, *bounds.max_opt()?)),
            _ => None,
        }
    }

    fn low(self, value: &Value) -> Option<i64> {
        match self {
            Unit::Number => value.as_i64(),
            Unit::Day => day(value.as_str()?),
            Unit::Microsecond => Some(instant(value.as_str()?)?.timestamp_micros()),
        }
    }

    fn high(self, value: &Value) -> Option<i64> {
        match self {
            // Other writers cut to milliseconds; the microseconds they cut off are still in the file.
            Unit::Microsecond => instant(value.as_str()?)?.timestamp_micros().checked_add(999),
            _ => self.low(value),
        }
    }
}

fn day(text: &str) -> Option<i64> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days())
}

fn instant(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}

impl Known {
    fn for_type(data_type: &DataType, partitions: bool) -> Self {
        if partitions {
            return Self::Partition { values: HashSet::new(), data_type: data_type.clone() };
        }
        let integers = |unit| Self::Integers { sorted: Vec::new(), null: false, unit };
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => integers(Unit::Number),
            DataType::Date32 => integers(Unit::Day),
            DataType::Timestamp(TimeUnit::Microsecond, _) => integers(Unit::Microsecond),
            DataType::Utf8 => Self::Text { range: None, null: false },
            _ => Self::Anything,
        }
    }

    fn learn(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        match self {
            Self::Anything => {}
            Self::Partition { values, .. } => {
                values.extend((0..array.len()).map(|row| partition::value(array, row)));
            }
            Self::Integers { sorted, null, .. } => {
                *null |= array.null_count() > 0;
                let array = match array.data_type() {
                    // Days have their own width; the way over 32 bits keeps their number.
                    DataType::Date32 => {
                        arrow_cast::cast(&arrow_cast::cast(array, &DataType::Int32)?, &DataType::Int64)?
                    }
                    _ => arrow_cast::cast(array, &DataType::Int64)?,
                };
                sorted.extend(array.as_primitive::<Int64Type>().iter().flatten());
            }
            Self::Text { range, null } => {
                *null |= array.null_count() > 0;
                for text in array.as_string::<i32>().iter().flatten() {
                    match range {
                        None => *range = Some((text.to_owned(), text.to_owned())),
                        Some((low, high)) => {
                            if text < low.as_str() {
                                text.clone_into(low);
                            } else if text > high.as_str() {
                                text.clone_into(high);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
