//! Builds a column chunk from encoded values: its pages, compressed if that helps, and its metadata.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::dictionary::Dictionary;
use super::integers::Integers;
use super::validity::varint;

/// Bytes of one data page of plain values, about.
const PAGE_BYTES: usize = 1 << 20;
/// Bounds in a footer are cut to this length, as the parquet crate does.
const BOUND_BYTES: usize = 64;
/// The bytes compressed to estimate whether a page is worth compressing.
const PROBE_BYTES: usize = 8 << 10;
/// The zstd level: higher ones cost time and save little.
const LEVEL: i32 = 1;

/// Compresses pages; one serves all chunks of a file.
pub struct Packer(Compressor<'static>);

impl Packer {
    pub fn new() -> Result<Self> {
        Ok(Self(Compressor::new(LEVEL).map_err(external)?))
    }

    fn pack(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.0.compress(bytes).map_err(external)
    }

    /// Compressed bytes; `None` if a sample from the middle shows that it would not help.
    fn try_pack(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        if bytes.len() >= 4 * PROBE_BYTES {
            let from = bytes.len() / 2 - PROBE_BYTES / 2;
            let probe = self.pack(&bytes[from..from + PROBE_BYTES])?;
            if probe.len() + PROBE_BYTES / 16 >= PROBE_BYTES {
                return Ok(None);
            }
        }
        self.pack(bytes).map(Some)
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// A page before compression.
struct Draft {
    kind: PageType,
    encoding: Encoding,
    values: u32,
    bytes: Vec<u8>,
}

/// The chunk of a text column from its dictionary.
pub fn of_text(
    text: &Dictionary,
    descriptor: &ColumnDescPtr,
    with_statistics: bool,
    packer: &mut Packer,
) -> Result<(Bytes, ColumnCloseResult)> {
    let rows = text.validity().rows();
    let nullable = descriptor.max_def_level() > 0;
    let mut pages = Vec::new();
    // If most values occur once, a dictionary only adds the ids.
    if !text.repeats() {
        let mut row = 0;
        let mut ids = text.ids();
        while row < rows {
            let page = plain_page(text, row, &mut ids, nullable);
            row += page.values as usize;
            pages.push(page);
        }
    } else {
        pages.push(Draft {
            kind: PageType::DICTIONARY_PAGE,
            encoding: Encoding::PLAIN,
            values: count(text.values()),
            bytes: text.page().to_vec(),
        });
        let mut bytes = Vec::with_capacity(rows * 2);
        if nullable {
            text.validity().levels(0, rows, &mut bytes);
        }
        numbers(text.ids(), text.values(), &mut bytes);
        pages.push(Draft { kind: PageType::DATA_PAGE, encoding: Encoding::RLE_DICTIONARY, values: count(rows), bytes });
    }
    let nulls = (rows - text.ids().len()) as u64;
    let statistics = with_statistics.then(|| bounds(text, nulls));
    assemble(descriptor, rows, pages, statistics, packer)
}

/// The chunk of a column of integers.
pub fn of_integers(
    integers: &Integers,
    descriptor: &ColumnDescPtr,
    with_statistics: bool,
    packer: &mut Packer,
) -> Result<(Bytes, ColumnCloseResult)> {
    let validity = integers.validity();
    let mut bytes = Vec::with_capacity(integers.bytes() / 4);
    if descriptor.max_def_level() > 0 {
        validity.levels(0, validity.rows(), &mut bytes);
    }
    integers.encode(&mut bytes);
    let draft = Draft {
        kind: PageType::DATA_PAGE,
        encoding: Encoding::DELTA_BINARY_PACKED,
        values: count(validity.rows()),
        bytes,
    };
    let nulls = Some((validity.rows() - integers.len()) as u64);
    let (low, high) = integers.bounds().unzip();
    // The values were 32 bits wide, so they fit again.
    let short = |bound: Option<i64>| bound.map(|bound| bound as i32);
    let statistics = with_statistics.then(|| match integers.is_narrow() {
        true => Statistics::int32(short(low), short(high), None, nulls, false),
        false => Statistics::int64(low, high, None, nulls, false),
    });
    assemble(descriptor, validity.rows(), vec![draft], statistics, packer)
}

/// A row group has fewer than 2^32 rows.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The next page of plain values, from row `first` on.
fn plain_page(text: &Dictionary, first: usize, ids: &mut &[u32], nullable: bool) -> Draft {
    let (mut values, mut row) = (Vec::new(), first);
    while row < text.validity().rows() && values.len() < PAGE_BYTES {
        if !text.validity().is_null(row)
            && let Some((id, rest)) = ids.split_first()
        {
            values.extend_from_slice(text.plain(*id));
            *ids = rest;
        }
        row += 1;
    }
    let mut bytes = Vec::with_capacity(values.len() + (row - first) / 8 + 16);
    if nullable {
        text.validity().levels(first, row, &mut bytes);
    }
    bytes.extend_from_slice(&values);
    Draft { kind: PageType::DATA_PAGE, encoding: Encoding::PLAIN, values: count(row - first), bytes }
}

/// Encodes dictionary ids below `values`: in runs where they repeat, else bit-packed.
fn numbers(ids: &[u32], values: usize, out: &mut Vec<u8>) {
    let width = usize::BITS - values.saturating_sub(1).leading_zeros();
    out.push(width as u8);
    if ids.is_empty() {
        return;
    }
    let changes = ids.windows(2).filter(|pair| pair[0] != pair[1]).count();
    // A run costs about four bytes, so it must replace more than that.
    if width == 0 || (changes + 1) * 32 < ids.len() * width as usize {
        let mut rest = ids;
        while let Some(first) = rest.first() {
            let run = rest.iter().position(|id| id != first).unwrap_or(rest.len());
            varint(run << 1, out);
            out.extend_from_slice(&first.to_le_bytes()[..(width as usize).div_ceil(8)]);
            rest = &rest[run..];
        }
        return;
    }
    varint(ids.len().div_ceil(8) << 1 | 1, out);
    pack(ids, width, out);
}

/// Bit-packs numbers of `width` bits, lowest first, padded to groups of eight.
fn pack(ids: &[u32], width: u32, out: &mut Vec<u8>) {
    let end = out.len() + ids.len().div_ceil(8) * width as usize;
    out.reserve(end - out.len() + 8);
    let (mut word, mut filled) = (0_u64, 0);
    for id in ids {
        word |= u64::from(*id) << filled;
        filled += width;
        if filled >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            filled -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
    out.resize(end, 0);
}

fn bounds(text: &Dictionary, nulls: u64) -> Statistics {
    let Some((low, high)) = text.bounds() else {
        return Statistics::ByteArray(ValueStatistics::new(None, None, None, Some(nulls), false));
    };
    let (cut_low, cut_high) = (cut(low), raise(high));
    let low_exact = cut_low.len() == low.len();
    let high_exact = cut_high.as_deref() == Some(high);
    let (min, max) = (ByteArray::from(cut_low.to_vec()), cut_high.map(ByteArray::from));
    let values = ValueStatistics::new(Some(min), max, None, Some(nulls), false);
    Statistics::ByteArray(values.with_min_is_exact(low_exact).with_max_is_exact(high_exact))
}

/// The prefix of a text, cut between characters.
fn cut(text: &[u8]) -> &[u8] {
    if text.len() <= BOUND_BYTES {
        return text;
    }
    let end = (1..=BOUND_BYTES).rev().find(|end| text[*end] & 0xC0 != 0x80).unwrap_or(BOUND_BYTES);
    &text[..end]
}

/// A short text that is not less; `None` if there is none.
fn raise(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() <= BOUND_BYTES {
        return Some(text.to_vec());
    }
    let mut prefix: Vec<char> = std::str::from_utf8(cut(text)).ok()?.chars().collect();
    while let Some(last) = prefix.pop() {
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            next => char::from_u32(next),
        };
        // A longer character may exceed the limit, which is harmless.
        if let Some(next) = next {
            prefix.push(next);
            return Some(prefix.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

fn assemble(
    descriptor: &ColumnDescPtr,
    rows: usize,
    drafts: Vec<Draft>,
    statistics: Option<Statistics>,
    packer: &mut Packer,
) -> Result<(Bytes, ColumnCloseResult)> {
    let mut packed = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        packed.push(packer.try_pack(&draft.bytes)?);
    }
    let before: usize = drafts.iter().map(|draft| draft.bytes.len()).sum();
    let after: usize =
        drafts.iter().zip(&packed).map(|(draft, packed)| packed.as_ref().map_or(draft.bytes.len(), Vec::len)).sum();
    // Many distinct ids look like noise; uncompressed pages save readers the work.
    let compress = after + after / 16 < before;
    let codec = if compress { Compression::ZSTD(ZstdLevel::try_new(LEVEL)?) } else { Compression::UNCOMPRESSED };

    let mut sink = TrackedWrite::new(Vec::with_capacity(after.min(before) + 64 * drafts.len()));
    let mut encodings: Vec<PageEncodingStats> = Vec::new();
    let (mut dictionary_at, mut data_at) = (None, None);
    let (mut uncompressed_size, mut compressed_size) = (0, 0);
    for (draft, packed) in drafts.into_iter().zip(packed) {
        let size = draft.bytes.len();
        let buf = Bytes::from(match packed {
            _ if !compress => draft.bytes,
            Some(packed) => packed,
            // All pages of a chunk have one codec.
            None => packer.pack(&draft.bytes)?,
        });
        let (num_values, encoding) = (draft.values, draft.encoding);
        let page = match draft.kind {
            PageType::DICTIONARY_PAGE => Page::DictionaryPage { buf, num_values, encoding, is_sorted: false },
            _ => Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
        };
        let written = SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, size))?;
        uncompressed_size += written.uncompressed_size;
        compressed_size += written.compressed_size;
        let at = i64::try_from(written.offset).unwrap_or(i64::MAX);
        match draft.kind {
            PageType::DICTIONARY_PAGE => dictionary_at = Some(at),
            _ => data_at = data_at.or(Some(at)),
        }
        match encodings.iter_mut().find(|stats| stats.page_type == draft.kind && stats.encoding == encoding) {
            Some(stats) => stats.count += 1,
            None => encodings.push(PageEncodingStats { page_type: draft.kind, encoding, count: 1 }),
        }
    }
    let mut kinds = vec![Encoding::RLE];
    kinds.extend(encodings.iter().map(|stats| stats.encoding));
    let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut metadata = ColumnChunkMetaData::builder(descriptor.clone())
        .set_compression(codec)
        .set_encodings(kinds)
        .set_page_encoding_stats(encodings)
        .set_total_compressed_size(size(compressed_size))
        .set_total_uncompressed_size(size(uncompressed_size))
        .set_num_values(size(rows))
        .set_data_page_offset(data_at.unwrap_or(0))
        .set_dictionary_page_offset(dictionary_at);
    if let Some(statistics) = statistics {
        metadata = metadata.set_statistics(statistics);
    }
    let close = ColumnCloseResult {
        bytes_written: compressed_size as u64,
        rows_written: rows as u64,
        metadata: metadata.build()?,
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    };
    Ok((Bytes::from(sink.into_inner()?), close))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(bytes: &[u8], width: usize, count: usize) -> Vec<u32> {
        (0..count)
            .map(|at| {
                (0..width).fold(0, |number, bit| {
                    let bit_at = at * width + bit;
                    number | u32::from(bytes[bit_at / 8] >> (bit_at % 8) & 1) << bit
                })
            })
            .collect()
    }

    #[test]
    fn packed_numbers_come_back() {
        for width in 1..=16_u32 {
            for count in [1, 7, 8, 9, 100, 1_001] {
                let ids: Vec<u32> = (0..count).map(|id| (id * 7_919) % (1 << width)).collect();
                let mut out = Vec::new();
                pack(&ids, width, &mut out);
                assert_eq!(out.len(), ids.len().div_ceil(8) * width as usize);
                assert_eq!(unpack(&out, width as usize, ids.len()), ids);
            }
        }
    }

    #[test]
    fn cut_bounds_still_bound() {
        let long = "é".repeat(50);
        assert!(cut(long.as_bytes()) <= long.as_bytes() && cut(long.as_bytes()).len() <= 64);
        let high = raise(long.as_bytes()).expect("a bound");
        assert!(high.as_slice() > long.as_bytes());
        assert_eq!(raise("\u{10FFFF}".repeat(20).as_bytes()), None);
    }
}
