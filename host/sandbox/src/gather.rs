//! Filters columns whose kept rows form long runs.
//!
//! A cleaning module drops a few rows in a hundred. Then whole runs of values can be copied at once. arrow's filter
//! does this too, except for text.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{Array, ArrayRef, GenericByteArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

/// The average run length from which copying runs pays.
const LEAST_RUN: usize = 4;

/// The kept rows, as runs of adjacent rows.
pub(super) struct Runs {
    /// First row and number of rows, in rising order.
    runs: Vec<(usize, usize)>,
    kept: usize,
}

impl Runs {
    /// The runs of the ascending indices `kept`; `None` if they are too short.
    pub(super) fn of(kept: &[u32]) -> Option<Self> {
        let most = kept.len() / LEAST_RUN;
        let mut runs: Vec<(usize, usize)> = Vec::with_capacity(kept.len() / 16 + 1);
        let mut from = 0;
        while from < kept.len() {
            let first = kept[from];
            // Runs are long here, but the next few rows are checked first.
            let mut to = from + 1;
            while to < kept.len() && kept[to] - first == (to - from) as u32 {
                to += 1;
            }
            if runs.len() == most {
                return None;
            }
            runs.push((first as usize, to - from));
            from = to;
        }
        Some(Self { runs, kept: kept.len() })
    }

    /// Sets the bit of every row; the rows lie within `words`.
    pub(super) fn mark(&self, words: &mut [u64]) {
        for (first, rows) in &self.runs {
            let (mut first, end) = (*first, first + rows);
            while first < end {
                let bits = (end - first).min(64 - first % 64);
                words[first / 64] |= (u64::MAX >> (64 - bits)) << (first % 64);
                first += bits;
            }
        }
    }

    /// The kept rows of a column; `None` for a type that is not handled here.
    pub(super) fn of_column(&self, column: &ArrayRef) -> Option<ArrayRef> {
        Some(match column.data_type() {
            DataType::Int8 => self.numbers::<Int8Type>(column),
            DataType::Int16 => self.numbers::<Int16Type>(column),
            DataType::Int32 => self.numbers::<Int32Type>(column),
            DataType::Int64 => self.numbers::<Int64Type>(column),
            DataType::Float32 => self.numbers::<Float32Type>(column),
            DataType::Float64 => self.numbers::<Float64Type>(column),
            DataType::Date32 => self.numbers::<Date32Type>(column),
            DataType::Decimal128(..) => self.numbers::<Decimal128Type>(column),
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.numbers::<TimestampMicrosecondType>(column),
            DataType::Utf8 => self.bytes::<Utf8Type>(column),
            DataType::Binary => self.bytes::<BinaryType>(column),
            _ => return None,
        })
    }

    fn numbers<T: ArrowPrimitiveType>(&self, column: &ArrayRef) -> ArrayRef {
        let column = column.as_primitive::<T>();
        let values = column.values();
        let mut kept: Vec<T::Native> = Vec::with_capacity(self.kept + STEP);
        for (first, rows) in &self.runs {
            append(&mut kept, values, *first, *rows);
        }
        let kept = PrimitiveArray::<T>::new(ScalarBuffer::from(kept), self.nulls(column.nulls()));
        Arc::new(kept.with_data_type(column.data_type().clone()))
    }

    fn bytes<T: ByteArrayType<Offset = i32>>(&self, column: &ArrayRef) -> ArrayRef {
        let column = column.as_bytes::<T>();
        let (offsets, values) = (column.value_offsets(), column.value_data());
        let mut ends: Vec<i32> = Vec::with_capacity(self.kept + 1);
        ends.push(0);
        // All bytes of the column are more than enough; a tighter bound would cost counting them.
        let span = offsets[offsets.len() - 1] - offsets[0];
        let mut kept: Vec<u8> = Vec::with_capacity(usize::try_from(span).unwrap_or_default() + STEP);
        for (first, rows) in &self.runs {
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
        Arc::new(unsafe { GenericByteArray::<T>::new_unchecked(ends, kept.into(), self.nulls(column.nulls())) })
    }

    fn nulls(&self, nulls: Option<&NullBuffer>) -> Option<NullBuffer> {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
        let mut kept = Bits::new(self.kept);
        for (first, rows) in &self.runs {
            let (mut first, end) = (nulls.offset() + first, nulls.offset() + first + rows);
            while first < end {
                let bits = (end - first).min(Bits::AT_ONCE);
                kept.push(word(nulls.validity(), first), bits);
                first += bits;
            }
        }
        Some(NullBuffer::new(kept.finish())).filter(|nulls| nulls.null_count() > 0)
    }
}

/// Values copied at a time.
const STEP: usize = 16;

/// Appends `count` values from `first` on. A short run is copied in whole steps, past its end where
/// both sides have room: that takes no call and no branch for its last values.
#[inline]
fn append<T: Copy>(to: &mut Vec<T>, from: &[T], first: usize, count: usize) {
    let steps = count.div_ceil(STEP);
    let (start, whole) = (to.len(), steps * STEP);
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
            let at = step * STEP;
            target.add(at).cast::<[T; STEP]>().write_unaligned(source.add(at).cast::<[T; STEP]>().read_unaligned());
        }
        to.set_len(start + count);
    }
}

/// At least 57 bits from `bit` on, as far as there are any; the rest are 0.
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
    use arrow_array::{Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, UInt32Array};
    use arrow_select::take::take;

    #[test]
    fn gathers_what_take_gathers() {
        let rows = 1_000;
        let some = |row: usize| (!row.is_multiple_of(7)).then_some(row);
        let columns: [ArrayRef; 5] = [
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
            Arc::new(Int32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i32)))),
            Arc::new(Float64Array::from_iter((0..rows).map(|row| some(row).map(|row| row as f64)))),
            Arc::new(StringArray::from_iter((0..rows).map(|row| some(row).map(|row| "é".repeat(row % 5))))),
            Arc::new(
                Decimal128Array::from_iter_values((0..rows as i128).map(|row| row - 5))
                    .with_data_type(DataType::Decimal128(10, 2)),
            ),
        ];
        let all = |keep: fn(&u32) -> bool| (0..900u32).filter(keep).collect::<Vec<_>>();
        for kept in [all(|row| row % 20 != 3), all(|row| *row > 5), all(|row| row % 6 != 0), vec![]] {
            let runs = Runs::of(&kept).expect("the runs are long");
            for column in &columns {
                // A slice begins inside of its buffers, bitmaps included.
                let column = column.slice(33, 950);
                let expected = take(&column, &UInt32Array::from(kept.clone()), None).unwrap();
                assert_eq!(&runs.of_column(&column).expect("a type that is gathered"), &expected);
            }
        }
    }

    #[test]
    fn short_runs_are_left_to_others() {
        assert!(Runs::of(&(0..900).filter(|row| row % 2 == 0).collect::<Vec<_>>()).is_none());
        assert!(Runs::of(&[]).is_some());
    }
}
