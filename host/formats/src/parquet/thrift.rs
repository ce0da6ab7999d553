//! As much of Thrift's compact protocol as shows what a Parquet file promises before anybody makes
//! room for it.

/// Bytes in the compact protocol, read from their beginning.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
}

/// They are not in the compact protocol.
#[derive(Debug)]
pub(super) struct Broken;

/// The types of fields and items.
pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Structs lie in each other this deep at most in what Parquet writes.
const DEPTH: usize = 16;

impl<'a> Compact<'a> {
    /// Reads these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Broken> {
        let count = usize::try_from(count).map_err(|_| Broken)?;
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Broken)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    /// A signed number.
    pub(super) fn number(&mut self) -> Result<i64, Broken> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<String, Broken> {
        let length = self.varint()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// The number and type of a struct's next field, after the field `last`; `None` at its end.
    pub(super) fn field(&mut self, last: i64) -> Result<Option<(i64, u8)>, Broken> {
        let header = self.byte()?;
        match (header & 0x0f, header >> 4) {
            (0, _) => Ok(None),
            (kind, 0) => Ok(Some((self.number()?, kind))),
            (kind, step) => Ok(Some((last + i64::from(step), kind))),
        }
    }

    /// The type of a list's items, and how many there are: no more than there are bytes.
    pub(super) fn list(&mut self) -> Result<(u8, usize), Broken> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| Broken)?,
            few => usize::from(few),
        };
        if count > self.bytes.len() { Err(Broken) } else { Ok((header & 0x0f, count)) }
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), Broken> {
        self.skip_within(kind, false, DEPTH)
    }

    fn skip_within(&mut self, kind: u8, item: bool, depth: usize) -> Result<(), Broken> {
        let depth = depth.checked_sub(1).ok_or(Broken)?;
        match kind {
            // A field's truth is in its header, an item's is not.
            1 | 2 if !item => {}
            1..=3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => drop(self.take(8)?),
            8 => {
                let length = self.varint()?;
                self.take(length)?;
            }
            9 | 10 => {
                let (kind, count) = self.list()?;
                for _ in 0..count {
                    self.skip_within(kind, true, depth)?;
                }
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                for _ in 0..count {
                    self.skip_within(kinds >> 4, true, depth)?;
                    self.skip_within(kinds & 0x0f, true, depth)?;
                }
            }
            12 => {
                let mut last = 0;
                while let Some((field, kind)) = self.field(last)? {
                    self.skip_within(kind, false, depth)?;
                    last = field;
                }
            }
            13 => drop(self.take(16)?),
            _ => return Err(Broken),
        }
        Ok(())
    }
}
