//! Avro: object containers here, and bodies of messages in `body`; both are read with their
//! writer's schema.
//!
//! What people may rely on of containers: every block's length and marker are checked before its
//! records are decoded, blocks without records do not end the file, and a file that is
//! cut off or damaged is an error. A union of several types becomes a string, as no
//! table holds one; bytes in it that are not text become hexadecimal.

mod body;
mod codec;
mod shape;
mod writer;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use arrow_array::RecordBatch;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_schema::{ArrowError, Schema, SchemaRef};

pub use self::body::BadSchema;
pub(super) use self::body::BodyDecoder;

use self::codec::Codec;
use super::plain::{Codes, Plan, check_types, has_union};
use super::{BATCH_ROWS, Decoded, FormatError, Rows};
use crate::limits::{self, BATCH_BYTES, HEADER_BYTES, PAGE_BYTES};
use sluicebox_core::reject::RejectCode;

pub(super) const CODES: Codes = Codes { kind: RejectCode::AvroType, null: RejectCode::AvroNull };

/// The rows of one Avro file.
pub(super) struct AvroRows {
    records: Records,
    plan: Plan,
    done: u64,
    skip: u64,
}

/// Where decoded records come from: a decoder of its own for each few blocks, so that these can be cut by
/// their bytes.
struct Records {
    /// A container's header for these blocks, which are not compressed any more.
    header: Vec<u8>,
    blocks: Blocks,
    present: Option<Box<Reader<Cursor<Vec<u8>>>>>,
    /// Rows that a decoder gave more of than make a batch.
    ready: VecDeque<RecordBatch>,
    /// Bytes of a row that it has whatever it holds.
    width: usize,
    /// Once it has given a batch, the library's decoder takes values of a union of several types from wrong
    /// places, so it gives one alone.
    once: bool,
}

/// Blocks are decoded together up to here.
const TOGETHER_BYTES: usize = 16 << 20;

/// What the records of a block may become, of which nothing is known but that they are many.
const BLOCK_ROWS_BYTES: usize = 8 * BATCH_BYTES;

impl Records {
    fn new(blocks: Blocks) -> Result<(Self, SchemaRef), FormatError> {
        shape::check(&blocks.schema)?;
        let header = blocks.plain_header();
        let reader = ReaderBuilder::new().build(header.as_slice()).map_err(|error| broken(0, error))?;
        let schema = reader.schema();
        check_types(schema.fields())?;
        let width = schema.fields().iter().map(|field| limits::width(field.data_type())).fold(0, usize::saturating_add);
        let once = schema.fields().iter().any(|field| has_union(field.data_type()));
        Ok((Self { header, blocks, present: None, ready: VecDeque::new(), width, once }, schema))
    }

    fn next(&mut self, done: u64) -> Result<Option<RecordBatch>, FormatError> {
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Ok(Some(rows));
            }
            if let Some(reader) = &mut self.present {
                match reader.next() {
                    Some(rows) => self.cut(&rows.map_err(|error| broken(done, error))?),
                    None => self.present = None,
                }
                continue;
            }
            let (part, records) = self.part().map_err(|source| FormatError::Read { done, source })?;
            if records == 0 {
                return Ok(None);
            }
            let mut rows = limits::batch_rows(self.width);
            if self.once {
                if self.width.saturating_mul(records) > BLOCK_ROWS_BYTES {
                    let bytes = self.width.saturating_mul(records) as u64;
                    let part = format!("a block of {records} records");
                    return Err(FormatError::TooLarge { part, bytes, most: BLOCK_ROWS_BYTES as u64 });
                }
                rows = records;
            }
            // A block that promises more than it has room for is damaged; records take a byte each at least, but
            // for those of no fields.
            let builder = ReaderBuilder::new().with_batch_size(rows.min(part.len()));
            let reader = builder.build(Cursor::new(part)).map_err(|error| broken(done, error))?;
            self.present = Some(Box::new(reader));
        }
    }

    /// The next blocks that are decoded together, behind a header, and how many records they announce.
    fn part(&mut self) -> io::Result<(Vec<u8>, usize)> {
        let mut part = self.header.clone();
        let before = self.blocks.announced;
        let mut records = 0;
        while part.len() < TOGETHER_BYTES && (records < BATCH_ROWS || !self.once) && self.blocks.block(&mut part)? {
            records = usize::try_from(self.blocks.announced - before).unwrap_or(usize::MAX);
        }
        Ok((part, records))
    }

    fn cut(&mut self, rows: &RecordBatch) {
        for start in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            self.ready.push_back(rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start)));
        }
    }
}

