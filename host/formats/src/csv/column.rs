//! One column of a block of records to one Arrow array.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::split::Records;
use crate::scalar::{self, Exactness, Texts};

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
        unquote(&self.data[marks[0].wrapping_add(1) as usize..marks[1] as usize], self.quote)
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
    pub(super) fn column(&self, field: usize, kind: &DataType, bad: &mut Vec<BadValue>) -> ArrayRef {
        if let Some(array) = scalar::column(&mut Field { block: *self, field, bad }, kind, Exactness::default()) {
            return array;
        }
        match kind {
            DataType::Binary => {
                let (offsets, values, nulls) = self.bytes(field, &[]);
                Arc::new(BinaryArray::new(offsets, values, nulls))
            }
            _ => self.strings(field, bad),
        }
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
            bad.push(BadValue { row, field, why: Why::Type });
        }
        value
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
                bad.push(BadValue { row, field, why: Why::Encoding });
                broken.push(row);
            }
        }
        let (offsets, values, nulls) = self.bytes(field, &broken);
        // Every field that is left is valid UTF-8.
        Arc::new(StringArray::new(offsets, values, nulls))
    }

    /// The column's texts one after another; those of the rows in `without` (ascending) are empty.
    fn bytes(&self, field: usize, without: &[usize]) -> (OffsetBuffer<i32>, Buffer, Option<arrow_buffer::NullBuffer>) {
        let total: usize = self.places(field).map(|place| place.len()).sum();
        let mut text = Text { bytes: vec![0; total + STEP], len: 0 };
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
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(text.bytes), nulls.finish())
    }
}

/// One field of every record.
struct Field<'a, 'b> {
    block: Block<'a>,
    field: usize,
    bad: &'b mut Vec<BadValue>,
}

impl Field<'_, '_> {
    /// The value in `place`, where row `row` has the field.
    #[inline]
    fn value<V>(&mut self, row: usize, place: Range<usize>, read: impl Fn(&[u8]) -> Option<V>) -> Option<V> {
        let block = self.block;
        let raw = &block.data[place];
        match read(raw) {
            Some(value) if block.nulls.is_empty() || !block.is_null(raw) => Some(value),
            _ => block.hard(row, self.field, raw, self.bad, read),
        }
    }
}

impl Texts for Field<'_, '_> {
    #[inline]
    fn numbers<T: ArrowPrimitiveType>(&mut self, read: impl Fn(&[u8]) -> Option<T::Native>) -> PrimitiveArray<T> {
        let rows = self.block.rows();
        let mut values = Vec::with_capacity(rows);
        let mut nulls = NullBufferBuilder::new(rows);
        for (row, place) in self.block.places(self.field).enumerate() {
            let value = self.value(row, place, &read);
            values.push(value.unwrap_or_default());
            nulls.append(value.is_some());
        }
        PrimitiveArray::new(ScalarBuffer::from(values), nulls.finish())
    }

    fn booleans(&mut self, read: impl Fn(&[u8]) -> Option<bool>) -> BooleanArray {
        let mut values = BooleanBuilder::with_capacity(self.block.rows());
        for (row, place) in self.block.places(self.field).enumerate() {
            values.append_option(self.value(row, place, &read));
        }
        values.finish()
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
