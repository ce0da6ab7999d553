//! Texts of one JSON object each to rows: all at once where each is as declared, and as few
//! together as it takes where some are not.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::rescue::{self, Prepared};
use super::typed;
use crate::batch::column;
use crate::format::csv::excerpt;
use crate::format::plain::type_name;
use crate::format::{BATCH_ROWS, FormatError, is_system_column};

/// Makes rows of texts, each of which should be one JSON object.
pub(in crate::format) struct JsonDecoder {
    /// The declared columns, as the decoder gives them, and as a batch has them.
    declared: SchemaRef,
    text: SchemaRef,
    schema: SchemaRef,
    /// Takes a whole batch of texts that hold only declared fields; `None` after an error.
    fast: Option<Decoder>,
    /// Whether the last batch had fields that are not declared.
    rescuing: bool,
}

/// Texts that are decoded together after a batch as a whole has failed. Small, so that a few
/// bad ones in a hundred leave most groups whole.
const GROUP: usize = 16;

/// What became of a batch of texts.
pub(in crate::format) struct Sorted {
    /// The rows, with the declared columns and `_rescued`.
    pub(in crate::format) rows: RecordBatch,
    /// The text of every row; `None` where every text is a row.
    pub(in crate::format) kept: Option<Vec<usize>>,
    /// Texts that are no row, ascending.
    pub(in crate::format) bad: Vec<(usize, Problem)>,
}

/// Why a text is no row.
#[derive(Clone, Debug)]
pub(in crate::format) struct Problem {
    pub(in crate::format) reason: &'static str,
    pub(in crate::format) message: String,
}

/// Texts that were decoded to text columns, and those that were not.
struct Texts {
    /// The rows, one part after another.
    parts: Vec<RecordBatch>,
    /// The text of every row.
    of_row: Vec<usize>,
    /// What no column takes, for every row, if any has such.
    rescued: Option<Vec<Option<String>>>,
    /// Texts that are no row.
    bad: Vec<(usize, Problem)>,
}

/// Texts, told apart.
struct Checked {
    /// Those that are one JSON object each.
    good: Vec<usize>,
    /// Those that are not.
    bad: Vec<(usize, Problem)>,
    /// Where none are bad, it holds all of them.
    decoder: Decoder,
}

impl JsonDecoder {
    /// Makes rows of the declared columns and `_rescued`.
    pub(in crate::format) fn new(declared: Option<SchemaRef>) -> Result<Self, FormatError> {
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
        let (text, schema) = (typed::as_text(&declared), Arc::new(Schema::new(fields)));
        Ok(Self { declared, text, schema, fast: None, rescuing: false })
    }

    /// The columns of the rows.
    pub(in crate::format) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Makes rows of up to [`BATCH_ROWS`] texts.
    pub(in crate::format) fn decode(&mut self, texts: &[&[u8]]) -> Result<Sorted, FormatError> {
        // Where one batch had fields beyond the declared ones, the next has them too.
        let all = if self.rescuing { None } else { self.decode_all(texts)? };
        let decoded = match all {
            Some(decoded) => decoded,
            None => self.decode_each(texts)?,
        };
        self.rescuing = decoded.rescued.iter().flatten().any(Option::is_some);
        self.finish(decoded)
    }

    fn decoder(&self, strict: bool, rows: usize) -> Result<Decoder, FormatError> {
        ReaderBuilder::new(self.text.clone())
            .with_batch_size(rows)
            .with_coerce_primitive(true)
            .with_strict_mode(strict)
            .build_decoder()
            .map_err(FormatError::Rows)
    }

    /// All texts at once, if each is one object of declared fields; `None` if not.
    fn decode_all(&mut self, texts: &[&[u8]]) -> Result<Option<Texts>, FormatError> {
        let mut decoder = match self.fast.take() {
            Some(decoder) => decoder,
            None => self.decoder(true, BATCH_ROWS)?,
        };
        for (row, text) in texts.iter().enumerate() {
            if one_object(&mut decoder, text, row).is_err() {
                return Ok(None);
            }
        }
        let Ok(Some(rows)) = decoder.flush() else { return Ok(None) };
        self.fast = Some(decoder);
        Ok(Some(Texts { parts: vec![rows], of_row: (0..texts.len()).collect(), rescued: None, bad: Vec::new() }))
    }