impl AvroRows {
    /// Reads the file's header.
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        plan: impl FnOnce(&Schema) -> Result<Plan, FormatError>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        let (records, schema) = Records::new(Blocks::new(reader)?)?;
        let plan = plan(&schema)?;
        Ok(Self { records, plan, done: 0, skip })
    }

    fn decoded(&mut self, rows: &RecordBatch) -> Result<Option<Decoded>, FormatError> {
        let first = self.done;
        self.done += rows.num_rows() as u64;
        if self.done <= self.skip {
            return Ok(None);
        }
        let before = usize::try_from(self.skip.saturating_sub(first)).unwrap_or(usize::MAX);
        self.plan.decode(&rows.slice(before, rows.num_rows() - before), first + before as u64).map(Some)
    }
}

/// The decoder's error, or that of the reading below it.
fn broken(done: u64, error: ArrowError) -> FormatError {
    match error {
        ArrowError::IoError(_, source) => FormatError::Read { done, source },
        ArrowError::ExternalError(error) => match error.downcast::<io::Error>() {
            Ok(source) => FormatError::Read { done, source: *source },
            Err(error) => FormatError::Avro { done, source: ArrowError::ExternalError(error) },
        },
        source => FormatError::Avro { done, source },
    }
}

/// The columns of an Avro file, as plain types.
pub(super) fn schema(reader: Box<dyn Read + Send>) -> Result<SchemaRef, FormatError> {
    Ok(AvroRows::new(reader, |schema| Plan::new(schema, None, CODES), 0)?.plan.inferred())
}

impl Rows for AvroRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        while let Some(rows) = self.records.next(self.done)? {
            if let Some(decoded) = self.decoded(&rows)? {
                return Ok(Some(decoded));
            }
        }
        let announced = self.records.blocks.announced;
        if announced != self.done {
            return Err(FormatError::AvroCount { announced, read: self.done });
        }
        if self.done < self.skip {
            return Err(FormatError::Shorter { found: self.done, expected: self.skip });
        }
        Ok(None)
    }
}

/// The blocks of an object container, each checked.
///
/// The decoder behind it trusts a block's length, does not compare its marker and takes a
/// file that ends inside of a block for complete.
struct Blocks {
    inner: BufReader<Box<dyn Read + Send>>,
    /// The writer's schema, and how blocks are compressed.
    schema: String,
    codec: Codec,
    marker: [u8; 16],
    /// A header's or a block's bytes as they were read.
    present: Vec<u8>,
    /// Records of the blocks so far, by their own counts.
    announced: u64,
    /// Bytes of the file that were taken, for messages.
    offset: u64,
}

impl Blocks {
    /// Reads the header.
    fn new(reader: Box<dyn Read + Send>) -> Result<Self, FormatError> {
        let inner = BufReader::with_capacity(256 << 10, reader);
        let mut blocks = Self {
            inner,
            schema: String::new(),
            codec: Codec::Null,
            marker: [0; 16],
            present: Vec::new(),
            announced: 0,
            offset: 0,
        };
        let codec = blocks.header().map_err(|source| FormatError::Read { done: 0, source })?;
        blocks.codec = Codec::named(&codec)?;
        Ok(blocks)
    }

