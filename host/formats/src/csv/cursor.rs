//! The records at the front of a file, found in a bounded window.

use std::io::Read;

use super::records::Records;
use super::scan::Marks;
use super::split::{Dialect, Splitter};
use crate::text::Original;
use crate::window::Window;
use crate::{BATCH_ROWS, BadRecord, FormatError, PAYLOAD_BYTES, RECORD_BYTES};
use sluicebox_core::reject::RejectCode;

/// Goes through a file record by record; knows the line and the number of the next one.
pub(super) struct Cursor {
    window: Window,
    splitter: Splitter,
    /// The dialect of the records behind the header.
    dialect: Dialect,
    records: Records,
    /// The line and the record that the window begins with, and whether a carriage return was
    /// the last byte taken.
    line: u64,
    record: u64,
    after_return: bool,
    /// What the window holds when no long record makes it larger.
    window_bytes: usize,
    /// Bytes that a full batch is expected to take.
    batch_bytes: usize,
}

/// Large enough for a few batches, small enough for the second-level cache.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

/// What the front of the window is.
pub(super) enum Front {
    /// [`Cursor::records`] holds at least one record.
    Records,
    /// The first line of a record that has no end within bounds; it is taken already.
    Bad(BadLine),
    /// The end of the file.
    End,
}

/// The first line of a record that has no end within bounds.
pub(super) struct BadLine {
    record: u64,
    line: u64,
    open_quote: bool,
    /// Its bytes, as many as are kept, and how many it had.
    kept: Vec<u8>,
    length: u64,
}

impl Cursor {
    /// At the start of the text, which is taken to have one field until [`Cursor::expect`]. Until then, lines
    /// without any byte are no records, and none are ragged.
    pub(super) fn new(reader: Box<dyn Read + Send>, marks: Marks, dialect: Dialect, window_bytes: usize) -> Self {
        let header = Dialect { blank_records: false, ragged: false, ..dialect };
        Self {
            window: Window::new(reader, window_bytes),
            splitter: Splitter { marks, fields: 1, dialect: header },
            dialect,
            records: Records::default(),
            line: 1,
            record: 0,
            after_return: false,
            window_bytes,
            batch_bytes: window_bytes,
        }
    }

    /// Expects the header, with so many fields.
    pub(super) fn expect_header(&mut self, fields: usize) {
        self.splitter.fields = fields;
    }

    /// Expects so many fields in every record from now on. With `blank`, lines without any byte are records.
    pub(super) fn expect(&mut self, fields: usize, blank: bool) {
        self.splitter.fields = fields;
        self.splitter.dialect = Dialect { blank_records: self.dialect.blank_records || blank, ..self.dialect };
    }

    /// Passes over so many lines, whatever is in them.
    pub(super) fn skip_lines(&mut self, lines: u64) -> Result<(), FormatError> {
        for _ in 0..lines {
            loop {
                self.window.fill(2);
                let bytes = self.window.bytes();
                if let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
                    if bytes[end] == b'\r' && end > 0 && end + 1 == bytes.len() && !self.window.ended() {
                        // Whether a line feed follows shows when more is read.
                        self.window.take(end);
                        self.check()?;
                        continue;
                    }
                    let both = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
                    self.after_return = bytes[end] == b'\r' && !both;
                    self.window.take(end + 1 + usize::from(both));
                    self.line += 1;
                    break;
                }
                let read = bytes.len();
                self.window.take(read);
                if self.window.ended() {
                    return Ok(());
                }
                self.check()?;
            }
        }
        Ok(())
    }

    /// How the text is cut.
    pub(super) fn splitter(&self) -> Splitter {
        self.splitter
    }

    /// The text that [`Cursor::records`] lie in.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }

    /// The records that [`Cursor::front`] found.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// The number of the first of them, from 0.
    pub(super) fn record(&self) -> u64 {
        self.record
    }

    /// The line that they begin on, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Whether a carriage return was the last byte before them.
    pub(super) fn after_return(&self) -> bool {
        self.after_return
    }

    /// Makes the next record the first: what came before was a header.
    pub(super) fn count_from_here(&mut self) {
        self.record = 0;
    }

    /// Looks for up to `most` records at the front of the window.
    pub(super) fn front(&mut self, most: usize) -> Result<Front, FormatError> {
        let mut least = self.batch_bytes;
        loop {
            self.window.fill(least);
            let ended = self.window.ended();
            self.splitter.split(self.window.bytes(), self.after_return, ended, most, &mut self.records);
            if self.records.count > 0 {
                if self.records.count == BATCH_ROWS {
                    // A little more than this batch takes, so that the next one rarely is cut short.
                    self.batch_bytes = (self.records.taken + self.records.taken / 16).min(self.window_bytes);
                }
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
    pub(super) fn advance(&mut self) {
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
    fn bad_line(&mut self) -> Result<BadLine, FormatError> {
        let open_quote = self.records.open_quote;
        let (mut kept, mut length) = (Vec::new(), 0_u64);
        loop {
            let bytes = self.window.bytes();
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            length += line.len() as u64;
            let keep = line.len().min(PAYLOAD_BYTES.saturating_sub(kept.len()));
            kept.extend_from_slice(&line[..keep]);
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
        let bad = BadLine { record: self.record, line: self.line, open_quote, kept, length };
        self.line += 1;
        self.record += 1;
        Ok(bad)
    }

    fn check(&mut self) -> Result<(), FormatError> {
        let done = self.record;
        self.window.check().map_err(|source| FormatError::Read { done, source })
    }
}

impl BadLine {
    /// What is wrong with it.
    pub(super) fn message(&self) -> String {
        let problem = if self.open_quote {
            "a quoted field that begins on this line is never closed".to_owned()
        } else {
            format!("the record has no end within {} MiB", RECORD_BYTES >> 20)
        };
        if self.length > self.kept.len() as u64 {
            format!("{problem}; of its {} bytes the first {} are kept", self.length, self.kept.len())
        } else {
            problem
        }
    }

    /// It, as a bad record of a file whose bytes were decoded from `original`.
    pub(super) fn bad_record(&self, original: Original) -> BadRecord {
        BadRecord {
            record: self.record,
            line: Some(self.line),
            reason: if self.open_quote { RejectCode::CsvUnclosedQuote } else { RejectCode::CsvTooLong },
            message: self.message(),
            payload: original.restore(&self.kept),
        }
    }
}