    /// Whatever the texts are: each becomes a row, with what is not declared rescued, or is bad.
    fn decode_each(&self, texts: &[&[u8]]) -> Result<Texts, FormatError> {
        let prepared: Vec<Prepared> = texts.iter().map(|text| rescue::prepare(text, &self.declared)).collect();
        let bytes = |at: usize| prepared[at].text.as_deref().unwrap_or(texts[at]);
        let Checked { good, mut bad, mut decoder } = self.check(texts.len(), bytes)?;
        let mut parts = Vec::new();
        let mut of_row = Vec::with_capacity(good.len());
        let all = if bad.is_empty() { flushed(&mut decoder, &self.text) } else { self.decode_checked(&good, bytes)? };
        if let Ok(all) = all {
            parts.push(all);
            of_row = good;
        } else {
            // A value in a wrong place fails all texts that are decoded together.
            for group in good.chunks(GROUP) {
                if let Ok(few) = self.decode_checked(group, bytes)? {
                    parts.push(few);
                    of_row.extend_from_slice(group);
                    continue;
                }
                for at in group {
                    match self.decode_checked(&[*at], bytes)? {
                        Ok(row) => {
                            parts.push(row);
                            of_row.push(*at);
                        }
                        Err(problem) => bad.push((*at, problem)),
                    }
                }
            }
        }
        let rescued = of_row.iter().map(|at| prepared[*at].rescued.clone()).collect();
        Ok(Texts { parts, of_row, rescued: Some(rescued), bad })
    }

    /// Tells texts that are one JSON object from those that are not.
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
                    // What follows would be taken for the rest of this text.
                    decoder = self.decoder(false, count - at)?;
                    taken = 0;
                }
            }
        }
        Ok(Checked { good, bad, decoder })
    }

    /// Texts that are objects, all at once; the inner error is about one of them.
    fn decode_checked<'a>(
        &self,
        texts: &[usize],
        bytes: impl Fn(usize) -> &'a [u8],
    ) -> Result<Result<RecordBatch, Problem>, FormatError> {
        let mut decoder = self.decoder(false, texts.len().max(1))?;
        for (row, at) in texts.iter().enumerate() {
            if let Err(problem) = one_object(&mut decoder, bytes(*at), row) {
                return Ok(Err(problem));
            }
        }
        Ok(flushed(&mut decoder, &self.text))
    }

    /// The decoded texts in the declared types.
    fn finish(&self, mut texts: Texts) -> Result<Sorted, FormatError> {
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
                    texts.bad.push((texts.of_row[row], Problem { reason, message }));
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
        if texts.bad.is_empty() {
            return Ok(Sorted { rows: self.batch(arrays, good.len())?, kept: None, bad: texts.bad });
        }
        texts.bad.sort_by_key(|(text, _)| *text);
        let kept: Vec<usize> = texts.of_row.iter().zip(&good).filter(|(_, good)| **good).map(|(at, _)| *at).collect();
        let mask = BooleanArray::from(good);
        let arrays = arrays
            .iter()
            .map(|array| arrow_select::filter::filter(array, &mask))
            .collect::<Result<Vec<_>, _>>()
            .map_err(FormatError::Rows)?;
        Ok(Sorted { rows: self.batch(arrays, kept.len())?, kept: Some(kept), bad: texts.bad })
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, FormatError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(FormatError::Rows)
    }
}

/// Gives `text` to the decoder, as exactly one record, the one after `rows` others.
///
/// A cut-off object would go on in the next text and a text may hold two objects, so that only
/// the count after every single one says that texts and rows are the same.
fn one_object(decoder: &mut Decoder, text: &[u8], rows: usize) -> Result<(), Problem> {
    let problem = |reason, message: &str| Err(Problem { reason, message: message.to_owned() });
    if std::str::from_utf8(text).is_err() {
        return problem("json.encoding", "it is not valid UTF-8");
    }
    match decoder.decode(text) {
        Ok(_) if decoder.has_partial_record() => problem("json.syntax", "it ends inside of its object"),
        Ok(taken) if taken == text.len() && decoder.len() == rows + 1 => Ok(()),
        Ok(_) => problem("json.syntax", "it is not one JSON object"),
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
