//! A bloom filter of single-column keys, which skips most rows at the cost of a few instructions.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::keys::Keys;

/// Keys converted at once.
const CHUNK: usize = 64 << 10;
/// Bits per key: one row in this many is a false positive.
const BITS_PER_KEY: usize = 32;

/// The filter: one bit for each hash.
pub(super) struct BloomFilter {
    bits: Vec<u64>,
    /// Hashes are shifted right by this to be bit numbers.
    shift: u32,
}

impl BloomFilter {
    /// A filter for keys of one column; `None` for an unsupported type.
    pub(super) fn of(keys: &Keys) -> Result<Option<Self>, ArrowError> {
        if keys.columns.len() != 1 || keys.len() == 0 {
            return Ok(None);
        }
        let bits = (keys.len().saturating_mul(BITS_PER_KEY)).next_power_of_two().clamp(1 << 12, 1 << 28);
        let mut sieve = Self { bits: vec![0; bits / 64], shift: 64 - bits.trailing_zeros() };
        let mut from = 0;
        while from < keys.len() {
            let to = (from + CHUNK).min(keys.len());
            for column in keys.arrays(from..to)? {
                let shift = sieve.shift;
                let bits = &mut sieve.bits;
                let known = each(&column, |_, hash| {
                    let bit = (hash >> shift) as usize;
                    bits[bit / 64] |= 1 << (bit % 64);
                });
                if known.is_none() {
                    return Ok(None);
                }
            }
            from = to;
        }
        Ok(Some(sieve))
    }

    /// The rows that may have one of the keys, including nulls; `None` for an unsupported type.
    pub(super) fn possible(&self, column: &ArrayRef) -> Option<Vec<u32>> {
        let mut possible = Vec::new();
        each(column, |row, hash| {
            let bit = (hash >> self.shift) as usize;
            if self.bits[bit / 64] >> (bit % 64) & 1 == 1 {
                possible.push(row as u32);
            }
        })?;
        if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
            // Data under nulls is arbitrary, so nulls are handled separately.
            possible.retain(|row| nulls.is_valid(*row as usize));
            possible.extend((0..column.len()).filter(|row| nulls.is_null(*row)).map(|row| row as u32));
            possible.sort_unstable();
        }
        Some(possible)
    }
}

/// Calls `take` with the hash of each row, including nulls; `None` for an unsupported type.
fn each(column: &ArrayRef, mut take: impl FnMut(usize, u64)) -> Option<()> {
    match column.data_type() {
        DataType::Int64 => numbers(column.as_primitive::<Int64Type>().values(), |value| *value as u64, take),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            numbers(column.as_primitive::<TimestampMicrosecondType>().values(), |value| *value as u64, take);
        }
        DataType::Int32 => numbers(column.as_primitive::<Int32Type>().values(), |value| *value as u64, take),
        DataType::Int16 => numbers(column.as_primitive::<Int16Type>().values(), |value| *value as u64, take),
        DataType::Date32 => numbers(column.as_primitive::<Date32Type>().values(), |value| *value as u64, take),
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let (bytes, offsets) = (texts.value_data(), texts.value_offsets());
            for (row, ends) in offsets.windows(2).enumerate() {
                // Arrow's offsets are never negative and never fall.
                take(row, text_hash(&bytes[ends[0] as usize..ends[1] as usize]));
            }
        }
        _ => return None,
    }
    Some(())
}

fn numbers<T>(values: &[T], number: impl Fn(&T) -> u64, mut take: impl FnMut(usize, u64)) {
    for (row, value) in values.iter().enumerate() {
        take(row, spread(number(value)));
    }
}

/// Hashes a number to the upper bits.
#[inline]
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

#[inline]
fn text_hash(text: &[u8]) -> u64 {
    let mut hash = text.len() as u64;
    for eight in text.chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        hash = spread(hash ^ u64::from_le_bytes(word)).rotate_left(23);
    }
    spread(hash)
}
