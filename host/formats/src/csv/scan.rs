//! Finds the bytes that give delimited text its structure, 64 at a time.

/// The bytes between which fields lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// Between fields.
    pub(super) delimiter: u8,
    /// Around fields that hold a delimiter or newline; the delimiter again where quotes mean nothing.
    pub(super) quote: u8,
    /// What takes its meaning from the byte behind it; the delimiter again where nothing does.
    pub(super) escape: u8,
}

impl Marks {
    /// A bit for every byte of `block` that is a delimiter, quote, line feed or carriage return; with `ESCAPES`,
    /// also for every one that is an escape.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn find<const ESCAPES: bool>(self, block: &[u8; 64]) -> u64 {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
        let mut found = 0;
        for lane in 0..4 {
            let bytes = &block[lane * 16..lane * 16 + 16];
            // SAFETY: the slice has 16 bytes, the load may be unaligned, and every x86-64 has SSE2.
            let bits = unsafe {
                let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
                let fields = _mm_or_si128(
                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(self.delimiter as i8)),
                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(self.quote as i8)),
                );
                let lines = _mm_or_si128(
                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8)),
                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\r' as i8)),
                );
                let marks = _mm_or_si128(fields, lines);
                _mm_movemask_epi8(if ESCAPES {
                    _mm_or_si128(marks, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(self.escape as i8)))
                } else {
                    marks
                })
            };
            found |= u64::from(bits as u32) << (lane * 16);
        }
        found
    }

    /// A bit for every byte of `block` that is a delimiter, quote, line feed or carriage return; with `ESCAPES`,
    /// also for every one that is an escape.
    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub(super) fn find<const ESCAPES: bool>(self, block: &[u8; 64]) -> u64 {
        self.find_one_by_one::<ESCAPES>(block)
    }

    /// The same, in plain words.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn find_one_by_one<const ESCAPES: bool>(self, block: &[u8; 64]) -> u64 {
        let mut found = 0;
        for (at, byte) in block.iter().enumerate() {
            let hit = *byte == self.delimiter
                || *byte == self.quote
                || *byte == b'\n'
                || *byte == b'\r'
                || (ESCAPES && *byte == self.escape);
            found |= u64::from(hit) << at;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn both_ways_find_the_same() {
        let marks = Marks { delimiter: b';', quote: b'\'', escape: b'a' };
        let mut state = 1_u32;
        for _ in 0..2_000 {
            let block: [u8; 64] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b";'\n\rab\xff\x80"[(state >> 29) as usize]
            });
            assert_eq!(marks.find::<false>(&block), marks.find_one_by_one::<false>(&block));
            assert_eq!(marks.find::<true>(&block), marks.find_one_by_one::<true>(&block));
        }
    }
}
