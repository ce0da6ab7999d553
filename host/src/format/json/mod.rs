//! JSON lines: one object a line.
//!
//! What people may rely on:
//! - Lines of nothing but spaces are skipped. Of a key that stands twice the last counts.
//! - A field that is not declared is not lost: it goes into `_rescued`, one JSON object
//!   with the field's own text. So does a struct with fields that are not declared.
//! - A `string` column takes any value: numbers and booleans as they are written,
//!   objects and arrays as JSON text.
//! - A missing field is null. Numbers may stand in quotes.

mod infer;
mod object;
mod rescue;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array,
};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};

pub(super) use infer::infer;

use super::text::{Original, Text};
use super::window::Window;
use super::{
    BATCH_ROWS, BadRecord, Decoded, FormatError, Numbers, PAYLOAD_BYTES, RECORD_BYTES, Rows,
};
use crate::batch::column;

/// The rows of one file of JSON lines.
pub(super) struct JsonRows {
    lines: Lines,
    original: Original,
    /// The columns as declared, and with `_rescued`.
    declared: SchemaRef,
    schema: SchemaRef,
    /// Takes a whole batch of lines that hold only declared fields; `None` after an error.
    fast: Option<Decoder>,
    record: u64,
    skip: u64,
}

/// Larger than a batch of usual events.
const WINDOW_BYTES: usize = 2 << 20;

/// The lines of a file that are not blank.
pub(super) struct Lines {
    window: Window,
    /// The number of the window's first line.
    number: u64,
}

/// A line in the window.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Where, without its line end.
    place: Range<usize>,
    /// From 1.
    number: u64,
}

/// What [`Lines::front`] found.
pub(super) enum Front {
    /// Lines, and how many bytes and lines they and blank ones among them take.
    Lines(Vec<Line>, usize, u64),
    /// A line that is too long, which is taken: its number, length and beginning.
    TooLong(u64, u64, Vec<u8>),
    /// The end of the file.
    End,
}

impl Lines {
    /// The lines of `text`.
    pub(super) fn new(text: Text) -> (Self, Original) {
        (
            Self {
                window: Window::new(text.reader, WINDOW_BYTES),
                number: 1,
            },
            text.original,
        )
    }

    /// The window that the places point into.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Up to `most` lines at the front of the window.
    pub(super) fn front(&mut self, most: usize) -> std::io::Result<Front> {
        loop {
            self.window.fill(self.window.capacity() / 2)?;
            let (bytes, ended) = (self.window.bytes(), self.window.ended());
            let (mut lines, mut start, mut number) = (Vec::new(), 0, self.number);
            let mut keep = |place: Range<usize>, number| {
                if !bytes[place.clone()].trim_ascii().is_empty() {
                    lines.push(Line { place, number });
                }
                lines.len() == most
            };
            for end in memchr::memchr_iter(b'\n', bytes) {
                let full = keep(start..end, number);
                start = end + 1;
                number += 1;
                if full {
                    break;
                }
            }
            if ended && lines.len() < most && start < bytes.len() {
                if !bytes[start..].trim_ascii().is_empty() {
                    lines.push(Line {
                        place: start..bytes.len(),
                        number,
                    });
                }
                start = bytes.len();
                number += 1;
            }
            if !lines.is_empty() {
                return Ok(Front::Lines(lines, start, number - self.number));
            }
            self.take(start, number - self.number);
            let unread = self.window.bytes().len();
            if ended && unread == 0 {
                return Ok(Front::End);
            }
            if unread >= RECORD_BYTES {
                return self.too_long();
            }
            if unread == self.window.capacity() {
                self.window.resize((unread * 2).min(RECORD_BYTES));
            }
            self.window.fill(self.window.capacity())?;
        }
    }

