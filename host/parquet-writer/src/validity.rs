//! The validity of the rows of a row group, and its encoding.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

/// The validity of rows.
#[derive(Default)]
pub struct Validity {
    /// `None` while no row is null.
    bits: Option<BooleanBufferBuilder>,
    rows: usize,
}

impl Validity {
    /// Adds rows; `nulls` only if there are some.
    pub fn push(&mut self, rows: usize, nulls: Option<&NullBuffer>) {
        match (nulls.filter(|nulls| nulls.null_count() > 0), &mut self.bits) {
            (None, None) => {}
            (None, Some(bits)) => bits.append_n(rows, true),
            (Some(nulls), bits) => {
                let before = self.rows;
                let bits = bits.get_or_insert_with(|| {
                    let mut all = BooleanBufferBuilder::new(before + rows);
                    all.append_n(before, true);
                    all
                });
                bits.append_buffer(nulls.inner());
            }
        }
        self.rows += rows;
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.bits.as_ref().is_some_and(|bits| !bits.get_bit(row))
    }

    /// Writes the definition levels (one bit) of some rows, after their length: a run of ones, or the bits.
    pub fn levels(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match self.bits.as_ref().map(BooleanBufferBuilder::as_slice) {
            None => {
                varint((to - from) << 1, out);
                out.push(1);
            }
            Some(bits) => {
                varint(((to - from).div_ceil(8) << 1) | 1, out);
                if from.is_multiple_of(8) {
                    out.extend_from_slice(&bits[from / 8..to.div_ceil(8)]);
                } else {
                    for eight in (from..to).step_by(8) {
                        let byte = (eight..to.min(eight + 8))
                            .map(|row| ((bits[row / 8] >> (row % 8)) & 1) << (row - eight))
                            .fold(0, |byte, bit| byte | bit);
                        out.push(byte);
                    }
                }
            }
        }
        // A row group has fewer than 2^32 rows.
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Writes a varint.
pub fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
