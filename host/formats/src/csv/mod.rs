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
//! - A field in quotes may hold delimiters and line ends. A quote in another place, or text
//!   behind a closing one, makes its record bad. A quote that is never closed
//!   costs one line: the line it stands on is bad, and reading goes on with the next.
//! - Lines without any byte are passed over, except in a file of one column, where each is a
//!   row with an empty field.
//! - A column that nobody declared holds only what comes back as it was written; what does
//!   not is bad, as is any value that is not of its column's type.
//! - A record longer than [`RECORD_BYTES`](super::RECORD_BYTES) is bad, up to its first
//!   line end.

mod column;
mod cursor;
mod header;
mod records;
mod rejects;
mod sample;
mod scan;
mod split;
mod write;

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

pub(super) use rejects::excerpt;
pub(super) use sample::CsvSample;
pub use write::CsvWriter;

/// The names of a file's columns, in its order: from its header, or counted.
///
/// # Errors
/// The file cannot be opened, or its header is none.
pub fn names(input: &Input, format: &CsvFormat, compression: Compression) -> Result<Vec<String>, FormatError> {
    sample::names(text::open(input, compression, format.encoding, &Meter::default())?, format)
}

use self::column::{BadValue, Block, Style, Why};
use self::cursor::{Cursor, Front};
use self::header::Column;
use self::records::Flaw;
use self::scan::Marks;
use self::split::{Dialect, Splitter};
use super::text::{Original, Text};
use super::{BATCH_ROWS, Decoded, FormatError, Input, Meter, Numbers, Rows, text};
use crate::limits::COLUMNS;
use sluicebox_core::plan::{Compression, CsvFormat, Quoting};

/// The rows of one file of delimited text.
pub(super) struct CsvRows {
    cursor: Cursor,
    original: Original,
    style: Style,
    nulls: Vec<Vec<u8>>,
    columns: Vec<Column>,
    schema: SchemaRef,
    skip: u64,
}

/// What is known of a file's columns before it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The columns; the file's others are text.
    pub(super) columns: Option<SchemaRef>,
    /// They were inferred and not declared, so that a value has to come back as it was written.
    pub(super) exact: bool,
}

impl CsvRows {
    /// Reads the header, if there is one.
    pub(super) fn new(text: Text, format: &CsvFormat, known: &Known, skip: u64) -> Result<Self, FormatError> {
        Self::with_window(text, format, known, skip, cursor::WINDOW_BYTES)
    }

    fn with_window(
        text: Text,
        format: &CsvFormat,
        known: &Known,
        skip: u64,
        window_bytes: usize,
    ) -> Result<Self, FormatError> {
        let declared = known.columns.as_deref();
        let delimiter = format.delimiter.unwrap_or(b',');
        let quote = if format.quoting == Quoting::None { delimiter } else { format.quote };
        let style = Style { quote, escape: format.escape.filter(|escape| *escape != quote), delimiter };
        let dialect = Dialect {
            inner_quotes: format.quoting != Quoting::Strict,
            escapes: style.escape.is_some(),
            comment: format.comment,
            blank_records: format.skip_blank == Some(false),
            ragged: format.ragged,
        };
        let marks = Marks { delimiter, quote, escape: style.escape.unwrap_or(delimiter) };
        let mut rows = Self {
            cursor: Cursor::new(text.reader, marks, dialect, window_bytes),
            original: text.original,
            style,
            nulls: format.nulls.iter().map(|null| null.clone().into_bytes()).collect(),
            columns: Vec::new(),
            schema: Arc::new(Schema::empty()),
            skip,
        };
        rows.cursor.skip_lines(format.skip_rows)?;
        let names = rows.names(format, declared)?;
        if names.len() > COLUMNS {
            return Err(FormatError::Columns { most: COLUMNS });
        }
        rows.columns = header::columns(&names, declared, format.header, known.exact, &format.values)?;
        rows.cursor.expect(names.len().max(1), format.skip_blank.is_none() && names.len() == 1);
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
            Front::Records => match self.cursor.records().odd.first().map(|odd| odd.flaw) {
                None => 1,
                Some(Flaw::Fields(fields)) => fields,
                // Without a header it is a bad record like any other.
                Some(_) if !format.header => 1,
                Some(flaw) => return Err(FormatError::Header { problem: rejects::message(flaw, 1) }),
            },
        };
        if !format.header {
            return Ok(header::counted_names(fields, declared));
        }
        if fields > COLUMNS {
            return Err(FormatError::Columns { most: COLUMNS });
        }
        self.cursor.expect_header(fields);
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
        let Splitter { fields, .. } = self.cursor.splitter();
        Block {
            data: self.cursor.bytes(),
            records: self.cursor.records(),
            fields,
            style: self.style,
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
            let array = block.column(column.field, column.target.data_type(), &column.reading, &mut bad);
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::*;
    use crate::{BadRecord, text};
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

    fn all(
        format: &CsvFormat,
        bytes: &[u8],
        sizes: &[usize],
        window: usize,
    ) -> (Vec<Vec<String>>, Vec<u64>, Vec<BadRecord>, u64) {
        let pieces = Pieces { bytes: bytes.to_vec(), at: 0, sizes: sizes.to_vec(), turn: 0 };
        let text = text::decode(Box::new(pieces), Encoding::Utf8).unwrap();
        let mut rows = CsvRows::with_window(text, format, &Known::default(), 0, window).unwrap();
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
            body in "([a-zé,\n\r\"#|]|,x|\n\"|\"\n|a,\"b\n\"|\n#x){0,300}",
            sizes in prop::collection::vec(1_usize..50, 1..6),
            window in 4_usize..200,
            (escape, comment, ragged) in (any::<bool>(), any::<bool>(), any::<bool>()),
        ) {
            let format = CsvFormat {
                escape: escape.then_some(b'|'),
                comment: comment.then_some(b'#'),
                ragged,
                ..CsvFormat::default()
            };
            let text = format!("a,b\n{body}");
            let whole = all(&format, text.as_bytes(), &[usize::MAX], 1 << 20);
            prop_assert_eq!(whole, all(&format, text.as_bytes(), &sizes, window));
        }
    }
}