    /// Takes what [`Lines::front`] found.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) {
        self.window.take(bytes);
        self.number += lines;
        if self.window.capacity() > WINDOW_BYTES && self.window.bytes().len() < WINDOW_BYTES {
            self.window.resize(WINDOW_BYTES);
        }
    }

    fn too_long(&mut self) -> std::io::Result<Front> {
        let (mut beginning, mut length) = (Vec::new(), 0_u64);
        loop {
            let bytes = self.window.bytes();
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            length += part.len() as u64;
            let keep = part
                .len()
                .min(PAYLOAD_BYTES.saturating_sub(beginning.len()));
            beginning.extend_from_slice(&part[..keep]);
            let taken = end.map_or(bytes.len(), |end| end + 1);
            self.window.take(taken);
            if end.is_some() || self.window.ended() {
                break;
            }
            self.window.fill(1)?;
        }
        self.number += 1;
        Ok(Front::TooLong(self.number - 1, length, beginning))
    }
}

impl JsonRows {
    /// The rows of `text`, with the declared columns and `_rescued`.
    pub(super) fn new(
        text: Text,
        declared: Option<SchemaRef>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        let declared = declared.unwrap_or_else(|| Arc::new(Schema::empty()));
        let mut fields: Vec<FieldRef> = declared.fields().to_vec();
        fields.push(Arc::new(Field::new(column::RESCUED, DataType::Utf8, true)));
        let (lines, original) = Lines::new(text);
        Ok(Self {
            lines,
            original,
            declared,
            schema: Arc::new(Schema::new(fields)),
            fast: None,
            record: 0,
            skip,
        })
    }

    fn decoder(&self, strict: bool, rows: usize) -> Result<Decoder, FormatError> {
        // Nulls are looked at afterwards, where the row can be named.
        let fields: Vec<Field> = self
            .declared
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_batch_size(rows)
            .with_coerce_primitive(true)
            .with_strict_mode(strict)
            .build_decoder()
            .map_err(FormatError::Rows)
    }

    /// All lines at once, if each is one object of declared fields; `None` if not.
    fn decode_all(&mut self, lines: &[Line]) -> Result<Option<RecordBatch>, FormatError> {
        let mut decoder = match self.fast.take() {
            Some(decoder) => decoder,
            None => self.decoder(true, BATCH_ROWS)?,
        };
        for (row, line) in lines.iter().enumerate() {
            if !takes_one(&mut decoder, &self.lines.bytes()[line.place.clone()], row) {
                return Ok(None);
            }
        }
        let Ok(Some(rows)) = decoder.flush() else {
            return Ok(None);
        };
        self.fast = Some(decoder);
        let missing =
            |(field, array): (&FieldRef, &ArrayRef)| !field.is_nullable() && array.null_count() > 0;
        if self
            .declared
            .fields()
            .iter()
            .zip(rows.columns())
            .any(missing)
        {
            return Ok(None);
        }
        Ok(Some(rows))
    }

    /// Line by line where it must be: each becomes a row, with what is not declared rescued, or a
    /// bad record.
    fn decode_each(&self, lines: &[Line]) -> Result<Decoded, FormatError> {
        let mut parts = Vec::new();
        let mut rescued: Vec<Option<String>> = Vec::with_capacity(lines.len());
        let mut numbers = Vec::with_capacity(lines.len());
        let mut bad = Vec::new();
        let mut first = 0;
        for group in lines.chunks(GROUP) {
            let prepared: Vec<_> = group
                .iter()
                .map(|line| {
                    rescue::prepare(&self.lines.bytes()[line.place.clone()], &self.declared)
                })
                .collect();
            let texts: Vec<&[u8]> = prepared
                .iter()
                .zip(group)
                .map(|(prepared, line)| {
                    prepared
                        .text
                        .as_deref()
                        .unwrap_or(&self.lines.bytes()[line.place.clone()])
                })
                .collect();
            let numbered = |row: usize| self.record + (first + row) as u64;
            if let Ok(rows) = self.decode_texts(&texts) {
                parts.push(rows);
                numbers.extend((0..group.len()).map(numbered));
                rescued.extend(prepared.into_iter().map(|prepared| prepared.rescued));
            } else {
                for (row, (text, prepared)) in texts.iter().zip(&prepared).enumerate() {
                    match self.decode_texts(&[text]) {
                        Ok(rows) => {
                            parts.push(rows);
                            numbers.push(numbered(row));
                            rescued.push(prepared.rescued.clone());
                        }
                        Err(problem) => bad.push(self.bad(&group[row], numbered(row), problem)),
                    }
                }
            }
            first += group.len();
        }
        let rows = arrow_select::concat::concat_batches(&self.nullable(), &parts)
            .map_err(FormatError::Rows)?;
        let done = self.record + lines.len() as u64;
        self.without_nulls(
            Decoded {
                rows: self.complete(&rows, Some(rescued))?,
                numbers: Numbers::Each(numbers),
                bad,
                done,
            },
            lines,
        )
    }

