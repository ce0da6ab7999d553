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
mod lines;
mod object;
mod rescue;
mod typed;

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

pub(super) use infer::infer;

use self::lines::{Front, Line, Lines};
use self::rescue::Prepared;
use super::csv::excerpt;
use super::plain::type_name;
use super::text::{Original, Text};
use super::{BATCH_ROWS, BadRecord, Decoded, FormatError, Numbers, PAYLOAD_BYTES, Rows, is_system_column};
use crate::batch::column;

/// The rows of one file of JSON lines.
pub(super) struct JsonRows {
    lines: Lines,
    original: Original,
    /// The declared columns, as the decoder gives them, and as a batch has them.
    declared: SchemaRef,
    text: SchemaRef,
    schema: SchemaRef,
    /// Takes a whole batch of lines that hold only declared fields; `None` after an error.
    fast: Option<Decoder>,
    /// Whether the last batch had fields that are not declared.
    rescuing: bool,
    record: u64,
    skip: u64,
}

/// Lines that are decoded together after a batch as a whole has failed. Small, so that a few
/// bad lines in a hundred leave most groups whole.
const GROUP: usize = 16;

/// Lines that were decoded to text columns, and those that were not.
struct Texts {
    /// The rows, one part after another.
    parts: Vec<RecordBatch>,
    /// The line of every row.
    lines: Vec<usize>,
    /// What no column takes, for every row, if any has such.
    rescued: Option<Vec<Option<String>>>,
    /// Lines that are no row.
    bad: Vec<(usize, Problem)>,
}

/// Lines, told apart.
struct Checked {
    /// Those that are one JSON object each.
    good: Vec<usize>,
    /// Those that are not.
    bad: Vec<(usize, Problem)>,
    /// Where none are bad, it holds all of them.
    decoder: Decoder,
}

/// Why a line is bad.
#[derive(Clone, Debug)]
struct Problem {
    reason: &'static str,
    message: String,
}

impl JsonRows {
    /// The rows of `text`, with the declared columns and `_rescued`.
    pub(super) fn new(text: Text, declared: Option<SchemaRef>, skip: u64) -> Result<Self, FormatError> {
        let declared = declared.unwrap_or_else(|| Arc::new(Schema::empty()));
        for field in declared.fields() {
            if is_system_column(field.name()) {
                return Err(FormatError::ReservedColumn { name: field.name().clone() });
            }
            if !typed::readable(field.data_type()) {
                let (column, kind) = (field.name().clone(), type_name(field.data_type()));
                return Err(FormatError::UnsupportedType { column, kind });
            }
        }
        let mut fields: Vec<FieldRef> = declared.fields().to_vec();
        fields.push(Arc::new(Field::new(column::RESCUED, DataType::Utf8, true)));
        let (lines, original) = Lines::new(text);
        let text = typed::as_text(&declared);
        Ok(Self {
            lines,
            original,
            declared,
            text,
            schema: Arc::new(Schema::new(fields)),
            fast: None,
            rescuing: false,
            record: 0,
            skip,
        })
    }

    fn decoder(&self, strict: bool, rows: usize) -> Result<Decoder, FormatError> {
        ReaderBuilder::new(self.text.clone())
            .with_batch_size(rows)
            .with_coerce_primitive(true)
            .with_strict_mode(strict)
            .build_decoder()
            .map_err(FormatError::Rows)
    }

    /// All lines at once, if each is one object of declared fields; `None` if not.
    fn decode_all(&mut self, lines: &[Line]) -> Result<Option<Texts>, FormatError> {
        let mut decoder = match self.fast.take() {
            Some(decoder) => decoder,
            None => self.decoder(true, BATCH_ROWS)?,
        };
        for (row, line) in lines.iter().enumerate() {
            if one_object(&mut decoder, self.lines.text(line), row).is_err() {
                return Ok(None);
            }
        }
        let Ok(Some(rows)) = decoder.flush() else { return Ok(None) };
        self.fast = Some(decoder);
        Ok(Some(Texts { parts: vec![rows], lines: (0..lines.len()).collect(), rescued: None, bad: Vec::new() }))
    }

