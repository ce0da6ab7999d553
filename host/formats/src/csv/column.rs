//! One column of a block of records to one Arrow array.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::records::Records;
use crate::reading::Reading;
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
    /// How they are written.
    pub(super) style: Style,
    /// Texts that mean null, besides the empty one.
    pub(super) nulls: &'a [Vec<u8>],
}

/// How texts are written in fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Around fields; the delimiter where quotes mean nothing, since no field begins with that.
    pub(super) quote: u8,
    /// What takes their meaning from the bytes behind it, if anything does.
    pub(super) escape: Option<u8>,
    /// Between fields.
    pub(super) delimiter: u8,
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
        let end = match self.records.uneven.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(found) => self.records.uneven[found].1,
            Err(_) => marks[self.fields] as usize,
        };
        marks[0].wrapping_add(1) as usize..end
    }

    /// The bytes of a field; one that its record lacks lies behind it, and has none.
    #[inline]
    fn bytes_at(&self, place: Range<usize>) -> &'a [u8] {
        self.data.get(place).unwrap_or_default()
    }

    /// One field's text, quotes resolved.
    pub(super) fn text(&self, row: usize, field: usize) -> Cow<'a, [u8]> {
        let marks = &self.records.marks[row * (self.fields + 1) + field..];
        self.resolve(self.bytes_at(marks[0].wrapping_add(1) as usize..marks[1] as usize))
    }

    /// The text that is written as `raw`.
    fn resolve(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        match self.style.escape {
            Some(escape) if self.records.escaped && memchr::memchr(escape, raw).is_some() => {
                Cow::Owned(unescape(raw, escape, self.style))
            }
            _ => unquote(raw, self.style.quote),
        }
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
    pub(super) fn column(&self, field: usize, kind: &DataType, reading: &Reading, bad: &mut Vec<BadValue>) -> ArrayRef {
        let texts = &mut Field { block: *self, field, bad };
        if let Some(array) = scalar::column(texts, kind, reading, Exactness::default()) {
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
        raw: &'a [u8],
        bad: &mut Vec<BadValue>,
        read: impl Fn(&[u8]) -> Option<V>,
    ) -> Option<V> {
        let text = self.resolve(raw);
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
            let raw = self.bytes_at(place.clone());
            let mut valid = true;
            if without.peek() == Some(&&row) {
                without.next();
            } else if self.records.quoted && raw.first() == Some(&self.style.quote) {
                // A quoted text is never null, so that the empty text can be told from none.
                text.push(&self.resolve(raw));
            } else if self.is_null(raw) {
                valid = false;
            } else if self.records.escaped {
                text.push(&self.resolve(raw));
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
        let raw = block.bytes_at(place);
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
            // The closing quote, behind which nothing stands.
            rest = &rest[at + 1..];
            break;
        }
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// A field's text where it has escapes: a quote, a delimiter, a line end or another escape behind one stands for
/// itself; an escape before anything else does so, too.
fn unescape(raw: &[u8], escape: u8, style: Style) -> Vec<u8> {
    let (quoted, inside) = match raw {
        [first, inside @ .., last] if *first == style.quote && *last == style.quote => (true, inside),
        _ => (false, raw),
    };
    let mut text = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let [byte, behind @ ..] = rest {
        let next = behind.first().copied();
        let stands_for_next = (*byte == escape
            && next.is_some_and(|next| {
                next == style.quote || next == style.delimiter || next == escape || matches!(next, b'\n' | b'\r')
            }))
            || (quoted && *byte == style.quote && next == Some(style.quote));
        match next {
            Some(next) if stands_for_next => {
                text.push(next);
                rest = &behind[1..];
            }
            _ => {
                text.push(*byte);
                rest = behind;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Style, unescape, unquote};

    #[test]
    fn escapes_are_resolved() {
        let style = Style { quote: b'"', escape: Some(b'\\'), delimiter: b',' };
        for (raw, text) in [
            (r#""He said \"hi\"""#, r#"He said "hi""#),
            (r#""size 5\"""#, r#"size 5""#),
            (r"a\,b", "a,b"),
            (r"C:\\dir\new", r"C:\dir\new"),
            (r#""a""b\n""#, r#"a"b\n"#),
            ("a\\\nb", "a\nb"),
            ("\\N", "\\N"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(unescape(raw.as_bytes(), b'\\', style), text.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn quotes_are_resolved() {
        for (raw, text) in [
            ("", ""),
            ("a", "a"),
            ("\"\"", ""),
            ("\"a\"", "a"),
            ("\"a\"\"b\"", "a\"b"),
            ("\"\"\"\"", "\""),
            ("a\"b", "a\"b"),
        ] {
            assert_eq!(&*unquote(raw.as_bytes(), b'"'), text.as_bytes(), "{raw}");
        }
    }
}
