//! One column of a block of records to one Arrow array.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

use super::split::Records;
use super::value;

/// Some records of a window.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// The window.
    pub(super) data: &'a [u8],
    /// Where the fields lie.
    pub(super) records: &'a Records,
    /// Fields of a record.
    pub(super) fields: usize,
    /// The quote.
    pub(super) quote: u8,
    /// Texts that mean null, besides the empty one.
    pub(super) nulls: &'a [Vec<u8>],
}

/// A value that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BadValue {
    /// The row of the block.
    pub(super) row: usize,
    /// The field in the file.
    pub(super) field: usize,
    /// Why.
    pub(super) why: Why,
}

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its bytes are not UTF-8.
    Encoding,
    /// It is not of the column's type.
    Type,
    /// It is null, and the column must not be.
    Null,
}

/// Whether text can be read into that type.
pub(super) fn readable(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8
            | DataType::Binary
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Decimal128(_, _)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

impl<'a> Block<'a> {
    /// How many good records there are.
    pub(super) fn rows(&self) -> usize {
        self.records.marks.len() / (self.fields + 1)
    }

    /// The whole record, without its line end: where it lies in the window.
    pub(super) fn record(&self, row: usize) -> Range<usize> {
        let marks = &self.records.marks[row * (self.fields + 1)..];
        marks[0].wrapping_add(1) as usize..marks[self.fields] as usize
    }

    /// One field's text, quotes resolved.
    pub(super) fn text(&self, row: usize, field: usize) -> Cow<'a, [u8]> {
        let marks = &self.records.marks[row * (self.fields + 1) + field..];
        unquote(
            &self.data[marks[0].wrapping_add(1) as usize..marks[1] as usize],
            self.quote,
        )
    }

    /// Where every row's field lies in the window, quotes and all.
    #[inline]
    fn places(&self, field: usize) -> impl Iterator<Item = Range<usize>> + use<'a> {
        self.records
            .marks
            .chunks_exact(self.fields + 1)
            .map(move |marks| marks[field].wrapping_add(1) as usize..marks[field + 1] as usize)
    }

    #[inline]
    fn is_null(&self, text: &[u8]) -> bool {
        text.is_empty() || (!self.nulls.is_empty() && self.nulls.iter().any(|null| null == text))
    }

    /// Field `field` as an array of `kind`; what is not readable is null and in `bad`.
    pub(super) fn column(
        &self,
        field: usize,
        kind: &DataType,
        bad: &mut Vec<BadValue>,
    ) -> ArrayRef {
        match kind {
            DataType::Int8 => self.integers::<Int8Type>(field, bad),
            DataType::Int16 => self.integers::<Int16Type>(field, bad),
            DataType::Int32 => self.integers::<Int32Type>(field, bad),
            DataType::Int64 => Arc::new(self.values::<Int64Type>(field, bad, value::integer)),
            DataType::Float32 => Arc::new(self.values::<Float32Type>(field, bad, |text| {
                // Straight from text: through a double it would be rounded twice.
                std::str::from_utf8(text).ok()?.parse().ok()
            })),
            DataType::Float64 => Arc::new(self.values::<Float64Type>(field, bad, value::float)),
            DataType::Date32 => Arc::new(self.values::<Date32Type>(field, bad, value::date)),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
                self.values::<TimestampMicrosecondType>(field, bad, value::timestamp)
                    .with_timezone_opt(zone.clone()),
            ),
            DataType::Decimal128(precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                let values = self.values::<Decimal128Type>(field, bad, |text| {
                    value::decimal(text, precision, scale)
                });
                Arc::new(values.with_data_type(DataType::Decimal128(precision, scale)))
            }
            DataType::Boolean => self.booleans(field, bad),
            DataType::Binary => {
                let (offsets, values, nulls) = self.bytes(field, &[]);
                Arc::new(BinaryArray::new(offsets, values, nulls))
            }
            _ => self.strings(field, bad),
        }
    }

    fn integers<T>(&self, field: usize, bad: &mut Vec<BadValue>) -> ArrayRef
    where
        T: ArrowPrimitiveType,
        T::Native: TryFrom<i64>,
    {
        Arc::new(self.values::<T>(field, bad, |text| {
            T::Native::try_from(value::integer(text)?).ok()
        }))
    }

    #[inline]
    fn values<T: ArrowPrimitiveType>(
        &self,
        field: usize,
        bad: &mut Vec<BadValue>,
        read: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> PrimitiveArray<T> {
        let mut values = Vec::with_capacity(self.rows());
        let mut nulls = NullBufferBuilder::new(self.rows());
        for (row, place) in self.places(field).enumerate() {
            let raw = &self.data[place];
            let value = match read(raw) {
                Some(value) if self.nulls.is_empty() || !self.is_null(raw) => Some(value),
                _ => self.hard(row, field, raw, bad, &read),
            };
            match value {
                Some(value) => {
                    values.push(value);
                    nulls.append_non_null();
                }
                None => {
                    values.push(T::Native::default());
                    nulls.append_null();
                }
            }
        }
        PrimitiveArray::new(ScalarBuffer::from(values), nulls.finish())
    }

    /// What is not plainly a value: null, quoted, with spaces around it, or bad.
    fn hard<V>(
        &self,
        row: usize,
        field: usize,
        raw: &[u8],
        bad: &mut Vec<BadValue>,
        read: impl Fn(&[u8]) -> Option<V>,
    ) -> Option<V> {
        let text = unquote(raw, self.quote);
        let trimmed = text.trim_ascii();
        if self.is_null(trimmed) || self.is_null(&text) {
            return None;
        }
        let value = read(trimmed);
        if value.is_none() {
            bad.push(BadValue {
                row,
                field,
                why: Why::Type,
            });
        }
        value
    }

    fn booleans(&self, field: usize, bad: &mut Vec<BadValue>) -> ArrayRef {
        let mut values = BooleanBuilder::with_capacity(self.rows());
        for (row, place) in self.places(field).enumerate() {
            let raw = &self.data[place];
            let value = match value::boolean(raw) {
                Some(value) if self.nulls.is_empty() || !self.is_null(raw) => Some(value),
                _ => self.hard(row, field, raw, bad, value::boolean),
            };
            values.append_option(value);
        }
        Arc::new(values.finish())
    }

    fn strings(&self, field: usize, bad: &mut Vec<BadValue>) -> ArrayRef {
        let (offsets, values, nulls) = self.bytes(field, &[]);
        if let Ok(strings) = StringArray::try_new(offsets, values, nulls) {
            return Arc::new(strings);
        }
        // Some field is not UTF-8: find which, and leave them out.
        let mut broken = Vec::new();
        for row in 0..self.rows() {
            if std::str::from_utf8(&self.text(row, field)).is_err() {
                bad.push(BadValue {
                    row,
                    field,
                    why: Why::Encoding,
                });
                broken.push(row);
            }
        }
        let (offsets, values, nulls) = self.bytes(field, &broken);
        // Every field that is left is valid UTF-8.
        Arc::new(StringArray::new(offsets, values, nulls))
    }

    /// The column's texts one after another; those of the rows in `without` (ascending) are empty.
    fn bytes(
        &self,
        field: usize,
        without: &[usize],
    ) -> (OffsetBuffer<i32>, Buffer, Option<arrow_buffer::NullBuffer>) {
        let total: usize = self.places(field).map(|place| place.len()).sum();
        let mut text = Text {
            bytes: vec![0; total + STEP],
            len: 0,
        };
        let mut offsets = Vec::with_capacity(self.rows() + 1);
        let mut nulls = NullBufferBuilder::new(self.rows());
        let mut without = without.iter().peekable();
        offsets.push(0);
        for (row, place) in self.places(field).enumerate() {
            let raw = &self.data[place.clone()];
            let mut valid = true;
            if without.peek() == Some(&&row) {
                without.next();
            } else if self.records.quoted && raw.first() == Some(&self.quote) {
                // A quoted text is never null, so that the empty text can be told from none.
                text.push(&unquote(raw, self.quote));
            } else if self.is_null(raw) {
                valid = false;
            } else {
                text.push_from(self.data, place);
            }
            nulls.append(valid);
            offsets.push(text.len as i32);
        }
        text.bytes.truncate(text.len);
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Buffer::from_vec(text.bytes),
            nulls.finish(),
        )
    }
}