    /// Whatever the lines are: each becomes a row, with what is not declared rescued, or is bad.
    fn decode_each(&self, lines: &[Line]) -> Result<Texts, FormatError> {
        let prepared: Vec<Prepared> =
            lines.iter().map(|line| rescue::prepare(self.lines.text(line), &self.declared)).collect();
        let bytes = |at: usize| prepared[at].text.as_deref().unwrap_or(self.lines.text(&lines[at]));
        let Checked { good, mut bad, mut decoder } = self.check(lines.len(), bytes)?;
        let mut parts = Vec::new();
        let mut rows = Vec::with_capacity(good.len());
        let all = if bad.is_empty() { flushed(&mut decoder, &self.text) } else { self.decode_checked(&good, bytes)? };
        if let Ok(all) = all {
            parts.push(all);
            rows = good;
        } else {
            // A value in a wrong place fails all lines that are decoded together.
            for group in good.chunks(GROUP) {
                if let Ok(few) = self.decode_checked(group, bytes)? {
                    parts.push(few);
                    rows.extend_from_slice(group);
                    continue;
                }
                for at in group {
                    match self.decode_checked(&[*at], bytes)? {
                        Ok(row) => {
                            parts.push(row);
                            rows.push(*at);
                        }
                        Err(problem) => bad.push((*at, problem)),
                    }
                }
            }
        }
        let rescued = rows.iter().map(|at| prepared[*at].rescued.clone()).collect();
        Ok(Texts { parts, lines: rows, rescued: Some(rescued), bad })
    }

    /// Tells lines that are one JSON object from those that are not.
    fn check<'a>(&self, count: usize, bytes: impl Fn(usize) -> &'a [u8]) -> Result<Checked, FormatError> {
        let (mut good, mut bad) = (Vec::with_capacity(count), Vec::new());
        let mut decoder = self.decoder(false, count)?;
        let mut taken = 0;
        for at in 0..count {
            match one_object(&mut decoder, bytes(at), taken) {
                Ok(()) => {
                    taken += 1;
                    good.push(at);
                }
                Err(problem) => {
                    bad.push((at, problem));
                    // What follows would be taken for the rest of this line.
                    decoder = self.decoder(false, count - at)?;
                    taken = 0;
                }
            }
        }
        Ok(Checked { good, bad, decoder })
    }

    /// Lines that are objects, all at once; the inner error is about one of them.
    fn decode_checked<'a>(
        &self,
        lines: &[usize],
        bytes: impl Fn(usize) -> &'a [u8],
    ) -> Result<Result<RecordBatch, Problem>, FormatError> {
        let mut decoder = self.decoder(false, lines.len().max(1))?;
        for (row, at) in lines.iter().enumerate() {
            if let Err(problem) = one_object(&mut decoder, bytes(*at), row) {
                return Ok(Err(problem));
            }
        }
        Ok(flushed(&mut decoder, &self.text))
    }

    /// The decoded lines in the declared types.
    fn finish(&self, lines: &[Line], mut texts: Texts) -> Result<Decoded, FormatError> {
        let rows = match texts.parts.as_slice() {
            [rows] => rows.clone(),
            parts => arrow_select::concat::concat_batches(&self.text, parts).map_err(FormatError::Rows)?,
        };
        let mut good = vec![true; rows.num_rows()];
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        let mut found = Vec::new();
        for (field, array) in self.declared.fields().iter().zip(rows.columns()) {
            let array = typed::typed(array, field.data_type(), &mut found).map_err(FormatError::Rows)?;
            let mut set_aside = |row: usize, reason, message| {
                if std::mem::replace(&mut good[row], false) {
                    texts.bad.push((texts.lines[row], Problem { reason, message }));
                }
            };
            for value in found.drain(..) {
                let (shown, kind) = (excerpt(value.text.as_bytes()), type_name(field.data_type()));
                set_aside(
                    value.row,
                    "json.type",
                    format!("column `{}`: `{shown}` is not of type {kind}", field.name()),
                );
            }
            if !field.is_nullable() {
                for row in (0..array.len()).filter(|row| array.is_null(*row)) {
                    set_aside(row, "json.null", format!("column `{}` must not be null", field.name()));
                }
            }
            arrays.push(array);
        }
        arrays.push(match texts.rescued {
            Some(rescued) => Arc::new(StringArray::from(rescued)),
            None => new_null_array(&DataType::Utf8, rows.num_rows()),
        });
        texts.bad.sort_by_key(|(line, _)| *line);
        let bad: Vec<BadRecord> = texts.bad.iter().map(|(at, problem)| self.bad(lines, *at, problem)).collect();
        let done = self.record + lines.len() as u64;
        if bad.is_empty() {
            return Ok(Decoded {
                rows: self.batch(arrays, good.len())?,
                numbers: Numbers::From(self.record),
                bad,
                done,
            });
        }
        let kept = texts.lines.iter().zip(&good).filter(|(_, good)| **good);
        let numbers: Vec<u64> = kept.map(|(line, _)| self.record + *line as u64).collect();
        let mask = BooleanArray::from(good);
        let arrays = arrays
            .iter()
            .map(|array| arrow_select::filter::filter(array, &mask))
            .collect::<Result<Vec<_>, _>>()
            .map_err(FormatError::Rows)?;
        Ok(Decoded { rows: self.batch(arrays, numbers.len())?, numbers: Numbers::Each(numbers), bad, done })
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, FormatError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(FormatError::Rows)
    }

    fn bad(&self, lines: &[Line], at: usize, problem: &Problem) -> BadRecord {
        let payload = self.lines.text(&lines[at]);
        let kept = &payload[..payload.len().min(PAYLOAD_BYTES)];
        let mut message = problem.message.clone();
        if kept.len() < payload.len() {
            message = format!("{message}; of its {} bytes the first {} are kept", payload.len(), kept.len());
        }
        BadRecord {
            record: self.record + at as u64,
            line: Some(lines[at].number),
            reason: problem.reason,
            message,
            payload: self.original.restore(kept.trim_ascii_end()),
        }
    }

    /// A line that is too long for a batch of any size.
    fn too_long(&self, line: u64, length: u64, beginning: &[u8]) -> Decoded {
        let message = format!("the line has {length} bytes; the first {} are kept", beginning.len());
        let payload = self.original.restore(beginning);
        let bad = BadRecord { record: self.record, line: Some(line), reason: "json.too-long", message, payload };
        Decoded {
            rows: RecordBatch::new_empty(self.schema.clone()),
            numbers: Numbers::From(self.record),
            bad: vec![bad],
            done: self.record + 1,
        }
    }
}

