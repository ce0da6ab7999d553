//! JSON objects, one a record, to rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{DataType, FieldRef, Fields, Schema, SchemaRef};

use super::rescue::{self, Prepared};
use super::{depth, fields, misplaced, object, shape, typed};
use crate::FormatError;
use crate::csv::excerpt;
use crate::limits::{self, RECORD_DEPTH};
use crate::plain::type_name;
use crate::scalar::Exactness;
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::plan::Demands;
use sluicebox_core::reject::RejectCode;

/// Decodes records of one JSON object each.
pub(crate) struct ObjectDecoder {
    /// The declared columns, as the decoder gives them, and as a batch has them.
    declared: Columns,
    text: SchemaRef,
    schema: SchemaRef,
    /// Takes a whole batch of records that hold only declared fields, and how many; `None` after an error.
    fast: Option<(Decoder, usize)>,
    /// Whether the last batch had fields that are not declared.
    rescuing: bool,
    /// Whether the last batch had records that are no object.
    sifting: bool,
    /// What people call a record: a line, a message.
    noun: &'static str,
    demands: Demands,
    exactness: Exactness,
}

/// The declared columns by their names.
pub(super) struct Columns {
    schema: SchemaRef,
    places: HashMap<String, usize>,
}

impl Columns {
    fn new(schema: &SchemaRef) -> Self {
        let places = schema.fields().iter().enumerate().map(|(at, field)| (field.name().clone(), at)).collect();
        Self { schema: schema.clone(), places }
    }

    /// All of them.
    pub(super) fn fields(&self) -> &Fields {
        self.schema.fields()
    }

    /// The column of that name, and its place. Fields stand in the same order in most records, so it is
    /// looked for at `next` first.
    pub(super) fn find(&self, name: &str, next: usize) -> Option<(usize, &FieldRef)> {
        let fields = self.schema.fields();
        let expected = fields.get(next).filter(|field| field.name() == name).map(|_| next);
        let place = expected.or_else(|| self.places.get(name).copied())?;
        Some((place, &fields[place]))
    }
}

/// Records, decoded.
pub(crate) struct Objects {
    /// Those that are rows.
    pub(crate) rows: RecordBatch,
    /// Which records these are; `None` if all.
    pub(crate) records: Option<Vec<usize>>,
    /// The others, in their order.
    pub(crate) bad: Vec<(usize, Problem)>,
}

/// Records that are decoded together after a batch as a whole has failed. Small, so that a few
/// bad records in a hundred leave most groups whole.
const GROUP: usize = 16;

/// Records that were decoded to text columns, and those that were not.
struct Texts {
    /// The rows, one part after another.
    parts: Vec<RecordBatch>,
    /// The record of every row.
    records: Vec<usize>,
    /// What no column takes, for every row, if any has such.
    rescued: Option<Vec<Option<String>>>,
    /// Records that are no row.
    bad: Vec<(usize, Problem)>,
}

/// Records, told apart.
struct Checked {
    /// Those that are one JSON object each.
    good: Vec<usize>,
    /// Those that are not.
    bad: Vec<(usize, Problem)>,
    /// Where none are bad, it holds all of them.
    decoder: Decoder,
}

/// Why a record is bad.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// A short stable code.
    pub(crate) reason: RejectCode,
    /// A sentence.
    pub(crate) message: String,
}

impl ObjectDecoder {
    /// Gives rows of the declared columns and `_rescued`.
    pub(crate) fn new(declared: SchemaRef, noun: &'static str) -> Result<Self, FormatError> {
        for field in declared.fields() {
            if !typed::readable(field.data_type()) {
                let (column, kind) = (field.name().clone(), type_name(field.data_type()));
                return Err(FormatError::UnsupportedType { column, kind });
            }
        }
        let mut fields: Vec<FieldRef> = declared.fields().to_vec();
        fields.push(Arc::new(SystemColumn::Rescued.field()));
        let (text, schema) = (typed::as_text(&declared), Arc::new(Schema::new(fields)));
        Ok(Self {
            declared: Columns::new(&declared),
            text,
            schema,
            fast: None,
            rescuing: false,
            sifting: false,
            noun,
            demands: Demands::default(),
            exactness: Exactness::default(),
        })
    }

    /// The same for columns whose values have to be so exact.
    pub(crate) fn exact(self, exactness: Exactness) -> Self {
        Self { exactness, ..self }
    }

