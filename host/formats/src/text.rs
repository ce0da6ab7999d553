//! Decodes text files to UTF-8, with byte-order marks and encodings.

use std::io::{self, BufReader, Read};

use encoding_rs::{CoderResult, Decoder, Encoding as Charset};

use super::{Binary, FormatError, Input, Meter};
use sluicebox_core::plan::{Compression, Encoding};

/// A text file as UTF-8 (not checked if the file is declared as UTF-8).
pub(super) struct Text {
    /// The bytes, without a byte-order mark.
    pub(super) reader: Box<dyn Read + Send>,
    /// How to restore the file's original bytes.
    pub(super) original: Original,
}

/// The original encoding of decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Original {
    /// The same bytes.
    Same,
    /// One byte a character.
    Latin1,
    /// Windows-1252.
    Windows1252,
    /// UTF-16; bad records keep the UTF-8 form.
    Utf16,
}

/// Opens `input` as text.
pub(super) fn open(
    input: &Input,
    compression: Compression,
    encoding: Encoding,
    meter: &Meter,
) -> Result<Text, FormatError> {
    decode(input.reader(compression, meter)?, encoding)
}

/// Decodes `reader`. A byte-order mark takes precedence over `encoding`.
pub(super) fn decode(mut reader: Box<dyn Read + Send>, encoding: Encoding) -> Result<Text, FormatError> {
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(Binary::HEAD)
        .read_to_end(&mut head)
        .map_err(|source| FormatError::Read { done: 0, source })?;
    let (charset, mark) = match (Charset::for_bom(&head), Binary::of(&head)) {
        (Some((charset, mark)), _) => (Some(charset), mark),
        (None, None) => (None, 0),
        (None, Some(kind)) => return Err(FormatError::NotText { kind }),
    };
    let rest = Box::new(io::Cursor::new(head.split_off(mark)).chain(reader));
    let charset = match (charset, encoding) {
        (Some(charset), _) if charset == encoding_rs::UTF_8 => None,
        (Some(charset), _) => Some((charset, Original::Utf16)),
        (None, Encoding::Utf8) => None,
        (None, Encoding::Windows1252) => Some((encoding_rs::WINDOWS_1252, Original::Windows1252)),
        (None, Encoding::Latin1) => {
            return Ok(Text { reader: buffered(Latin1 { inner: rest }), original: Original::Latin1 });
        }
    };
    Ok(match charset {
        None => Text { reader: rest, original: Original::Same },
        Some((charset, original)) => {
            let decoder = charset.new_decoder_without_bom_handling();
            Text {
                reader: buffered(Transcoded { inner: rest, decoder, raw: vec![0; RAW_BYTES], at: 0..0, ended: false }),
                original,
            }
        }
    })
}

const RAW_BYTES: usize = 64 << 10;

/// These readers write whole characters only; the buffer is for callers that ask for less.
fn buffered(reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(BufReader::with_capacity(RAW_BYTES, reader))
}

impl Original {
    /// The original bytes of `text` in the file.
    pub(super) fn restore(self, text: &[u8]) -> Vec<u8> {
        match (self, std::str::from_utf8(text)) {
            (Original::Latin1, Ok(text)) => encoding_rs::mem::encode_latin1_lossy(text).into_owned(),
            (Original::Windows1252, Ok(text)) => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            _ => text.to_vec(),
        }
    }
}

/// encoding_rs follows the web, where "Latin-1" means Windows-1252; this is ISO 8859-1.
struct Latin1 {
    inner: Box<dyn Read + Send>,
}

impl Read for Latin1 {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Each byte becomes two at most.
        let mut raw = [0; 16 << 10];
        let room = (buffer.len() / 2).min(raw.len());
        if room == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a Latin-1 reader needs room for two bytes"));
        }
        let count = self.inner.read(&mut raw[..room])?;
        Ok(encoding_rs::mem::convert_latin1_to_utf8(&raw[..count], buffer))
    }
}

struct Transcoded {
    inner: Box<dyn Read + Send>,
    decoder: Decoder,
    raw: Vec<u8>,
    at: std::ops::Range<usize>,
    ended: bool,
}

impl Read for Transcoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The decoder writes whole characters only.
        if buffer.len() < 4 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a transcoding reader needs room for a character"));
        }
        loop {
            if self.at.is_empty() && !self.ended {
                let count = self.inner.read(&mut self.raw)?;
                self.ended = count == 0;
                self.at = 0..count;
            }
            let last = self.ended;
            let (result, read, written, _) = self.decoder.decode_to_utf8(&self.raw[self.at.clone()], buffer, last);
            self.at.start += read;
            if written > 0 || (last && result == CoderResult::InputEmpty) {
                return Ok(written);
            }
        }
    }
}
