//! Avro: object containers here, and bodies of messages in `body`; both are read with their
//! writer's schema.
//!
//! What people may rely on of containers: every block's length and marker are checked before its
//! records are decoded, blocks without records do not end the file, and a file that is
//! cut off or damaged is an error. A union of several types becomes a string, as no
//! table holds one; bytes in it that are not text become hexadecimal.

mod body;
mod writer;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_schema::{ArrowError, Schema, SchemaRef};

pub use self::body::BadSchema;
pub(super) use self::body::BodyDecoder;

use super::plain::{Codes, Plan, has_union};
use super::{BATCH_ROWS, Decoded, FormatError, Rows};

pub(super) const CODES: Codes = Codes { kind: "avro.type", null: "avro.null" };

/// The rows of one Avro file.
pub(super) struct AvroRows {
    records: Records,
    plan: Plan,
    announced: Arc<AtomicU64>,
    done: u64,
    skip: u64,
}

/// Where decoded records come from.
enum Records {
    /// From one decoder, batch after batch.
    Flowing(Box<Reader<BufReader<Blocks>>>),
    /// From a decoder of their own for each few blocks, whose rows wait here. Once it has given a batch, the
    /// library's decoder takes values of a union of several types from wrong places.
    Parted { header: Vec<u8>, blocks: Blocks, ready: VecDeque<RecordBatch> },
}

impl Records {
    fn new(blocks: Blocks) -> Result<(Self, SchemaRef), ArrowError> {
        let header = blocks.present.clone();
        let schema = ReaderBuilder::new().build(header.as_slice())?.schema();
        if schema.fields().iter().any(|field| has_union(field.data_type())) {
            return Ok((Self::Parted { header, blocks, ready: VecDeque::new() }, schema));
        }
        let reader = ReaderBuilder::new().with_batch_size(BATCH_ROWS).build(BufReader::new(blocks))?;
        Ok((Self::Flowing(Box::new(reader)), schema))
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        match self {
            Self::Flowing(reader) => reader.next().transpose(),
            Self::Parted { header, blocks, ready } => {
                if ready.is_empty() {
                    part(header, blocks, ready)?;
                }
                Ok(ready.pop_front())
            }
        }
    }
}

/// Decodes the next blocks that have a batch of records together, and cuts them into batches.
fn part(header: &[u8], blocks: &mut Blocks, ready: &mut VecDeque<RecordBatch>) -> Result<(), ArrowError> {
    let mut part = header.to_vec();
    let before = blocks.announced.load(Ordering::Relaxed);
    let mut records = 0;
    while records < BATCH_ROWS && blocks.block()? {
        part.extend_from_slice(&blocks.present);
        records = usize::try_from(blocks.announced.load(Ordering::Relaxed) - before).unwrap_or(usize::MAX);
    }
    // A block that promises more than it has room for is damaged; records take a byte each at least, but for
    // those of no fields.
    let reader = ReaderBuilder::new().with_batch_size(records.min(part.len())).build(part.as_slice())?;
    for rows in reader {
        let rows = rows?;
        for start in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            ready.push_back(rows.slice(start, BATCH_ROWS.min(rows.num_rows() - start)));
        }
    }
    Ok(())
}

impl AvroRows {
    /// Reads the file's header.
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        plan: impl FnOnce(&Schema) -> Result<Plan, FormatError>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        let announced = Arc::new(AtomicU64::new(0));
        let blocks = Blocks::new(reader, announced.clone()).map_err(|source| FormatError::Read { done: 0, source })?;
        let (records, schema) = Records::new(blocks).map_err(|error| broken(0, error))?;
        let plan = plan(&schema)?;
        Ok(Self { records, plan, announced, done: 0, skip })
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
        while let Some(rows) = self.records.next().map_err(|error| broken(self.done, error))? {
            if let Some(decoded) = self.decoded(&rows)? {
                return Ok(Some(decoded));
            }
        }
        let announced = self.announced.load(Ordering::Relaxed);
        if announced != self.done {
            return Err(FormatError::AvroCount { announced, read: self.done });
        }
        if self.done < self.skip {
            return Err(FormatError::Shorter { found: self.done, expected: self.skip });
        }
        Ok(None)
    }
}

/// Passes an object container on, one checked block at a time.
///
/// The decoder behind it trusts a block's length, does not compare its marker and takes a
/// file that ends inside of a block for complete.
struct Blocks {
    inner: BufReader<Box<dyn Read + Send>>,
    marker: [u8; 16],
    present: Vec<u8>,
    at: usize,
    announced: Arc<AtomicU64>,
    /// Bytes of the file that were taken, for messages.
    offset: u64,
}

/// A longer header or block is taken for damage.
const HEADER_BYTES: u64 = 64 << 20;
const BLOCK_BYTES: u64 = 1 << 30;

impl Blocks {
    fn new(reader: Box<dyn Read + Send>, announced: Arc<AtomicU64>) -> io::Result<Self> {
        let inner = BufReader::with_capacity(256 << 10, reader);
        let mut blocks = Self { inner, marker: [0; 16], present: Vec::new(), at: 0, announced, offset: 0 };
        blocks.header()?;
        Ok(blocks)
    }

    /// Magic, a map of metadata, and the marker that follows every block.
    fn header(&mut self) -> io::Result<()> {
        self.bytes(4, HEADER_BYTES)?;
        if self.present != b"Obj\x01" {
            return Err(damaged("it does not begin as an Avro object container"));
        }
        loop {
            let mut entries = self.long()?;
            if entries == 0 {
                break;
            }
            if entries < 0 {
                self.long()?;
                entries = entries.checked_neg().ok_or_else(|| damaged("its header is damaged"))?;
            }
            for _ in 0..entries.saturating_mul(2) {
                let length = u64::try_from(self.long()?).map_err(|_| damaged("its header is damaged"))?;
                self.bytes(length, HEADER_BYTES)?;
            }
        }
        self.bytes(16, HEADER_BYTES)?;
        let marker = self.present.len() - 16;
        self.marker.copy_from_slice(&self.present[marker..]);
        Ok(())
    }

    /// The next block that has records; false at the file's end.
    fn block(&mut self) -> io::Result<bool> {
        loop {
            self.present.clear();
            self.at = 0;
            if self.inner.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let start = self.offset;
            let records = u64::try_from(self.long()?).map_err(|_| damaged_block(start))?;
            let length = u64::try_from(self.long()?).map_err(|_| damaged_block(start))?;
            self.bytes(length, BLOCK_BYTES)?;
            let end = self.present.len();
            self.bytes(16, BLOCK_BYTES)?;
            if self.present[end..] != self.marker {
                return Err(damaged_block(start));
            }
            if records > 0 {
                self.announced.fetch_add(records, Ordering::Relaxed);
                return Ok(true);
            }
        }
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

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.present.len() {
            if !self.block()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.present.len() - self.at);
        buffer[..count].copy_from_slice(&self.present[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