    /// What people call a record.
    pub(super) fn noun(&self) -> &'static str {
        self.noun
    }

    /// How many records to decode together: fewer where the columns alone take much room.
    pub(super) fn batch_rows(&self) -> usize {
        // Where each value stands, its text's end, its own and whether it is null.
        const VALUE_BYTES: usize = 32;
        let columns: usize = self.declared.fields().iter().map(|field| limits::columns(field.data_type())).sum();
        limits::batch_rows(columns * VALUE_BYTES)
    }

    /// The same for records of which more is wanted.
    pub(crate) fn demanding(self, demands: Demands) -> Self {
        Self { demands, ..self }
    }

    /// The columns of a batch.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows that records are, at most [`BATCH_ROWS`] of them.
    pub(crate) fn decode(&mut self, records: &[&[u8]]) -> Result<Objects, FormatError> {
        if !records.iter().any(|record| depth::too_deep(record)) {
            return self.decode_shallow(records);
        }
        // A decoder would go down into the others as deep as they are, and the stack is no deeper than it is.
        let kept: Vec<usize> = (0..records.len()).filter(|at| !depth::too_deep(records[*at])).collect();
        let chosen: Vec<&[u8]> = kept.iter().map(|at| records[*at]).collect();
        let mut objects = self.decode_shallow(&chosen)?;
        objects.records = Some(match objects.records {
            Some(taken) => taken.into_iter().map(|at| kept[at]).collect(),
            None => kept.clone(),
        });
        objects.bad.iter_mut().for_each(|(at, _)| *at = kept[*at]);
        for at in (0..records.len()).filter(|at| depth::too_deep(records[*at])) {
            let message = format!("the {} has values that lie in each other deeper than {RECORD_DEPTH}", self.noun);
            objects.bad.push((at, Problem { reason: RejectCode::JsonDepth, message }));
        }
        objects.bad.sort_by_key(|(at, _)| *at);
        Ok(objects)
    }

    fn decode_shallow(&mut self, records: &[&[u8]]) -> Result<Objects, FormatError> {
        // What one batch had, fields beyond the declared ones or records that are none, the next has too.
        let mut texts = None;
        if !self.rescuing && !self.sifting {
            texts = self.decode_all(records)?;
        }
        if texts.is_none() && !self.rescuing {
            texts = self.decode_sound(records)?;
            if texts.is_none() && self.sifting {
                texts = self.decode_all(records)?;
            }
        }
        let texts = match texts {
            Some(texts) => texts,
            None => self.decode_each(records)?,
        };
        self.rescuing = texts.rescued.iter().flatten().any(Option::is_some);
        self.sifting = !texts.bad.is_empty();
        self.finish(texts, records)
    }

    fn decoder(&self, strict: bool, rows: usize) -> Result<Decoder, FormatError> {
        ReaderBuilder::new(self.text.clone())
            .with_batch_size(rows)
            .with_coerce_primitive(true)
            .with_strict_mode(strict)
            .build_decoder()
            .map_err(FormatError::Rows)
    }

    /// All records at once, if each is one object of declared fields; `None` if not.
    fn decode_all(&mut self, records: &[&[u8]]) -> Result<Option<Texts>, FormatError> {
        let (mut decoder, rows) = match self.fast.take() {
            Some((decoder, rows)) if rows >= records.len() => (decoder, rows),
            _ => {
                // It makes room for all of them at once, so it is made for no more than come together.
                let rows = self.batch_rows().max(records.len());
                (self.decoder(true, rows)?, rows)
            }
        };
        for (row, record) in records.iter().enumerate() {
            if one_object(&mut decoder, record, row, self.noun).is_err() {
                return Ok(None);
            }
        }
        let Ok(Some(part)) = decoder.flush() else { return Ok(None) };
        self.fast = Some((decoder, rows));
        Ok(Some(Texts { parts: vec![part], records: (0..records.len()).collect(), rescued: None, bad: Vec::new() }))
    }

    /// The records that are one object each, if all their fields are declared; `None` if not.
    ///
    /// A bad record spoils what is decoded together with it, so the bad are found before, which
    /// costs less than decoding twice.
    fn decode_sound(&mut self, records: &[&[u8]]) -> Result<Option<Texts>, FormatError> {
        let (mut bad, mut sound) = (Vec::new(), Vec::with_capacity(records.len()));
        for (at, record) in records.iter().enumerate() {
            let whole = shape::is_object(record) && std::str::from_utf8(record).is_ok();
            match if whole { Ok(()) } else { one_object(&mut self.decoder(false, 1)?, record, 0, self.noun) } {
                Ok(()) => sound.push(at),
                Err(problem) => bad.push((at, problem)),
            }
        }
        if bad.is_empty() {
            return Ok(None);
        }
        let chosen: Vec<&[u8]> = sound.iter().map(|at| records[*at]).collect();
        if chosen.is_empty() {
            return Ok(Some(Texts { parts: Vec::new(), records: Vec::new(), rescued: None, bad }));
        }
        Ok(self.decode_all(&chosen)?.map(|texts| Texts { records: sound, bad, ..texts }))
    }

    /// Whatever the records are: each becomes a row, with what is not declared rescued, or is bad.
    fn decode_each(&self, records: &[&[u8]]) -> Result<Texts, FormatError> {
        let prepared: Vec<Prepared> = records.iter().map(|record| rescue::prepare(record, &self.declared)).collect();
        let bytes = |at: usize| prepared[at].text.as_deref().unwrap_or(records[at]);
        let Checked { good, mut bad, mut decoder } = self.check(records.len(), bytes)?;
        let mut parts = Vec::new();
        let mut rows = Vec::with_capacity(good.len());
        let all = if bad.is_empty() { flushed(&mut decoder, &self.text) } else { self.decode_checked(&good, bytes)? };
        if let Ok(all) = all {
            parts.push(all);
            rows = good;
        } else {
            // A value in a wrong place fails all records that are decoded together.
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
                        Err(problem) => bad.push((*at, self.told(records[*at], problem))),
                    }
                }
            }
        }
        let rescued = rows.iter().map(|at| prepared[*at].rescued.clone()).collect();
        Ok(Texts { parts, records: rows, rescued: Some(rescued), bad })
    }

    /// A problem in words that quote the record as it is.
    fn told(&self, record: &[u8], problem: Problem) -> Problem {
        if object::items(record).is_some() {
            return Problem { message: format!("the {} {}", self.noun, kind_of(record)), ..problem };
        }
        let Some(found) = misplaced::misplaced(record, &self.declared.schema) else { return problem };
        let (shown, kind) = (excerpt(found.value), type_name(&found.kind));
        Problem { message: format!("column `{}`: `{shown}` is not of type {kind}", found.path), ..problem }
    }

    /// Tells records that are one JSON object from those that are not.
    fn check<'a>(&self, count: usize, bytes: impl Fn(usize) -> &'a [u8]) -> Result<Checked, FormatError> {
        let (mut good, mut bad) = (Vec::with_capacity(count), Vec::new());
        let mut decoder = self.decoder(false, count)?;
        let mut taken = 0;
        for at in 0..count {
            match one_object(&mut decoder, bytes(at), taken, self.noun) {
                Ok(()) => {
                    taken += 1;
                    good.push(at);
                }
                Err(problem) => {
                    bad.push((at, problem));
                    // What follows would be taken for the rest of this record.
                    decoder = self.decoder(false, count - at)?;
                    taken = 0;
                }
            }
        }
        Ok(Checked { good, bad, decoder })
    }

    /// Records that are objects, all at once; the inner error is about one of them.
    fn decode_checked<'a>(
        &self,
        chosen: &[usize],
        bytes: impl Fn(usize) -> &'a [u8],
    ) -> Result<Result<RecordBatch, Problem>, FormatError> {
        let mut decoder = self.decoder(false, chosen.len().max(1))?;
        for (row, at) in chosen.iter().enumerate() {
            if let Err(problem) = one_object(&mut decoder, bytes(*at), row, self.noun) {
                return Ok(Err(problem));
            }
        }
        Ok(flushed(&mut decoder, &self.text))
    }

    /// The decoded records in the declared types.
    fn finish(&self, mut texts: Texts, records: &[&[u8]]) -> Result<Objects, FormatError> {
        let rows = match texts.parts.as_slice() {
            [] => RecordBatch::new_empty(self.text.clone()),
            [rows] => rows.clone(),
            parts => arrow_select::concat::concat_batches(&self.text, parts).map_err(FormatError::Rows)?,
        };
        let mut good = vec![true; rows.num_rows()];
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        let mut found = Vec::new();
        for (field, array) in self.declared.fields().iter().zip(rows.columns()) {
            let array =
                typed::typed(array, field.data_type(), self.exactness, &mut found).map_err(FormatError::Rows)?;
            let mut set_aside = |row: usize, reason, message| {
                if std::mem::replace(&mut good[row], false) {
                    texts.bad.push((texts.records[row], Problem { reason, message }));
                }
            };
            for value in found.drain(..) {
                let (shown, kind) = (excerpt(value.text.as_bytes()), type_name(field.data_type()));
                set_aside(
                    value.row,
                    RejectCode::JsonType,
                    format!("column `{}`: `{shown}` is not of type {kind}", field.name()),
                );
            }
            if !field.is_nullable() {
                for row in (0..array.len()).filter(|row| array.is_null(*row)) {
                    set_aside(row, RejectCode::JsonNull, format!("column `{}` must not be null", field.name()));
                }
            }
            arrays.push(array);
        }
        // What nobody asks for costs nothing.
        let asked = if self.demands == Demands::default() { &mut [] } else { good.as_mut_slice() };
        for (row, good) in asked.iter_mut().enumerate() {
            let rescued = texts.rescued.as_ref().is_some_and(|rescued| rescued[row].is_some());
            let record = texts.records[row];
            if let Some(problem) = self.breach(records[record], rescued).filter(|_| *good) {
                *good = false;
                texts.bad.push((record, problem));
            }
        }
        arrays.push(match texts.rescued {
            Some(rescued) => Arc::new(StringArray::from(rescued)),
            None => new_null_array(&DataType::Utf8, rows.num_rows()),
        });
        texts.bad.sort_by_key(|(record, _)| *record);
        if texts.bad.is_empty() {
            return Ok(Objects { rows: self.batch(arrays, good.len())?, records: None, bad: texts.bad });
        }
        let kept = texts.records.iter().zip(&good).filter(|(_, good)| **good);
        let records: Vec<usize> = kept.map(|(record, _)| *record).collect();
        if records.len() < good.len() {
            let mask = BooleanArray::from(good);
            for array in &mut arrays {
                *array = arrow_select::filter::filter(array, &mask).map_err(FormatError::Rows)?;
            }
        }
        Ok(Objects { rows: self.batch(arrays, records.len())?, records: Some(records), bad: texts.bad })
    }

    /// Why a record is none that is wanted, if so.
    fn breach(&self, record: &[u8], rescued: bool) -> Option<Problem> {
        let noun = self.noun;
        if self.demands.known && rescued {
            let field = fields::unknown(record, &self.declared).unwrap_or_default();
            let message = format!("the {noun} has the field `{field}`, which no column takes");
            return Some(Problem { reason: RejectCode::JsonNewField, message });
        }
        let field = self.demands.whole.then(|| fields::lacking(record, &self.declared)).flatten()?;
        Some(Problem { reason: RejectCode::JsonMissingField, message: format!("the {noun} lacks the field `{field}`") })
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, FormatError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(FormatError::Rows)
    }
}