    /// Moves rows with a null where none may be to the bad ones.
    fn without_nulls(&self, mut decoded: Decoded, lines: &[Line]) -> Result<Decoded, FormatError> {
        let mut good = vec![true; decoded.rows.num_rows()];
        let numbers = decoded.numbers.to_vec(good.len());
        for (field, array) in self.declared.fields().iter().zip(decoded.rows.columns()) {
            if field.is_nullable() || array.null_count() == 0 {
                continue;
            }
            for row in (0..good.len()).filter(|row| array.is_null(*row)) {
                if std::mem::replace(&mut good[row], false) {
                    let problem = Problem {
                        reason: "json.null",
                        message: format!("column `{}` must not be null", field.name()),
                    };
                    let line = &lines[(numbers[row] - self.record) as usize];
                    decoded.bad.push(self.bad(line, numbers[row], problem));
                }
            }
        }
        if good.iter().all(|good| *good) {
            return Ok(decoded);
        }
        decoded.bad.sort_by_key(|bad| bad.record);
        decoded.numbers = Numbers::Each(
            numbers
                .into_iter()
                .zip(&good)
                .filter(|(_, good)| **good)
                .map(|(n, _)| n)
                .collect(),
        );
        decoded.rows =
            arrow_select::filter::filter_record_batch(&decoded.rows, &BooleanArray::from(good))
                .map_err(FormatError::Rows)?;
        Ok(decoded)
    }

    fn decode_texts(&self, texts: &[&[u8]]) -> Result<RecordBatch, Problem> {
        let internal = |error: FormatError| Problem {
            reason: "json.type",
            message: error.to_string(),
        };
        let mut decoder = self.decoder(false, texts.len()).map_err(internal)?;
        for (row, text) in texts.iter().enumerate() {
            if std::str::from_utf8(text).is_err() {
                return Err(Problem {
                    reason: "json.encoding",
                    message: "the line is not valid UTF-8".to_owned(),
                });
            }
            match decoder.decode(text) {
                Ok(taken)
                    if taken == text.len()
                        && !decoder.has_partial_record()
                        && decoder.len() == row + 1 => {}
                Ok(_) => {
                    let message = if decoder.has_partial_record() {
                        "the line ends inside of its object"
                    } else {
                        "the line is not one JSON object"
                    };
                    return Err(Problem {
                        reason: "json.syntax",
                        message: message.to_owned(),
                    });
                }
                Err(error) => {
                    return Err(Problem {
                        reason: "json.syntax",
                        message: told(&error),
                    });
                }
            }
        }
        match decoder.flush() {
            Ok(Some(rows)) => Ok(rows),
            Ok(None) => Err(Problem {
                reason: "json.syntax",
                message: "the line is not one JSON object".to_owned(),
            }),
            Err(error) => Err(Problem {
                reason: "json.type",
                message: told(&error),
            }),
        }
    }

