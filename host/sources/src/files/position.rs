//! Positions in the lane of a file.

use super::seal::Seal;

/// How far a file was read, as the one number that a table keeps for its lane.
///
/// While a file is being read, its position is the number of records that are done. When
/// it was read to its end, it is *sealed*: bit 62 is set. Bit 61 then says that the lower bits are a [`Seal`], by which
/// the file is known again; without it they are its size in bytes, as earlier versions wrote them. So positions never
/// go back, and the log alone knows which files are finished and which of these have changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// This number of records is done, rejects included.
    Records(u64),
    /// The file was read to its end; it had so many bytes.
    Sized(u64),
    /// The file was read to its end; it was this one.
    Sealed(Seal),
}

const DONE: i64 = 1 << 62;
const SEALED: i64 = 1 << 61;

impl Position {
    /// Decodes a recorded position; none means that nothing is done.
    pub fn read(kept: Option<i64>) -> Self {
        match kept {
            None => Position::Records(0),
            Some(kept) if kept > 0 && kept & DONE != 0 => match kept & SEALED != 0 {
                true => Position::Sealed(Seal::from_bits((kept & !DONE & !SEALED).unsigned_abs())),
                false => Position::Sized((kept & !DONE).unsigned_abs()),
            },
            Some(kept) => Position::Records(kept.max(0).unsigned_abs()),
        }
    }

    /// Encodes the position.
    pub fn to_i64(self) -> i64 {
        // No file has 2^61 bytes or records; if one had, the largest number would still be right
        // to say "further than anything".
        let bounded = |number: u64| i64::try_from(number).unwrap_or(i64::MAX).min(SEALED - 1);
        match self {
            Position::Records(records) => bounded(records),
            Position::Sized(bytes) => DONE | bounded(bytes),
            Position::Sealed(seal) => DONE | SEALED | bounded(seal.to_bits()),
        }
    }

    /// Whether the file was read to its end.
    pub fn is_end(self) -> bool {
        !matches!(self, Position::Records(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for position in [
            Position::Records(0),
            Position::Records(98_913),
            Position::Sized(0),
            Position::Sized(1 << 40),
            Position::Sealed(Seal::from_bits(0)),
            Position::Sealed(Seal::from_bits((1 << 61) - 1)),
        ] {
            assert_eq!(Position::read(Some(position.to_i64())), position);
        }
        assert_eq!(Position::read(None), Position::Records(0));
        assert_eq!(Position::read(Some((1 << 62) | 34)), Position::Sized(34), "as earlier versions wrote it");
    }

    #[test]
    fn an_end_lies_behind_every_record() {
        let most = Position::Records(u64::MAX).to_i64();
        assert!(Position::Sized(0).to_i64() > most && Position::Sealed(Seal::from_bits(0)).to_i64() > most);
    }
}
