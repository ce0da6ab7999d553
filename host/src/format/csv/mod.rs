//! Delimited text (RFC 4180): its own splitter over structural bytes, no copy of fields.
//!
//! What people may rely on:
//! - Columns are found by their names in the header, in any order; undeclared ones
//!   follow as strings, missing ones are absent. Names lose a byte-order mark and
//!   spaces around them; a column without a name is `column_N`, counted from 1.
//! - An unquoted empty field is null, and so is one whose text is in `nulls`. For
//!   string columns a quoted field is never null, so that `""` is the empty string.
//! - Spaces around numbers, dates and booleans do not matter; around strings they stay.
//! - A field in quotes may hold delimiters and line ends. A quote that is never closed
//!   costs one line: the line it stands on is bad, and reading goes on with the next.
//! - A record longer than [`RECORD_BYTES`](super::RECORD_BYTES) is bad, up to its first
//!   line end.

mod column;
mod header;
mod infer;
mod scan;
mod split;
mod write;

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

pub(super) use infer::infer;
pub use write::CsvWriter;

/// The names of a file's columns, in its order: from its header, or counted.
///
/// # Errors
/// The file cannot be opened, or its header is none.
pub fn names(input: &Input, format: &CsvFormat, compression: Compression) -> Result<Vec<String>, FormatError> {
    infer::names(text::open(input, compression, format.encoding, &Meter::default())?, format)
}

use self::column::{BadValue, Block, Why};
use self::header::Column;
use self::scan::Marks;
use self::split::{Records, Splitter};
use super::plain::type_name;
use super::text::{Original, Text};
use super::window::Window;
use super::{
    BATCH_ROWS, BadRecord, Decoded, FormatError, Input, Meter, Numbers, PAYLOAD_BYTES, RECORD_BYTES, Rows, text,
};
use crate::plan::{Compression, CsvFormat};

/// The rows of one file of delimited text.
pub(super) struct CsvRows {
    window: Window,
    original: Original,
    splitter: Splitter,
    nulls: Vec<Vec<u8>>,
    columns: Vec<Column>,
    schema: SchemaRef,
    records: Records,
    /// The line and the record that the window begins with, and whether a carriage return was
    /// the last byte taken.
    line: u64,
    record: u64,
    after_return: bool,
    skip: u64,
    /// What the window holds when no long record makes it larger.
    window_bytes: usize,
    /// Bytes that a full batch is expected to take.
    batch_bytes: usize,
}

/// Large enough for a few batches, small enough for the second-level cache.
const WINDOW_BYTES: usize = 1 << 20;

/// What the front of the window is.
enum Front {
    /// `records` holds at least one record.
    Records,
    /// A record that has no end within bounds; it is taken already.
    Bad(BadRecord),
    /// The end of the file.
    End,
}

impl CsvRows {
    /// Reads the header, if there is one.
    pub(super) fn new(
        text: Text,
        format: &CsvFormat,
        declared: Option<SchemaRef>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        Self::with_window(text, format, declared, skip, WINDOW_BYTES)
    }

    fn with_window(
        text: Text,
        format: &CsvFormat,
        declared: Option<SchemaRef>,
        skip: u64,
        window_bytes: usize,
    ) -> Result<Self, FormatError> {
        let mut rows = Self::unnamed(text, format, skip, window_bytes);
        let names = rows.names(format, declared.as_deref())?;
        rows.columns = header::columns(&names, declared.as_deref(), format.header)?;
        rows.splitter.fields = names.len().max(1);
        rows.schema =
            Arc::new(Schema::new(rows.columns.iter().map(|column| column.target.clone()).collect::<Vec<_>>()));
        Ok(rows)
    }

    fn unnamed(text: Text, format: &CsvFormat, skip: u64, window_bytes: usize) -> Self {
        Self {
            window: Window::new(text.reader, window_bytes),
            original: text.original,
            splitter: Splitter { marks: Marks { delimiter: format.delimiter, quote: format.quote }, fields: 1 },
            nulls: format.nulls.iter().map(|null| null.clone().into_bytes()).collect(),
            columns: Vec::new(),
            schema: Arc::new(Schema::empty()),
            records: Records::default(),
            line: 1,
            record: 0,
            after_return: false,
            skip,
            window_bytes,
            batch_bytes: window_bytes,
        }
    }

