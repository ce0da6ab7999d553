//! How the blocks of a container are compressed. They are decompressed here and not by the decoder, which
//! makes room for whatever comes out.

use std::io::{self, Read};

use bzip2::bufread::BzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use super::damaged;
use crate::FormatError;
use crate::limits::{DICTIONARY_BYTES, PAGE_BYTES};

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

impl Codec {
    /// The codec of that name.
    pub(super) fn named(name: &[u8]) -> Result<Self, FormatError> {
        Ok(match name {
            b"null" | b"" => Self::Null,
            b"deflate" => Self::Deflate,
            b"snappy" => Self::Snappy,
            b"zstandard" => Self::Zstandard,
            b"bzip2" => Self::Bzip2,
            b"xz" => Self::Xz,
            other => return Err(FormatError::Codec { codec: crate::csv::excerpt(other) }),
        })
    }

    /// Puts a block's records behind `into`.
    pub(super) fn decompress(self, block: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Null => {
                into.extend_from_slice(block);
                Ok(())
            }
            Self::Deflate => bounded(flate2::bufread::DeflateDecoder::new(block), into),
            Self::Snappy => snappy(block, into),
            Self::Zstandard => bounded(zstd::Decoder::with_buffer(block)?, into),
            Self::Bzip2 => bounded(BzDecoder::new(block), into),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(DICTIONARY_BYTES, 0)?;
                bounded(XzDecoder::new_stream(block, stream), into)
            }
        }
    }
}

fn bounded(reader: impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let count = reader.take(PAGE_BYTES as u64 + 1).read_to_end(into)?;
    if count > PAGE_BYTES { Err(too_large()) } else { Ok(()) }
}

/// Snappy's raw form with a checksum of what it holds.
fn snappy(block: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    let (block, sum) = block.split_last_chunk::<4>().ok_or_else(|| damaged("a block is too short for its checksum"))?;
    let length = snap::raw::decompress_len(block).map_err(io::Error::from)?;
    if length > PAGE_BYTES {
        return Err(too_large());
    }
    let start = into.len();
    into.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut into[start..]).map_err(io::Error::from)?;
    if crc32fast::hash(&into[start..]) != u32::from_be_bytes(*sum) {
        return Err(damaged("the checksum of a block is wrong"));
    }
    Ok(())
}

fn too_large() -> io::Error {
    damaged(&format!("a block has more than {PAGE_BYTES} bytes once it is decompressed, and no more are read"))
}
