//! Positions in the lane of a file.

/// How far a file was read, as one number.
///
/// While a file is being read, its position is the number of records that are done. At its end it is *sealed*: bit 62
/// is set and the lower bits are the file's size in bytes. So positions never go back, and a listing alone shows
/// which files are finished and which changed their size afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// This number of records is done, rejects included.
    Records(u64),
    /// The file was read to its end and had this many bytes.
    Sealed(u64),
}

const SEALED: i64 = 1 << 62;

impl Position {
    /// Decodes a recorded position; none means that nothing is done.
    pub fn read(kept: Option<i64>) -> Self {
        match kept {
            None => Position::Records(0),
            Some(kept) if kept & SEALED != 0 && kept > 0 => Position::Sealed((kept & !SEALED).unsigned_abs()),
            Some(kept) => Position::Records(kept.max(0).unsigned_abs()),
        }
    }

    /// Encodes the position.
    pub fn to_i64(self) -> i64 {
        // No file has 2^62 bytes or records; the largest number still means "beyond anything".
        let bounded = |number: u64| i64::try_from(number).unwrap_or(i64::MAX).min(SEALED - 1);
        match self {
            Position::Records(records) => bounded(records),
            Position::Sealed(bytes) => SEALED | bounded(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn what_is_written_is_read() {
        for position in
            [Position::Records(0), Position::Records(98_913), Position::Sealed(0), Position::Sealed(1 << 40)]
        {
            assert_eq!(Position::read(Some(position.to_i64())), position);
        }
        assert_eq!(Position::read(None), Position::Records(0));
    }

    #[test]
    fn sealing_moves_forward() {
        assert!(Position::Sealed(0).to_i64() > Position::Records(u64::MAX).to_i64());
    }
}