    /// The names of the file's fields: from its header, or counted.
    fn names(&mut self, format: &CsvFormat, declared: Option<&Schema>) -> Result<Vec<String>, FormatError> {
        // With one wanted field every other first record is odd, and odd ones are counted.
        let fields = match self.front(1)? {
            Front::End => return Ok(header::declared_names(declared)),
            Front::Bad(bad) => {
                return Err(FormatError::Header { problem: bad.message });
            }
            Front::Records => self.records.odd.first().map_or(1, |odd| odd.fields),
        };
        if !format.header {
            return Ok(header::counted_names(fields, declared));
        }
        self.splitter.fields = fields;
        self.front(1)?;
        let block = self.block();
        let names = (0..fields)
            .map(|field| String::from_utf8(block.text(0, field).into_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| FormatError::Header { problem: "it is not UTF-8; set `encoding`".to_owned() })?;
        self.advance();
        self.record = 0;
        header::clean(names)
    }

    /// Looks for up to `most` records at the front of the window.
    fn front(&mut self, most: usize) -> Result<Front, FormatError> {
        let mut least = self.batch_bytes;
        loop {
            self.window.fill(least);
            let ended = self.window.ended();
            self.splitter.split(self.window.bytes(), self.after_return, ended, most, &mut self.records);
            if self.records.count > 0 {
                return Ok(Front::Records);
            }
            self.advance();
            self.check()?;
            let unread = self.window.bytes().len();
            if ended && unread == 0 {
                return Ok(Front::End);
            }
            if ended || unread >= RECORD_BYTES {
                return self.bad_line().map(Front::Bad);
            }
            if unread == self.window.capacity() {
                self.window.resize((unread * 2).min(RECORD_BYTES));
            }
            least = self.window.capacity();
        }
    }

    /// Takes the records at the front of the window.
    fn advance(&mut self) {
        let taken = self.records.taken;
        if taken > 0 {
            self.after_return = self.window.bytes()[taken - 1] == b'\r';
            self.window.take(taken);
        }
        self.line += self.records.lines;
        self.record += self.records.count as u64;
        if self.window.capacity() > self.window_bytes && self.window.bytes().len() < self.window_bytes {
            self.window.resize(self.window_bytes);
        }
    }

    /// Takes the first line of a record that has no end within bounds.
    fn bad_line(&mut self) -> Result<BadRecord, FormatError> {
        let open_quote = self.records.open_quote;
        let mut payload = Vec::new();
        let mut length = 0_u64;
        loop {
            let bytes = self.window.bytes();
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            length += line.len() as u64;
            let keep = line.len().min(PAYLOAD_BYTES.saturating_sub(payload.len()));
            payload.extend_from_slice(&line[..keep]);
            if let Some(end) = end {
                self.after_return = bytes[end] == b'\r';
                self.window.take(end + 1);
                break;
            }
            self.window.take(bytes.len());
            if self.window.ended() {
                break;
            }
            self.check()?;
            self.window.fill(1);
        }
        let (reason, problem) = if open_quote {
            ("csv.unclosed-quote", "a quoted field that begins on this line is never closed".to_owned())
        } else {
            ("csv.too-long", format!("the record has no end within {} MiB", RECORD_BYTES >> 20))
        };
        let message = if length > payload.len() as u64 {
            format!("{problem}; of its {length} bytes the first {} are kept", payload.len())
        } else {
            problem
        };
        let bad = BadRecord {
            record: self.record,
            line: Some(self.line),
            reason,
            message,
            payload: self.original.restore(&payload),
        };
        self.line += 1;
        self.record += 1;
        Ok(bad)
    }

    fn check(&mut self) -> Result<(), FormatError> {
        let done = self.record;
        self.window.check().map_err(|source| FormatError::Read { done, source })
    }

    fn block(&self) -> Block<'_> {
        Block {
            data: self.window.bytes(),
            records: &self.records,
            fields: self.splitter.fields,
            quote: self.splitter.marks.quote,
            nulls: &self.nulls,
        }
    }

    /// Passes over the records that are done already.
    fn skip(&mut self) -> Result<(), FormatError> {
        while self.record < self.skip {
            let left = usize::try_from(self.skip - self.record).unwrap_or(usize::MAX);
            match self.front(left.min(BATCH_ROWS))? {
                Front::Records => self.advance(),
                Front::Bad(_) => {}
                Front::End => {
                    return Err(FormatError::Shorter { found: self.record, expected: self.skip });
                }
            }
        }
        Ok(())
    }

