//! Delimited text (RFC 4180): its own splitter over structural bytes, no copy of fields.
//!
//! What people may rely on:
//! - Columns are found by their names in the header, in any order and, where that leaves
//!   no doubt, in any case; undeclared ones follow as strings, missing ones are absent.
//!   Names lose a byte-order mark and spaces around them; a column without a name is
//!   `column_N`, counted from 1.
//! - An unquoted empty field is null, and so is one whose text is in `nulls`. For
//!   string columns a quoted field is never null, so that `""` is the empty string.
//! - Spaces around numbers, dates and booleans do not matter; around strings they stay.
//! - A field in quotes may hold delimiters and line ends. A quote that is never closed
//!   costs one line: the line it stands on is bad, and reading goes on with the next.
//! - A record longer than [`RECORD_BYTES`](super::RECORD_BYTES) is bad, up to its first
//!   line end.

mod column;
mod cursor;
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
use self::cursor::{Cursor, Front};
use self::header::Column;
use self::scan::Marks;
use self::split::Splitter;
use super::plain::type_name;
use super::text::{Original, Text};
use super::{BATCH_ROWS, BadRecord, Decoded, FormatError, Input, Meter, Numbers, PAYLOAD_BYTES, Rows, text};
use sluicebox_core::plan::{Compression, CsvFormat};
use sluicebox_core::reject::RejectCode;

/// The rows of one file of delimited text.
pub(super) struct CsvRows {
    cursor: Cursor,
    original: Original,
    nulls: Vec<Vec<u8>>,
    columns: Vec<Column>,
    schema: SchemaRef,
    skip: u64,
}

impl CsvRows {
    /// Reads the header, if there is one.
    pub(super) fn new(
        text: Text,
        format: &CsvFormat,
        declared: Option<SchemaRef>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        Self::with_window(text, format, declared, skip, cursor::WINDOW_BYTES)
    }

    fn with_window(
        text: Text,
        format: &CsvFormat,
        declared: Option<SchemaRef>,
        skip: u64,
        window_bytes: usize,
    ) -> Result<Self, FormatError> {
        let marks = Marks { delimiter: format.delimiter, quote: format.quote };
        let mut rows = Self {
            cursor: Cursor::new(text.reader, marks, window_bytes),
            original: text.original,
            nulls: format.nulls.iter().map(|null| null.clone().into_bytes()).collect(),
            columns: Vec::new(),
            schema: Arc::new(Schema::empty()),
            skip,
        };
        let names = rows.names(format, declared.as_deref())?;
        rows.columns = header::columns(&names, declared.as_deref(), format.header)?;
        rows.cursor.expect(names.len().max(1));
        rows.schema =
            Arc::new(Schema::new(rows.columns.iter().map(|column| column.target.clone()).collect::<Vec<_>>()));
        Ok(rows)
    }

    /// The names of the file's fields: from its header, or counted.
    fn names(&mut self, format: &CsvFormat, declared: Option<&Schema>) -> Result<Vec<String>, FormatError> {
        // With one wanted field every other first record is odd, and odd ones are counted.
        let fields = match self.cursor.front(1)? {
            Front::End => return Ok(header::declared_names(declared)),
            Front::Bad(line) => return Err(FormatError::Header { problem: line.message() }),
            Front::Records => self.cursor.records().odd.first().map_or(1, |odd| odd.fields),
        };
        if !format.header {
            return Ok(header::counted_names(fields, declared));
        }
        self.cursor.expect(fields);
        self.cursor.front(1)?;
        let block = self.block();
        let names = (0..fields)
            .map(|field| String::from_utf8(block.text(0, field).into_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| FormatError::Header { problem: "it is not UTF-8; set `encoding`".to_owned() })?;
        self.cursor.advance();
        self.cursor.count_from_here();
        header::clean(names)
    }

    fn block(&self) -> Block<'_> {
        let Splitter { marks, fields } = self.cursor.splitter();
        Block {
            data: self.cursor.bytes(),
            records: self.cursor.records(),
            fields,
            quote: marks.quote,
            nulls: &self.nulls,
        }
    }

