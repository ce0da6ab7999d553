//! Compressed files of several members, and what may stand behind the last.
//!
//! People put archives behind each other and writers fill the last block with zeros. A reader that
//! takes the first member for the file loses the rest without a word, and so every byte behind a member
//! has to be another member or a zero.

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use crate::limits::DICTIONARY_BYTES;

/// Decompresses one member.
pub(super) trait Member<R: BufRead>: Read + Sized {
    /// What people call the format.
    const NAME: &'static str;
    /// The byte that a member begins with.
    const FIRST: u8;

    /// Begins with a member.
    fn begin(reader: R) -> io::Result<Self>;

    /// What stands behind the member.
    fn end(self) -> R;
}

/// All members, one after another.
pub(super) struct Members<M, R> {
    present: Present<M, R>,
    /// Zeros were met: nothing else may follow.
    padded: bool,
}

enum Present<M, R> {
    /// Before a member, or the end.
    Between(R),
    /// In one.
    Within(M),
    /// Nothing more comes.
    Ended,
}

impl<M: Member<R>, R: BufRead> Members<M, R> {
    /// The members of `reader`, of which there is one at least.
    pub(super) fn new(reader: R) -> io::Result<Self> {
        Ok(Self { present: Present::Within(M::begin(reader)?), padded: false })
    }
}

impl<M: Member<R>, R: BufRead> Read for Members<M, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.present, Present::Ended) {
                Present::Within(mut member) => match member.read(buffer) {
                    Ok(0) => self.present = Present::Between(member.end()),
                    read => {
                        self.present = Present::Within(member);
                        return read;
                    }
                },
                Present::Between(mut reader) => {
                    let bytes = reader.fill_buf()?;
                    match bytes.first() {
                        None => return Ok(0),
                        Some(0) => {
                            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                            reader.consume(zeros);
                            self.padded = true;
                            self.present = Present::Between(reader);
                        }
                        Some(first) if *first == M::FIRST && !self.padded => {
                            self.present = Present::Within(M::begin(reader)?);
                        }
                        Some(_) => {
                            let message =
                                format!("what stands behind its last {} member is neither a member nor zeros", M::NAME);
                            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                        }
                    }
                }
                Present::Ended => return Ok(0),
            }
        }
    }
}

impl<R: BufRead> Member<R> for GzDecoder<R> {
    const NAME: &'static str = "gzip";
    const FIRST: u8 = 0x1f;

    fn begin(reader: R) -> io::Result<Self> {
        Ok(Self::new(reader))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for BzDecoder<R> {
    const NAME: &'static str = "bzip2";
    const FIRST: u8 = b'B';

    fn begin(reader: R) -> io::Result<Self> {
        Ok(Self::new(reader))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for XzDecoder<R> {
    const NAME: &'static str = "xz";
    const FIRST: u8 = 0xfd;

    fn begin(reader: R) -> io::Result<Self> {
        // A member says how much it wants kept, which may be 4 GiB.
        Ok(Self::new_stream(reader, Stream::new_stream_decoder(DICTIONARY_BYTES, 0)?))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut writer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 1);
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn read<'a, M: Member<BufReader<&'a [u8]>>>(bytes: &'a [u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        // Members begin and end anywhere in what is read at a time.
        Members::<M, _>::new(BufReader::with_capacity(7, bytes))?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn holds(compress: fn(&[u8]) -> Vec<u8>, read: fn(&[u8]) -> io::Result<Vec<u8>>) {
        let whole = [compress(b"one,"), compress(b""), compress("zw\u{f6}lf".as_bytes())].concat();
        assert_eq!(read(&whole).unwrap(), "one,zw\u{f6}lf".as_bytes());
        assert_eq!(read(&[&whole[..], &[0; 700]].concat()).unwrap(), "one,zw\u{f6}lf".as_bytes());
        for behind in [&b"rest"[..], b"\0\0rest", &[&[0; 9][..], &whole].concat()] {
            let error = read(&[&whole, behind].concat()).unwrap_err();
            assert!(error.to_string().contains("behind its last"), "{error}");
        }
        for cut in 1..compress(b"one,").len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn all_members_and_nothing_else() {
        holds(gzip, |bytes| read::<GzDecoder<_>>(bytes));
        holds(bzip2, |bytes| read::<BzDecoder<_>>(bytes));
        holds(xz, |bytes| read::<XzDecoder<_>>(bytes));
    }
}
