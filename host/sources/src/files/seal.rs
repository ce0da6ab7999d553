//! By what a file is known again after it was read to its end.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use object_store::ObjectMeta;

use sluicebox_formats::{FormatError, Input, Meter};

/// Bits of a position that tell of the look of a file, and of its content.
const LOOK_BITS: u32 = 30;
const CONTENT_BITS: u32 = 31;

/// A file that was written to so shortly before it was listed may be written to again at what its file system calls
/// the same time.
const SETTLED: Duration = Duration::from_secs(3);

/// A file that was read to its end, in 61 bits.
///
/// The *look* is all that a listing says: size, times and number of the file, or the store's ETag. Where it is the
/// same, so is the file. Where it is not, the *content* decides, a checksum of all bytes and their number: a file that
/// was copied anew or only touched is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    look: Option<u32>,
    content: Option<u32>,
}

impl Seal {
    /// As bits; a part that is not known is 0.
    pub(super) fn to_bits(self) -> u64 {
        let part = |part: Option<u32>| u64::from(part.unwrap_or(0));
        (part(self.look) << CONTENT_BITS) | part(self.content)
    }

    /// What these bits say.
    pub(super) fn from_bits(bits: u64) -> Self {
        let part = |bits: u64, width: u32| {
            let part = bits & ((1 << width) - 1);
            u32::try_from(part).ok().filter(|part| *part != 0)
        };
        Self { look: part(bits >> CONTENT_BITS, LOOK_BITS), content: part(bits, CONTENT_BITS) }
    }

    /// The seal of a file with this look that has been read through `meter`.
    ///
    /// # Errors
    /// Its bytes cannot be read.
    pub(super) fn of(look: Option<u32>, bytes: u64, input: &Input, meter: &Meter) -> Result<Self, FormatError> {
        let content = match (input, meter.sum()) {
            // Decoders of text have seen every byte, and those are the bytes that count.
            (_, (summed, sum)) if summed == bytes => Some(content(bytes, sum)),
            (Input::Local(_), _) => Some(sum_up(input)?),
            // The ETag tells as much, and nothing has to be fetched twice.
            (Input::Remote { .. }, _) => None,
        };
        Ok(Self { look, content })
    }

    /// Whether a file with this look is the one that was sealed.
    ///
    /// # Errors
    /// Its bytes have to be looked at and cannot be read.
    pub(super) fn fits(self, look: Option<u32>, input: &Input) -> Result<bool, FormatError> {
        if self.look.is_some() && self.look == look {
            return Ok(true);
        }
        match self.content {
            Some(content) => Ok(sum_up(input)? == content),
            None => Ok(false),
        }
    }
}

/// The look of a file of this machine, which was listed at `now`; `None` where it says nothing.
pub(super) fn look_of(file: &Metadata, now: SystemTime) -> Option<u32> {
    let seconds = now.checked_sub(SETTLED)?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let settled = i64::try_from(seconds).unwrap_or(i64::MAX);
    if file.mtime().max(file.ctime()) >= settled {
        return None;
    }
    let numbers = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    let mut sum = Hasher::new();
    sum.update(&file.size().to_le_bytes());
    sum.update(&file.ino().to_le_bytes());
    numbers.iter().for_each(|number| sum.update(&number.to_le_bytes()));
    Some(narrow(sum, LOOK_BITS))
}

/// The look of an object in a store.
pub(super) fn look_of_object(object: &ObjectMeta) -> Option<u32> {
    let mut sum = Hasher::new();
    sum.update(&object.size.to_le_bytes());
    match &object.e_tag {
        Some(tag) => sum.update(tag.as_bytes()),
        None => sum.update(&object.last_modified.timestamp_micros().to_le_bytes()),
    }
    Some(narrow(sum, LOOK_BITS))
}

fn sum_up(input: &Input) -> Result<u32, FormatError> {
    let (mut reader, mut buffer, mut sum, mut bytes) = (input.raw()?, vec![0; 256 << 10], Hasher::new(), 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(content(bytes, sum.finalize())),
            Ok(count) => {
                sum.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FormatError::Read { done: 0, source }),
        }
    }
}

fn content(bytes: u64, sum: u32) -> u32 {
    let mut both = Hasher::new();
    both.update(&bytes.to_le_bytes());
    both.update(&sum.to_le_bytes());
    narrow(both, CONTENT_BITS)
}

/// A checksum of so many bits, which is never 0.
fn narrow(sum: Hasher, bits: u32) -> u32 {
    (sum.finalize() >> (u32::BITS - bits)).max(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sluicebox_formats::LocalFile;

    use super::*;

    #[test]
    fn bits_are_read_as_they_were_written() {
        for (look, content) in
            [(None, None), (Some(1), None), (None, Some(7)), (Some((1 << 30) - 1), Some(u32::MAX >> 1))]
        {
            let seal = Seal { look, content };
            assert_eq!(Seal::from_bits(seal.to_bits()), seal);
            assert!(seal.to_bits() < 1 << 61);
        }
    }

    #[test]
    fn a_file_is_known_again_by_its_look_or_its_content() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; 600_000]).unwrap();
        let input = Input::Local(LocalFile::new(file.path()));
        let seal = |look| Seal::of(look, 600_000, &input, &Meter::default()).unwrap();
        assert!(seal(Some(5)).fits(Some(6), &input).unwrap(), "it was touched");
        assert!(seal(None).fits(None, &input).unwrap());
        for at in [0, 299_999, 599_999] {
            let mut other = vec![7; 600_000];
            other[at] = 8;
            std::fs::write(file.path(), other).unwrap();
            assert!(!Seal { look: None, ..Seal::from_bits(seal_of_sevens()) }.fits(Some(6), &input).unwrap(), "{at}");
        }
    }

    fn seal_of_sevens() -> u64 {
        let mut sum = Hasher::new();
        sum.update(&vec![7; 600_000]);
        Seal { look: None, content: Some(content(600_000, sum.finalize())) }.to_bits()
    }

    #[test]
    fn a_file_that_has_just_been_written_has_no_look() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        assert_eq!(look_of(&metadata, SystemTime::now()), None);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(look_of(&metadata, later), look_of(&metadata, later + SETTLED));
        assert!(look_of(&metadata, later).is_some());
    }
}