    /// Passes over the records that are done already.
    fn skip(&mut self) -> Result<(), FormatError> {
        while self.cursor.record() < self.skip {
            let left = usize::try_from(self.skip - self.cursor.record()).unwrap_or(usize::MAX);
            match self.cursor.front(left.min(BATCH_ROWS))? {
                Front::Records => self.cursor.advance(),
                Front::Bad(_) => {}
                Front::End => {
                    return Err(FormatError::Shorter { found: self.cursor.record(), expected: self.skip });
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
        let done = self.cursor.record() + block.records.count as u64;
        if bad.is_empty() && block.records.odd.is_empty() {
            let rows = self.batch(arrays, rows)?;
            return Ok(Decoded { rows, numbers: Numbers::From(self.cursor.record()), bad: Vec::new(), done });
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
        let records = self.cursor.records();
        let mut odd = records.odd.iter().peekable();
        let mut numbers = Vec::with_capacity(rows);
        for record in 0..records.count {
            if odd.peek().is_some_and(|odd| odd.record == record) {
                odd.next();
            } else {
                numbers.push(self.cursor.record() + record as u64);
            }
        }
        numbers
    }

    /// The odd records and those with bad values (one per row, ascending), in the file's order.
    fn bad_records(&self, values: &[BadValue], numbers: &[u64]) -> Vec<BadRecord> {
        let block = self.block();
        let mut found = Vec::with_capacity(values.len() + block.records.odd.len());
        for odd in &block.records.odd {
            let message = format!("{} fields expected, {} found", block.fields, odd.fields);
            found.push((
                self.cursor.record() + odd.record as u64,
                odd.start..odd.end,
                RejectCode::CsvColumnCount,
                message,
            ));
        }
        for value in values {
            let place = block.record(value.row);
            let (reason, message) = self.describe(*value, &block, &block.data[place.clone()]);
            found.push((numbers[value.row], place, reason, message));
        }
        found.sort_by_key(|(record, ..)| *record);
        let (mut line, mut counted) = (self.cursor.line(), 0);
        let after_return = self.cursor.after_return();
        found
            .into_iter()
            .map(|(record, place, reason, message)| {
                line += lines(block.data, counted..place.start, after_return);
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

    fn describe(&self, value: BadValue, block: &Block<'_>, record: &[u8]) -> (RejectCode, String) {
        let column = self.columns.iter().find(|column| column.field == value.field);
        let (name, kind) = column.map_or_else(
            || (String::new(), String::new()),
            |column| (column.target.name().clone(), type_name(column.target.data_type())),
        );
        let text = excerpt(&block.text(value.row, value.field));
        match value.why {
            Why::Null => (RejectCode::CsvNull, format!("column `{name}` must not be null")),
            Why::Type if std::str::from_utf8(record).is_ok() => {
                (RejectCode::CsvType, format!("column `{name}`: `{text}` is not of type {kind}"))
            }
            Why::Type | Why::Encoding => {
                (RejectCode::CsvEncoding, format!("column `{name}`: `{text}` is not valid UTF-8"))
            }
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
        match self.cursor.front(BATCH_ROWS)? {
            Front::End => Ok(None),
            Front::Bad(line) => {
                let rows = RecordBatch::new_empty(self.schema.clone());
                let done = self.cursor.record();
                let bad = vec![line.bad_record(self.original)];
                Ok(Some(Decoded { rows, numbers: Numbers::From(done), bad, done }))
            }
            Front::Records => {
                let decoded = self.decode()?;
                self.cursor.advance();
                Ok(Some(decoded))
            }
        }
    }
}

/// A value as a message shows it: as it is written, whole if short, always printable.
pub(super) fn excerpt(text: &[u8]) -> String {
    const CHARACTERS: usize = 80;
    let text = String::from_utf8_lossy(&text[..text.len().min(CHARACTERS * 4)]);
    let mut shown = String::new();
    for letter in text.chars().take(CHARACTERS) {
        match letter {
            // Quotes and backslashes are printable.
            '"' | '\'' | '\\' => shown.push(letter),
            other => shown.extend(other.escape_debug()),
        }
    }
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
    use crate::text;
    use sluicebox_core::plan::Encoding;

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