/// Gives `text` to the decoder, as exactly one record, the one after `rows` others.
///
/// A cut-off object would go on in the next record and a record may hold two objects, so that only
/// the count after every single one says that records and rows are the same.
fn one_object(decoder: &mut Decoder, text: &[u8], rows: usize, noun: &str) -> Result<(), Problem> {
    let problem = |reason, message: &str| Err(Problem { reason, message: format!("the {noun} {message}") });
    if std::str::from_utf8(text).is_err() {
        return problem(RejectCode::JsonEncoding, "is not valid UTF-8");
    }
    match decoder.decode(text) {
        Ok(_) if decoder.has_partial_record() => problem(RejectCode::JsonSyntax, "ends inside of its object"),
        Ok(taken) if taken == text.len() && decoder.len() == rows + 1 => Ok(()),
        Ok(_) => problem(RejectCode::JsonSyntax, kind_of(text)),
        Err(error) => Err(Problem { reason: RejectCode::JsonSyntax, message: told(&error.to_string()).to_owned() }),
    }
}

/// What a record is that is not one object.
fn kind_of(text: &[u8]) -> &'static str {
    let text = text.trim_ascii();
    match (text.first(), object::skip_value(text, 0)) {
        (Some(b'['), _) => "is an array and not one JSON object",
        (Some(b'{'), Some(end)) if text[end..].trim_ascii().starts_with(b"{") => "holds more than one JSON object",
        _ => "is not one JSON object",
    }
}

/// The rows that the decoder holds, if each value is in a place that takes it.
fn flushed(decoder: &mut Decoder, schema: &SchemaRef) -> Result<RecordBatch, Problem> {
    match decoder.flush() {
        Ok(Some(rows)) => Ok(rows),
        Ok(None) => Ok(RecordBatch::new_empty(schema.clone())),
        Err(error) => Err(Problem { reason: RejectCode::JsonType, message: told(&error.to_string()).to_owned() }),
    }
}

/// The decoder's own words without its name.
fn told(text: &str) -> &str {
    text.strip_prefix("Json error: ").unwrap_or(text)
}