/// Short fields are copied in steps of a fixed size: that is two instructions, where a copy
/// of any length is a call.
const STEP: usize = 16;

struct Text {
    /// Longer than needed by one step.
    bytes: Vec<u8>,
    len: usize,
}

impl Text {
    #[inline]
    fn push(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    /// Adds what lies there in `data`.
    #[inline]
    fn push_from(&mut self, data: &[u8], place: Range<usize>) {
        if place.len() <= STEP
            && let Some(step) = data.get(place.start..place.start + STEP)
            && let Some(space) = self.bytes.get_mut(self.len..self.len + STEP)
        {
            space.copy_from_slice(step);
            self.len += place.len();
        } else {
            self.push(&data[place]);
        }
    }
}

/// A field's text: quotes around it go, doubled ones inside become one.
pub(super) fn unquote(raw: &[u8], quote: u8) -> Cow<'_, [u8]> {
    let Some((first, inside)) = raw.split_first() else {
        return Cow::Borrowed(raw);
    };
    if *first != quote {
        return Cow::Borrowed(raw);
    }
    let closing = memchr::memchr(quote, inside);
    match closing {
        Some(at) if at + 1 == inside.len() => return Cow::Borrowed(&inside[..at]),
        _ => {}
    }
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(quote, rest) {
        text.extend_from_slice(&rest[..at]);
        if rest.get(at + 1) == Some(&quote) {
            text.push(quote);
            rest = &rest[at + 2..];
        } else {
            // The closing quote; what follows it belongs to the field as it is.
            rest = &rest[at + 1..];
            break;
        }
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn quotes_are_resolved() {
        for (raw, text) in [
            ("", ""),
            ("a", "a"),
            ("\"\"", ""),
            ("\"a\"", "a"),
            ("\"a\"\"b\"", "a\"b"),
            ("\"a\"b\"c", "ab\"c"),
            ("\"\"\"\"", "\""),
            ("a\"b", "a\"b"),
        ] {
            assert_eq!(&*unquote(raw.as_bytes(), b'"'), text.as_bytes(), "{raw}");
        }
    }
}