    /// Decodes the records at the front of the window.
    fn decode(&self) -> Result<Decoded, FormatError> {
        let block = self.block();
        let rows = block.rows();
        let mut bad = Vec::new();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let array = block.column(column.field, column.target.data_type(), &mut bad);
            if !column.target.is_nullable() && array.null_count() > 0 {
                let nulls = (0..rows).filter(|row| array.is_null(*row));
                bad.extend(nulls.map(|row| BadValue { row, field: column.field, why: Why::Null }));
            }
            arrays.push(array);
        }
        let done = self.record + self.records.count as u64;
        if bad.is_empty() && self.records.odd.is_empty() {
            let rows = self.batch(arrays, rows)?;
            return Ok(Decoded { rows, numbers: Numbers::From(self.record), bad: Vec::new(), done });
        }
        // A value that is not of its type is null as well: the first finding is the telling one.
        bad.sort_by_key(|value| (value.row, value.why));
        bad.dedup_by_key(|value| value.row);
        let numbers = self.numbers(rows);
        let bad_records = self.bad_records(&bad, &numbers);
        if bad.is_empty() {
            return Ok(Decoded {
                rows: self.batch(arrays, rows)?,
                numbers: Numbers::Each(numbers),
                bad: bad_records,
                done,
            });
        }
        let mut good = vec![true; rows];
        for value in &bad {
            good[value.row] = false;
        }
        let numbers =
            numbers.iter().zip(&good).filter(|(_, good)| **good).map(|(number, _)| *number).collect::<Vec<_>>();
        let mask = BooleanArray::from(good);
        let arrays = arrays
            .iter()
            .map(|array| arrow_select::filter::filter(array, &mask))
            .collect::<Result<Vec<_>, _>>()
            .map_err(FormatError::Rows)?;
        let rows = self.batch(arrays, numbers.len())?;
        Ok(Decoded { rows, numbers: Numbers::Each(numbers), bad: bad_records, done })
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, FormatError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(FormatError::Rows)
    }

    /// The record number of every row of the block.
    fn numbers(&self, rows: usize) -> Vec<u64> {
        let mut odd = self.records.odd.iter().peekable();
        let mut numbers = Vec::with_capacity(rows);
        for record in 0..self.records.count {
            if odd.peek().is_some_and(|odd| odd.record == record) {
                odd.next();
            } else {
                numbers.push(self.record + record as u64);
            }
        }
        numbers
    }

    /// The odd records and those with bad values (one per row, ascending), in the file's order.
    fn bad_records(&self, values: &[BadValue], numbers: &[u64]) -> Vec<BadRecord> {
        let block = self.block();
        let mut found = Vec::with_capacity(values.len() + self.records.odd.len());
        for odd in &self.records.odd {
            let wanted = self.splitter.fields;
            let message = format!("{wanted} fields expected, {} found", odd.fields);
            found.push((self.record + odd.record as u64, odd.start..odd.end, "csv.column-count", message));
        }
        for value in values {
            let place = block.record(value.row);
            let (reason, message) = self.describe(*value, &block, &block.data[place.clone()]);
            found.push((numbers[value.row], place, reason, message));
        }
        found.sort_by_key(|(record, ..)| *record);
        let (mut line, mut counted) = (self.line, 0);
        found
            .into_iter()
            .map(|(record, place, reason, message)| {
                line += lines(block.data, counted..place.start, self.after_return);
                counted = place.start;
                let payload = &block.data[place];
                let kept = &payload[..payload.len().min(PAYLOAD_BYTES)];
                let message = if kept.len() < payload.len() {
                    format!("{message}; of its {} bytes the first {} are kept", payload.len(), kept.len())
                } else {
                    message
                };
                BadRecord { record, line: Some(line), reason, message, payload: self.original.restore(kept) }
            })
            .collect()
    }

    fn describe(&self, value: BadValue, block: &Block<'_>, record: &[u8]) -> (&'static str, String) {
        let column = self.columns.iter().find(|column| column.field == value.field);
        let (name, kind) = column.map_or_else(
            || (String::new(), String::new()),
            |column| (column.target.name().clone(), type_name(column.target.data_type())),
        );
        let text = excerpt(&block.text(value.row, value.field));
        match value.why {
            Why::Null => ("csv.null", format!("column `{name}` must not be null")),
            Why::Type if std::str::from_utf8(record).is_ok() => {
                ("csv.type", format!("column `{name}`: `{text}` is not of type {kind}"))
            }
            Why::Type | Why::Encoding => ("csv.encoding", format!("column `{name}`: `{text}` is not valid UTF-8")),
        }
    }
}