    /// Magic, a map of metadata, and the marker that follows every block. Gives the codec's name.
    fn header(&mut self) -> io::Result<Vec<u8>> {
        let most = HEADER_BYTES as u64;
        self.bytes(4, most)?;
        if self.present != b"Obj\x01" {
            return Err(damaged("it does not begin as an Avro object container"));
        }
        let mut codec = Vec::new();
        loop {
            let mut entries = self.long()?;
            if entries == 0 {
                break;
            }
            if entries < 0 {
                self.long()?;
                entries = entries.checked_neg().ok_or_else(|| damaged("its header is damaged"))?;
            }
            for _ in 0..entries {
                let (key, value) = (self.text(most)?, self.text(most)?);
                match key.as_slice() {
                    b"avro.codec" => codec = value,
                    b"avro.schema" => {
                        self.schema =
                            String::from_utf8(value).map_err(|_| damaged("the schema in its header is no text"))?;
                    }
                    _ => {}
                }
            }
        }
        self.present.clear();
        self.bytes(16, most)?;
        self.marker.copy_from_slice(&self.present);
        self.present.clear();
        Ok(codec)
    }

    /// The header of a container with the same schema whose blocks are not compressed.
    fn plain_header(&self) -> Vec<u8> {
        let mut header = b"Obj\x01".to_vec();
        put_long(1, &mut header);
        for text in ["avro.schema", &self.schema] {
            put_long(text.len() as i64, &mut header);
            header.extend_from_slice(text.as_bytes());
        }
        put_long(0, &mut header);
        header.extend_from_slice(&self.marker);
        header
    }

    /// Puts the next block that has records behind `into`, not compressed any more; false at the file's end.
    fn block(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            self.present.clear();
            if self.inner.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let start = self.offset;
            let records = u64::try_from(self.long()?).map_err(|_| damaged_block(start))?;
            let length = u64::try_from(self.long()?).map_err(|_| damaged_block(start))?;
            self.present.clear();
            self.bytes(length, PAGE_BYTES as u64)?;
            let end = self.present.len();
            self.bytes(16, u64::MAX)?;
            if self.present[end..] != self.marker {
                return Err(damaged_block(start));
            }
            if records == 0 {
                continue;
            }
            self.announced = self.announced.checked_add(records).ok_or_else(|| damaged_block(start))?;
            let mut plain = Vec::new();
            let block = if self.codec == Codec::Null {
                &self.present[..end]
            } else {
                self.codec.decompress(&self.present[..end], &mut plain).map_err(|error| {
                    io::Error::new(error.kind(), format!("the block at byte {start} cannot be decompressed: {error}"))
                })?;
                plain.as_slice()
            };
            put_long(records as i64, into);
            put_long(block.len() as i64, into);
            into.extend_from_slice(block);
            into.extend_from_slice(&self.marker);
            return Ok(true);
        }
    }

    /// Takes a length and as many bytes.
    fn text(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let length = u64::try_from(self.long()?).map_err(|_| damaged("its header is damaged"))?;
        let start = self.present.len();
        self.bytes(length, most)?;
        Ok(self.present[start..].to_vec())
    }

    /// Takes a variable-length number.
    fn long(&mut self) -> io::Result<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            self.bytes(1, u64::MAX)?;
            let byte = self.present[self.present.len() - 1];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(damaged_block(self.offset))
    }

    /// Takes `count` bytes, if that makes no more than `most` of them.
    fn bytes(&mut self, count: u64, most: u64) -> io::Result<()> {
        if (self.present.len() as u64).saturating_add(count) > most {
            return Err(damaged_block(self.offset));
        }
        let taken = self.inner.by_ref().take(count).read_to_end(&mut self.present)? as u64;
        self.offset += taken;
        if taken < count {
            let message = format!("the file ends inside of a block, at byte {}", self.offset);
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        Ok(())
    }
}

fn damaged(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

fn damaged_block(start: u64) -> io::Error {
    damaged(&format!("the block at byte {start} is damaged"))
}

/// A variable-length number, as Avro writes it.
fn put_long(number: i64, into: &mut Vec<u8>) {
    let mut rest = (number << 1 ^ number >> 63) as u64;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}
