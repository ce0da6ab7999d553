//! INT96 timestamps: a day and nanoseconds of it. What microseconds do not hold is marked on the page,
//! before the decoder would turn it into some other time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow_select::nullif::nullif;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::delta::values_at;

/// A value's bytes: nanoseconds, and the day by Julian count.
const BYTES: usize = 12;
/// 1970-01-01.
const EPOCH: i64 = 2_440_588;
const DAY: i64 = 86_400_000_000;

/// A mark is a day on which the decoder's sum wraps around to this, and a number of microseconds more.
/// No time that anybody counts is there.
const MARK_DAY: i64 = 106_751_992;
const MARKS_FROM: i64 = MARK_DAY.wrapping_mul(DAY);

/// Marked values that are remembered as they were.
const REMEMBERED: usize = 1 << 16;

/// Marks of values that microseconds do not hold.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Digits of a second beyond the sixth may be cut off.
    cut: bool,
    values: Mutex<Vec<Int96>>,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Int96 {
    day: u32,
    nanos: i64,
}

impl Int96 {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (nanos, day) = bytes.split_first_chunk()?;
        Some(Self { day: u32::from_le_bytes(*day.first_chunk()?), nanos: i64::from_le_bytes(*nanos) })
    }

    fn write(self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.nanos.to_le_bytes());
        bytes[8..BYTES].copy_from_slice(&self.day.to_le_bytes());
    }

    /// Whether microseconds hold it.
    fn fits(self, cut: bool) -> bool {
        let day = i64::from(self.day) - EPOCH;
        let micros = day.checked_mul(DAY).and_then(|day| day.checked_add(self.nanos / 1_000));
        micros.is_some_and(|micros| micros >= MARKS_FROM.saturating_add(i64::from(u32::MAX)))
            && (cut || self.nanos % 1_000 == 0)
    }
}

impl fmt::Display for Int96 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = TimeDelta::try_days(i64::from(self.day) - EPOCH)
            .and_then(|day| DateTime::UNIX_EPOCH.checked_add_signed(day + TimeDelta::nanoseconds(self.nanos)));
        match time {
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.9f")),
            None => write!(f, "day {} and {} ns", self.day, self.nanos),
        }
    }
}

impl Marks {
    /// Marks what is out of range and, if not `cut`, what has digits below microseconds.
    pub(super) fn new(cut: bool) -> Self {
        Self { cut, values: Mutex::default() }
    }

    /// A page of INT96 with marks in the place of what does not fit.
    pub(super) fn mark(&self, page: Page, column: &ColumnDescriptor) -> Result<Page> {
        #[allow(deprecated, reason = "old files have it")]
        let plain = matches!(page.encoding(), Encoding::PLAIN | Encoding::PLAIN_DICTIONARY)
            && (page.is_dictionary_page() || page.encoding() == Encoding::PLAIN);
        let Some(from) = values_at(&page, column).filter(|_| plain) else { return Ok(page) };
        let whole = |bytes: &[u8]| {
            bytes.chunks_exact(BYTES).all(|value| Int96::read(value).is_none_or(|value| value.fits(self.cut)))
        };
        if page.buffer().get(from..).is_none_or(whole) {
            return Ok(page);
        }
        let mut bytes = page.buffer().to_vec();
        for slot in bytes[from..].chunks_exact_mut(BYTES) {
            if let Some(value) = Int96::read(slot).filter(|value| !value.fits(self.cut)) {
                self.remember(value).write(slot);
            }
        }
        Ok(with_buffer(page, bytes.into()))
    }

    fn remember(&self, value: Int96) -> Int96 {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() < REMEMBERED {
            values.push(value);
        }
        let number = if values.last() == Some(&value) { values.len() - 1 } else { REMEMBERED };
        Int96 { day: (MARK_DAY + EPOCH) as u32, nanos: number as i64 * 1_000 }
    }

