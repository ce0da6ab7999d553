//! Filters columns whose kept rows form long runs.
//!
//! Most modules drop a few rows in a hundred. Then whole runs of values can be copied at once, a few machine words at
//! a time. arrow's own filter makes a call per run, which costs more than the copy.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, BinaryType, ByteArrayType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, Utf8Type,
};
use arrow_array::{Array, ArrayRef, GenericByteArray, PrimitiveArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::take::take;

/// The average run length from which copying runs pays.
const LEAST_RUN: usize = 4;

/// The kept rows, in ascending order.
pub(crate) struct Gather<'a> {
    kept: &'a [u32],
    /// The first row and the length of each run of adjacent rows, unless runs are too short.
    runs: Option<Vec<(usize, usize)>>,
}

impl<'a> Gather<'a> {
    /// `kept` is ascending; a column with as many rows is returned unchanged.
    pub(crate) fn new(kept: &'a [u32]) -> Self {
        Self { kept, runs: runs(kept) }
    }

    /// The kept rows of a column.
    pub(crate) fn of(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        // Rows are kept at most once, so this means all of them.
        if self.kept.len() == column.len() {
            return Ok(column.clone());
        }
        if let Some(last) = self.kept.last().filter(|last| **last as usize >= column.len()) {
            let rows = column.len();
            return Err(ArrowError::InvalidArgumentError(format!("row {last} was kept of a column with {rows} rows")));
        }
        match self.runs.as_ref().and_then(|runs| copy(runs, self.kept.len(), column)) {
            Some(copied) => Ok(copied),
            None => take(column, &UInt32Array::from(self.kept.to_vec()), None),
        }
    }
}

fn runs(kept: &[u32]) -> Option<Vec<(usize, usize)>> {
    let most = kept.len() / LEAST_RUN;
    let mut runs: Vec<(usize, usize)> = Vec::with_capacity(kept.len() / 16 + 1);
    let mut from = 0;
    while from < kept.len() {
        let first = kept[from];
        let mut to = from + 1;
        while to < kept.len() && kept[to].wrapping_sub(first) as usize == to - from {
            to += 1;
        }
        if runs.len() == most {
            return None;
        }
        runs.push((first as usize, to - from));
        from = to;
    }
    Some(runs)
}

/// The kept rows of a column; `None` for a type that is not handled here.
fn copy(runs: &[(usize, usize)], rows: usize, column: &ArrayRef) -> Option<ArrayRef> {
    Some(match column.data_type() {
        DataType::Int8 => numbers::<Int8Type>(runs, rows, column),
        DataType::Int16 => numbers::<Int16Type>(runs, rows, column),
        DataType::Int32 => numbers::<Int32Type>(runs, rows, column),
        DataType::Int64 => numbers::<Int64Type>(runs, rows, column),
        DataType::Float32 => numbers::<Float32Type>(runs, rows, column),
        DataType::Float64 => numbers::<Float64Type>(runs, rows, column),
        DataType::Date32 => numbers::<Date32Type>(runs, rows, column),
        DataType::Decimal128(..) => numbers::<Decimal128Type>(runs, rows, column),
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbers::<TimestampMicrosecondType>(runs, rows, column),
        DataType::Utf8 => bytes::<Utf8Type>(runs, rows, column),
        DataType::Binary => bytes::<BinaryType>(runs, rows, column),
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType>(runs: &[(usize, usize)], rows: usize, column: &ArrayRef) -> ArrayRef {
    let column = column.as_primitive::<T>();
    let mut kept: Vec<T::Native> = Vec::with_capacity(rows + WORDS);
    runs.iter().for_each(|(first, rows)| append(&mut kept, column.values(), *first, *rows));
    let kept = PrimitiveArray::<T>::new(ScalarBuffer::from(kept), nulls(runs, rows, column.nulls()));
    Arc::new(kept.with_data_type(column.data_type().clone()))
}

fn bytes<T: ByteArrayType<Offset = i32>>(runs: &[(usize, usize)], rows: usize, column: &ArrayRef) -> ArrayRef {
    let column = column.as_bytes::<T>();
    let (offsets, values) = (column.value_offsets(), column.value_data());
    let mut ends: Vec<i32> = Vec::with_capacity(rows + 1);
    ends.push(0);
    // All bytes of the column are more than enough; a tighter bound would cost counting them.
    let span = offsets[offsets.len() - 1] - offsets[0];
    let mut kept: Vec<u8> = Vec::with_capacity(usize::try_from(span).unwrap_or_default() + WORDS);
    for (first, rows) in runs {
        let run = &offsets[*first..=first + rows];
        let moved = run[0] - kept.len() as i32;
        ends.extend(run[1..].iter().map(|end| end - moved));
        // Offsets of an array rise and are not negative.
        append(&mut kept, values, run[0] as usize, (run[*rows] - run[0]) as usize);
    }
    // SAFETY: each offset is the end of a whole value of a valid array, moved by the bytes left
    // out before it, so the offsets rise from 0 to the length of `kept`.
    let ends = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(ends)) };
    // SAFETY: the values are whole values of a valid array of the same type, in the order of
    // `ends`, and there are as many nulls as values.
    Arc::new(unsafe { GenericByteArray::<T>::new_unchecked(ends, kept.into(), nulls(runs, rows, column.nulls())) })
}

/// Values copied at a time.
const WORDS: usize = 16;

/// Appends `count` values from `first` on. A short run is copied in whole steps, past its end where
/// both sides have room, because that takes no call and no branch for its last values.
#[inline]
fn append<T: Copy>(to: &mut Vec<T>, from: &[T], first: usize, count: usize) {
    let steps = count.div_ceil(WORDS);
    let (start, whole) = (to.len(), steps * WORDS);
    if steps > 16 || first + whole > from.len() || start + whole > to.capacity() {
        to.extend_from_slice(&from[first..first + count]);
        return;
    }
    // SAFETY: `whole` values from `first` on lie within `from`, and `whole` values from the end of
    // `to` on within what is reserved for it, both by the check above. `count` is at most `whole`, so
    // every value up to the new length has been written.
    unsafe {
        let (source, target) = (from.as_ptr().add(first), to.as_mut_ptr().add(start));
        for step in 0..steps {
            let at = step * WORDS;
            target.add(at).cast::<[T; WORDS]>().write_unaligned(source.add(at).cast::<[T; WORDS]>().read_unaligned());
        }
        to.set_len(start + count);
    }
}

fn nulls(runs: &[(usize, usize)], rows: usize, nulls: Option<&NullBuffer>) -> Option<NullBuffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
    let mut kept = Bits::new(rows);
    for (first, rows) in runs {
        let (mut first, end) = (nulls.offset() + first, nulls.offset() + first + rows);
        while first < end {
            let bits = (end - first).min(Bits::AT_ONCE);
            kept.push(word(nulls.validity(), first), bits);
            first += bits;
        }
    }
    Some(NullBuffer::new(kept.finish())).filter(|nulls| nulls.null_count() > 0)
}