impl CsvRows {
    /// The columns of every batch.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Rows for CsvRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        self.skip()?;
        match self.front(BATCH_ROWS)? {
            Front::End => Ok(None),
            Front::Bad(bad) => {
                let rows = RecordBatch::new_empty(self.schema.clone());
                Ok(Some(Decoded { rows, numbers: Numbers::From(self.record), bad: vec![bad], done: self.record }))
            }
            Front::Records => {
                let decoded = self.decode()?;
                if self.records.count == BATCH_ROWS {
                    // A little more than this batch took, so that the next one rarely is cut short.
                    self.batch_bytes = (self.records.taken + self.records.taken / 16).min(self.window_bytes);
                }
                self.advance();
                Ok(Some(decoded))
            }
        }
    }
}

/// A value as a message shows it: whole if short, always printable.
pub(super) fn excerpt(text: &[u8]) -> String {
    const CHARACTERS: usize = 80;
    let text = String::from_utf8_lossy(&text[..text.len().min(CHARACTERS * 4)]);
    let mut shown: String = text.chars().take(CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// Line ends within `range`; a line feed after a carriage return does not count again.
fn lines(data: &[u8], range: std::ops::Range<usize>, after_return: bool) -> u64 {
    let mut count = 0;
    for at in memchr::memchr2_iter(b'\n', b'\r', &data[range.clone()]).map(|at| at + range.start) {
        let returned = if at == 0 { after_return } else { data[at - 1] == b'\r' };
        count += u64::from(data[at] == b'\r' || !returned);
    }
    count
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::*;
    use crate::format::text;
    use crate::plan::Encoding;

    /// Gives its bytes in pieces of the given sizes, over and over.
    struct Pieces {
        bytes: Vec<u8>,
        at: usize,
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.sizes[self.turn % self.sizes.len()];
            self.turn += 1;
            let count = size.min(buffer.len()).min(self.bytes.len() - self.at);
            buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
            self.at += count;
            Ok(count)
        }
    }

    fn all(bytes: &[u8], sizes: &[usize], window: usize) -> (Vec<Vec<String>>, Vec<u64>, Vec<BadRecord>, u64) {
        let pieces = Pieces { bytes: bytes.to_vec(), at: 0, sizes: sizes.to_vec(), turn: 0 };
        let text = text::decode(Box::new(pieces), Encoding::Utf8).unwrap();
        let format =
            CsvFormat { delimiter: b',', quote: b'"', header: true, nulls: Vec::new(), encoding: Encoding::Utf8 };
        let mut rows = CsvRows::with_window(text, &format, None, 0, window).unwrap();
        let (mut table, mut numbers, mut bad, mut done) = (Vec::new(), Vec::new(), Vec::new(), 0);
        while let Some(decoded) = rows.next().unwrap() {
            for row in 0..decoded.rows.num_rows() {
                let value = |array: &ArrayRef| format!("{:?}", array.slice(row, 1));
                table.push(decoded.rows.columns().iter().map(value).collect());
            }
            numbers.extend(decoded.numbers.to_vec(decoded.rows.num_rows()));
            bad.extend(decoded.bad);
            done = decoded.done;
        }
        (table, numbers, bad, done)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// Where the window or a read happens to end must not matter.
        #[test]
        fn any_cut_gives_the_same_rows(
            body in "([a-zé,\n\r\"]|,x|\n\"|\"\n|a,\"b\n\"){0,300}",
            sizes in prop::collection::vec(1_usize..50, 1..6),
            window in 4_usize..200,
        ) {
            let text = format!("a,b\n{body}");
            prop_assert_eq!(all(text.as_bytes(), &[usize::MAX], 1 << 20), all(text.as_bytes(), &sizes, window));
        }
    }
}