/// Gives `text` to the decoder, as exactly one record, the one after `rows` others.
///
/// A cut-off object would go on in the next line and a line may hold two objects, so that only
/// the count after every single line says that lines and rows are the same.
fn one_object(decoder: &mut Decoder, text: &[u8], rows: usize) -> Result<(), Problem> {
    let problem = |reason, message: &str| Err(Problem { reason, message: message.to_owned() });
    if std::str::from_utf8(text).is_err() {
        return problem("json.encoding", "the line is not valid UTF-8");
    }
    match decoder.decode(text) {
        Ok(_) if decoder.has_partial_record() => problem("json.syntax", "the line ends inside of its object"),
        Ok(taken) if taken == text.len() && decoder.len() == rows + 1 => Ok(()),
        Ok(_) => problem("json.syntax", "the line is not one JSON object"),
        Err(error) => problem("json.syntax", told(&error.to_string())),
    }
}

/// The rows that the decoder holds, if each value is in a place that takes it.
fn flushed(decoder: &mut Decoder, schema: &SchemaRef) -> Result<RecordBatch, Problem> {
    match decoder.flush() {
        Ok(Some(rows)) => Ok(rows),
        Ok(None) => Ok(RecordBatch::new_empty(schema.clone())),
        Err(error) => Err(Problem { reason: "json.type", message: told(&error.to_string()).to_owned() }),
    }
}

/// The decoder's own words without its name.
fn told(text: &str) -> &str {
    text.strip_prefix("Json error: ").unwrap_or(text)
}

impl Rows for JsonRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        loop {
            let left = usize::try_from(self.skip.saturating_sub(self.record)).unwrap_or(usize::MAX);
            let most = if left > 0 { left.min(BATCH_ROWS) } else { BATCH_ROWS };
            let done = self.record;
            let decoded = match self.lines.front(most).map_err(|source| FormatError::Read { done, source })? {
                Front::End if left > 0 => {
                    return Err(FormatError::Shorter { found: self.record, expected: self.skip });
                }
                Front::End => return Ok(None),
                Front::TooLong(line, length, beginning) => {
                    let decoded = self.too_long(line, length, &beginning);
                    self.record += 1;
                    decoded
                }
                Front::Lines(lines, bytes, taken) if left > 0 => {
                    self.record += lines.len() as u64;
                    self.lines.take(bytes, taken);
                    continue;
                }
                Front::Lines(lines, bytes, taken) => {
                    // Where one batch had fields beyond the declared ones, the next has them too.
                    let all = if self.rescuing { None } else { self.decode_all(&lines)? };
                    let texts = match all {
                        Some(texts) => texts,
                        None => self.decode_each(&lines)?,
                    };
                    self.rescuing = texts.rescued.iter().flatten().any(Option::is_some);
                    let decoded = self.finish(&lines, texts)?;
                    self.record += lines.len() as u64;
                    self.lines.take(bytes, taken);
                    decoded
                }
            };
            if left == 0 {
                return Ok(Some(decoded));
            }
        }
    }
}
