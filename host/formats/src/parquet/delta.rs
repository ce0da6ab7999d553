//! Where the values of a page begin, and how long its texts are in the encoding that shares beginnings.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::schema::types::ColumnDescriptor;

/// Where the values of a data page begin, behind its levels; `None` in a page that is damaged.
pub(super) fn values_at(page: &Page, column: &ColumnDescriptor) -> Option<usize> {
    match page {
        Page::DictionaryPage { .. } => Some(0),
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            Some(*def_levels_byte_len as usize + *rep_levels_byte_len as usize)
        }
        Page::DataPage { buf, num_values, def_level_encoding, rep_level_encoding, .. } => {
            let mut at = 0;
            let levels = [(column.max_rep_level(), rep_level_encoding), (column.max_def_level(), def_level_encoding)];
            for (most, encoding) in levels.into_iter().filter(|(most, _)| *most > 0) {
                #[allow(deprecated, reason = "old files have it")]
                let length = if *encoding == Encoding::BIT_PACKED {
                    let bits = (i16::BITS - most.leading_zeros()) as usize;
                    (*num_values as usize * bits).div_ceil(8)
                } else {
                    4 + u32::from_le_bytes(*buf.get(at..)?.first_chunk()?) as usize
                };
                at = at.checked_add(length).filter(|at| *at <= buf.len())?;
            }
            Some(at)
        }
    }
}

/// The longest text of a page of `DELTA_BYTE_ARRAY`: each is so many bytes of the one before it, and
/// some of its own. A page that is damaged is found to be so by its decoder.
pub(super) fn longest(page: &Page, column: &ColumnDescriptor) -> usize {
    let lengths = || {
        let mut bytes = page.buffer().get(values_at(page, column)?..)?;
        let most = page.num_values() as usize;
        let shared = numbers(&mut bytes, most)?;
        let own = numbers(&mut bytes, most)?;
        shared.iter().zip(own).map(|(shared, own)| shared.saturating_add(own)).max()
    };
    lengths().map_or(0, |length| usize::try_from(length).unwrap_or(0))
}

/// At most `most` numbers in `DELTA_BINARY_PACKED`, which are taken.
fn numbers(bytes: &mut &[u8], most: usize) -> Option<Vec<i64>> {
    let block = usize::try_from(varint(bytes)?).ok()?;
    let parts = usize::try_from(varint(bytes)?).ok().filter(|parts| (1..=1 << 10).contains(parts))?;
    let count = usize::try_from(varint(bytes)?).ok().filter(|count| *count <= most)?;
    let mut value = signed(varint(bytes)?);
    let mut numbers = Vec::with_capacity(count);
    if count > 0 {
        numbers.push(value);
    }
    let part = block / parts;
    while numbers.len() < count {
        let least = signed(varint(bytes)?);
        let (widths, rest) = bytes.split_at_checked(parts)?;
        *bytes = rest;
        for width in widths {
            if numbers.len() >= count {
                break;
            }
            let width = usize::from(*width);
            let (packed, rest) = bytes.split_at_checked(part.checked_mul(width)?.div_ceil(8))?;
            *bytes = rest;
            for at in 0..part.min(count - numbers.len()) {
                let step = least.wrapping_add(unpack(packed, at * width, width)? as i64);
                value = value.wrapping_add(step);
                numbers.push(value);
            }
        }
        if part == 0 {
            return None;
        }
    }
    Some(numbers)
}

/// `width` bits that begin at a bit, the lowest first.
fn unpack(packed: &[u8], from: usize, width: usize) -> Option<u64> {
    if width > 64 {
        return None;
    }
    let bit = |at: usize| u64::from(packed[at / 8] >> (at % 8) & 1);
    Some((0..width).map(|at| bit(from + at) << at).sum())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn signed(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers() {
        // 128 values a block in 4 parts; 5 numbers from 7 on, each 1 more: the example of the format.
        let bytes = [0x80, 1, 4, 5, 14, 2, 0, 0, 0, 0];
        assert_eq!(numbers(&mut &bytes[..], 5).unwrap(), [7, 8, 9, 10, 11]);
        // Steps of -2, -2, -2, 1, 2: the least is -2, the rest 0, 0, 0, 3, 4 in three bits.
        let mut packed = vec![0x80, 1, 4, 6, 14, 3, 3, 0, 0, 0, 0b0000_0000, 0b0100_0110, 0];
        packed.resize(11 + 12, 0);
        assert_eq!(numbers(&mut packed.as_slice(), 6).unwrap(), [7, 5, 3, 1, 2, 4]);
        assert!(numbers(&mut &bytes[..], 4).is_none());
        assert!(numbers(&mut &bytes[..5], 5).is_none());
    }
}