    /// Whether anything was marked so far.
    pub(super) fn any(&self) -> bool {
        !self.values.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was marked in a row of a column, if something was, as it is written.
    pub(super) fn find(&self, array: &ArrayRef, row: usize) -> Option<String> {
        let micros = first_mark(&array.slice(row, 1))?;
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let number = usize::try_from(micros - MARKS_FROM).ok()?;
        Some(values.get(number).map_or_else(|| "a time".to_owned(), Int96::to_string))
    }
}

fn is_mark(micros: i64) -> bool {
    (MARKS_FROM..=MARKS_FROM + REMEMBERED as i64).contains(&micros)
}

fn first_mark(array: &dyn Array) -> Option<i64> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().iter().flatten().find(|micros| is_mark(*micros))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().find_map(|column| first_mark(column)),
        DataType::List(_) => array.as_list::<i32>().iter().flatten().find_map(|items| first_mark(&items)),
        DataType::Map(..) => array
            .as_map()
            .iter()
            .flatten()
            .find_map(|entries| entries.columns().iter().find_map(|column| first_mark(column))),
        _ => None,
    }
}

/// The same column with null in the place of marks at its top, so that it can be shown.
pub(super) fn without_marks(array: &ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => {
            let marked: BooleanArray = times.iter().map(|micros| Some(micros.is_some_and(is_mark))).collect();
            nullif(array, &marked).unwrap_or_else(|_| array.clone())
        }
        None => array.clone(),
    }
}

fn with_buffer(page: Page, buffer: Bytes) -> Page {
    match page {
        Page::DataPage { num_values, encoding, def_level_encoding, rep_level_encoding, statistics, .. } => {
            Page::DataPage { buf: buffer, num_values, encoding, def_level_encoding, rep_level_encoding, statistics }
        }
        Page::DataPageV2 {
            num_values,
            encoding,
            num_nulls,
            num_rows,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed,
            statistics,
            ..
        } => Page::DataPageV2 {
            buf: buffer,
            num_values,
            encoding,
            num_nulls,
            num_rows,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed,
            statistics,
        },
        Page::DictionaryPage { num_values, encoding, is_sorted, .. } => {
            Page::DictionaryPage { buf: buffer, num_values, encoding, is_sorted }
        }
    }
}

/// The columns of a file with microseconds in the place of the nanoseconds that INT96 is read as by
/// itself, which hold three centuries.
pub(super) fn in_micros(fields: &Fields, schema: &SchemaDescriptor) -> Fields {
    let mut leaf = 0;
    fields.iter().map(|field| micros_field(field, schema, &mut leaf)).collect()
}

fn micros_field(field: &FieldRef, schema: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| micros_field(field, schema, leaf)).collect())
        }
        DataType::List(item) => DataType::List(micros_field(item, schema, leaf)),
        DataType::Map(entries, sorted) => DataType::Map(micros_field(entries, schema, leaf), *sorted),
        other => {
            let physical = schema.columns().get(*leaf).map(|column| column.physical_type());
            *leaf += 1;
            match other {
                DataType::Timestamp(TimeUnit::Nanosecond, zone) if physical == Some(Type::INT96) => {
                    DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                }
                other => other.clone(),
            }
        }
    };
    Field::clone(field).with_data_type(kind).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_microseconds_hold() {
        let day = |year: i32| chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap().to_epoch_days();
        for year in [1, 1500, 1970, 9999] {
            let value = Int96 { day: u32::try_from(i64::from(day(year)) + EPOCH).unwrap(), nanos: 86_399_999_999_000 };
            assert!(value.fits(false), "{year}");
            let finer = Int96 { nanos: value.nanos + 1, ..value };
            assert!(finer.fits(true) && !finer.fits(false), "{year}");
        }
        assert!(!Int96 { day: u32::MAX, nanos: 0 }.fits(true));
        let finer = Int96 { day: EPOCH as u32, nanos: 1 };
        assert_eq!(finer.to_string(), "1970-01-01T00:00:00.000000001");
        let marks = Marks::new(false);
        for number in 0..3 {
            let mark = marks.remember(finer);
            let sum = i64::from(mark.day).wrapping_sub(EPOCH).wrapping_mul(DAY).wrapping_add(mark.nanos / 1_000);
            assert!(is_mark(sum));
            assert_eq!(sum - MARKS_FROM, number);
        }
    }
}