/// At least 57 bits from `bit` on, as far as there are any; the rest are 0.
#[inline]
fn word(bytes: &[u8], bit: usize) -> u64 {
    let from = bit / 8;
    let mut word = [0; 8];
    match bytes.get(from..from + 8) {
        Some(eight) => word.copy_from_slice(eight),
        None => {
            let rest = &bytes[from..];
            word[..rest.len()].copy_from_slice(rest);
        }
    }
    u64::from_le_bytes(word) >> (bit % 8)
}

/// A bitmap builder.
struct Bits {
    words: Vec<u64>,
    /// Bits that do not fill a word yet, and their number.
    last: u64,
    held: usize,
}

impl Bits {
    /// The most bits pushed at once.
    const AT_ONCE: usize = 56;

    fn new(bits: usize) -> Self {
        Self { words: Vec::with_capacity(bits / 64 + 1), last: 0, held: 0 }
    }

    /// Adds the lowest `bits` bits, of which there are 1 to [`Self::AT_ONCE`].
    #[inline]
    fn push(&mut self, word: u64, bits: usize) {
        let word = word & ((1 << bits) - 1);
        self.last |= word << self.held;
        if self.held + bits >= 64 {
            self.words.push(self.last);
            // Fewer bits than a word remain, and none if the word was exactly filled.
            self.last = word.checked_shr((64 - self.held) as u32).unwrap_or(0);
            self.held = self.held + bits - 64;
        } else {
            self.held += bits;
        }
    }

    fn finish(mut self) -> BooleanBuffer {
        let bits = self.words.len() * 64 + self.held;
        self.words.push(self.last);
        BooleanBuffer::new(Buffer::from_vec(self.words), 0, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Decimal128Array, Float64Array, Int8Array, Int32Array, Int64Array, StringArray};

    #[test]
    fn gathers_what_take_gathers() {
        let rows = 1_000;
        let some = |row: usize| (!row.is_multiple_of(7)).then_some(row);
        let columns: [ArrayRef; 7] = [
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
            Arc::new(Int8Array::from_iter_values((0..rows).map(|row| (row % 100) as i8))),
            Arc::new(Int32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i32)))),
            Arc::new(Float64Array::from_iter((0..rows).map(|row| some(row).map(|row| row as f64)))),
            Arc::new(StringArray::from_iter((0..rows).map(|row| some(row).map(|row| "é".repeat(row % 5))))),
            Arc::new(
                Decimal128Array::from_iter_values((0..rows as i128).map(|row| row - 5))
                    .with_data_type(DataType::Decimal128(10, 2)),
            ),
            Arc::new(BooleanArray::from_iter((0..rows).map(|row| some(row).map(|row| row % 3 == 0)))),
        ];
        let all = |keep: fn(&u32) -> bool| (0..950u32).filter(keep).collect::<Vec<_>>();
        let choices: [fn(&u32) -> bool; 6] =
            [|row| row % 20 != 3, |row| *row > 5, |row| row % 6 != 0, |row| row % 2 == 0, |_| false, |row| *row < 900];
        for kept in choices.map(all) {
            let gather = Gather::new(&kept);
            for column in &columns {
                // A slice begins and ends inside of its buffers, bitmaps included.
                for column in [column.slice(33, 950), column.slice(50, 950)] {
                    let expected = take(&column, &UInt32Array::from(kept.clone()), None).unwrap();
                    assert_eq!(&gather.of(&column).unwrap(), &expected);
                }
            }
        }
    }

    #[test]
    fn rows_beyond_the_column_are_an_error() {
        let column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..10));
        let kept: Vec<u32> = (0..20).collect();
        let error = Gather::new(&kept).of(&column).unwrap_err().to_string();
        assert!(error.contains("row 19 was kept of a column with 10 rows"), "{error}");
    }
}
