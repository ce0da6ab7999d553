//! JSON: one object a line, or arrays and objects however they are laid out.
//!
//! What people may rely on:
//! - Lines of nothing but spaces are skipped. Of a key that stands twice the last counts.
//! - A field that is not declared is not lost: it goes into `_rescued`, one JSON object
//!   with the field's own text. So does a struct with fields that are not declared.
//! - A `string` column takes any value: numbers and booleans as they are written,
//!   objects and arrays as JSON text.
//! - A missing field is null. Numbers may stand in quotes.
//! - Where it is asked for, a line with a field that is not declared is bad, and so is one that lacks a
//!   declared one. Nothing is looked at for that where it is not.

mod decode;
mod depth;
mod documents;
mod fields;
mod framing;
mod infer;
mod lines;
mod misplaced;
mod object;
mod rescue;
mod shape;
mod typed;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

pub(super) use decode::{ObjectDecoder, Objects, Problem};
pub(super) use framing::Framing;
pub(super) use infer::infer;

use self::framing::{Front, Line};
use super::scalar::Exactness;
use super::text::Original;
use super::{BATCH_ROWS, BadRecord, Decoded, FormatError, Numbers, PAYLOAD_BYTES, Rows};
use sluicebox_core::plan::Demands;
use sluicebox_core::reject::RejectCode;

/// The rows of one file of JSON.
pub(super) struct JsonRows {
    lines: Framing,
    original: Original,
    decoder: ObjectDecoder,
    record: u64,
    skip: u64,
}

impl JsonRows {
    /// The rows of records, with the declared columns and `_rescued`.
    pub(super) fn new(
        (lines, original): (Framing, Original),
        declared: Option<SchemaRef>,
        skip: u64,
    ) -> Result<Self, FormatError> {
        let declared = declared.unwrap_or_else(|| Arc::new(Schema::empty()));
        let noun = match lines {
            Framing::Lines(_) => "line",
            Framing::Documents(_) => "record",
        };
        let decoder = ObjectDecoder::new(declared, noun)?;
        Ok(Self { lines, original, decoder, record: 0, skip })
    }

    /// The same for lines of which more is wanted.
    pub(super) fn demanding(self, demands: Demands) -> Self {
        Self { decoder: self.decoder.demanding(demands), ..self }
    }

    /// The same for columns whose values have to be so exact.
    pub(super) fn exact(self, exactness: Exactness) -> Self {
        Self { decoder: self.decoder.exact(exactness), ..self }
    }

    fn finish(&self, lines: &[Line], objects: Objects) -> Decoded {
        let bad = objects.bad.iter().map(|(at, problem)| self.bad(lines, *at, problem)).collect();
        let numbers = match objects.records {
            None => Numbers::From(self.record),
            Some(records) => Numbers::Each(records.into_iter().map(|at| self.record + at as u64).collect()),
        };
        Decoded { rows: objects.rows, numbers, bad, done: self.record + lines.len() as u64 }
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
        let message = format!("the {} has {length} bytes; the first {} are kept", self.decoder.noun(), beginning.len());
        let payload = self.original.restore(beginning);
        let bad =
            BadRecord { record: self.record, line: Some(line), reason: RejectCode::JsonTooLong, message, payload };
        Decoded {
            rows: RecordBatch::new_empty(self.decoder.schema().clone()),
            numbers: Numbers::From(self.record),
            bad: vec![bad],
            done: self.record + 1,
        }
    }
}

impl Rows for JsonRows {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        loop {
            let left = usize::try_from(self.skip.saturating_sub(self.record)).unwrap_or(usize::MAX);
            let most = if left > 0 { left.min(BATCH_ROWS) } else { self.decoder.batch_rows() };
            let decoded = match self.lines.front(most, self.record)? {
                Front::End if left > 0 => {
                    return Err(FormatError::Shorter { found: self.record, expected: self.skip });
                }
                Front::End => return Ok(None),
                Front::TooLong(line, length, beginning) => {
                    let decoded = self.too_long(line, length, &beginning);
                    self.record += 1;
                    decoded
                }
                Front::Records(lines, bytes, taken) if left > 0 => {
                    self.record += lines.len() as u64;
                    self.lines.take(bytes, taken);
                    continue;
                }
                Front::Records(lines, bytes, taken) => {
                    let records: Vec<&[u8]> = lines.iter().map(|line| self.lines.text(line)).collect();
                    let objects = self.decoder.decode(&records)?;
                    let decoded = self.finish(&lines, objects);
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