    fn bad(&self, line: &Line, record: u64, problem: Problem) -> BadRecord {
        let payload = &self.lines.bytes()[line.place.clone()];
        let kept = &payload[..payload.len().min(PAYLOAD_BYTES)];
        let message = if kept.len() < payload.len() {
            format!(
                "{}; of its {} bytes the first {} are kept",
                problem.message,
                payload.len(),
                kept.len()
            )
        } else {
            problem.message
        };
        BadRecord {
            record,
            line: Some(line.number),
            reason: problem.reason,
            message,
            payload: self.original.restore(kept.trim_ascii_end()),
        }
    }

    fn nullable(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .declared
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The declared columns and `_rescued`; nullable all, as nulls may still have to be taken out.
    fn complete(
        &self,
        rows: &RecordBatch,
        rescued: Option<Vec<Option<String>>>,
    ) -> Result<RecordBatch, FormatError> {
        let mut arrays = rows.columns().to_vec();
        arrays.push(match rescued {
            Some(rescued) => Arc::new(StringArray::from(rescued)),
            None => new_null_array(&DataType::Utf8, rows.num_rows()),
        });
        let fields: Vec<Field> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(FormatError::Rows)
    }
}

/// Lines that are tried together after a batch as a whole has failed. Small, so that a few bad
/// lines in a hundred leave most groups whole.
const GROUP: usize = 16;

/// Why a line is bad.
struct Problem {
    reason: &'static str,
    message: String,
}

/// Whether `text` is exactly one record, the one after `rows` others.
///
/// A cut-off object would go on in the next line and a line may hold two objects, so that only
/// the count after every single line says that lines and rows are the same.
fn takes_one(decoder: &mut Decoder, text: &[u8], rows: usize) -> bool {
    matches!(decoder.decode(text), Ok(taken) if taken == text.len())
        && !decoder.has_partial_record()
        && decoder.len() == rows + 1
}

/// The decoder's own words without its name.
fn told(error: &ArrowError) -> String {
    let text = error.to_string();
    text.strip_prefix("Json error: ")
        .unwrap_or(&text)
        .to_owned()
}

impl Rows for JsonRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        loop {
            let left = usize::try_from(self.skip.saturating_sub(self.record)).unwrap_or(usize::MAX);
            let most = if left > 0 {
                left.min(BATCH_ROWS)
            } else {
                BATCH_ROWS
            };
            let done = self.record;
            match self
                .lines
                .front(most)
                .map_err(|source| FormatError::Read { done, source })?
            {
                Front::End if left > 0 => {
                    return Err(FormatError::Shorter {
                        found: self.record,
                        expected: self.skip,
                    });
                }
                Front::End => return Ok(None),
                Front::TooLong(number, length, payload) => {
                    self.record += 1;
                    if left > 0 {
                        continue;
                    }
                    let message = format!(
                        "the line has {length} bytes; the first {} are kept",
                        payload.len()
                    );
                    let payload = self.original.restore(&payload);
                    let bad = BadRecord {
                        record: done,
                        line: Some(number),
                        reason: "json.too-long",
                        message,
                        payload,
                    };
                    let rows = RecordBatch::new_empty(self.schema.clone());
                    return Ok(Some(Decoded {
                        rows,
                        numbers: Numbers::From(done),
                        bad: vec![bad],
                        done: self.record,
                    }));
                }
                Front::Lines(lines, bytes, taken) => {
                    let decoded = if left > 0 {
                        None
                    } else {
                        Some(match self.decode_all(&lines)? {
                            Some(rows) => Decoded {
                                rows: self.complete(&rows, None)?,
                                numbers: Numbers::From(self.record),
                                bad: Vec::new(),
                                done: self.record + lines.len() as u64,
                            },
                            None => self.decode_each(&lines)?,
                        })
                    };
                    self.record += lines.len() as u64;
                    self.lines.take(bytes, taken);
                    if decoded.is_some() {
                        return Ok(decoded);
                    }
                }
            }
        }
    }
}
