//! Records of one writer's schema.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt64Array, new_null_array};
use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, SchemaStore};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::take::take_record_batch;

use super::body::BadSchema;
use super::{CODES, shape};
use crate::guard::guarded;
use crate::limits::{self, BATCH_BYTES};
use crate::message::BadMessage;
use crate::plain::{Plan, check_types, flat_json, has_union, type_name};
use crate::{BATCH_ROWS, Decoded, FormatError, Numbers, names};
use sluicebox_core::plan::{Demands, Timestamps};
use sluicebox_core::reject::RejectCode;

/// The mark that the decoder wants before each record (Avro's single-object encoding) and the
/// number of the schema behind it. We put both there ourselves. A record never holds them by chance
/// where one ends, so what follows a record is never taken for another.
const MARK: [u8; 2] = [0xc3, 0x01];

/// Bytes that a record may take whatever it holds: those of a batch come together.
const RECORD_WIDTH: usize = 8 * BATCH_BYTES / BATCH_ROWS;

/// Decodes what was written with one schema.
pub(super) struct Writer {
    schema: AvroSchema,
    /// What stands before each record for the decoder.
    prefix: [u8; 10],
    fingerprint: Fingerprint,
    decoder: Decoder,
    plan: Plan,
    /// The columns of a batch, the last of which is `_rescued`.
    target: SchemaRef,
    /// For every column but the last: where it stands in the plan's rows.
    places: Vec<Option<usize>>,
    /// Fields that are not declared, by their place in a record.
    others: Vec<usize>,
    /// Whether the decoder is good for one batch only: once it has given one, it takes values of a union of
    /// several types from wrong places.
    once: bool,
}

/// Records, decoded.
pub(super) struct Records {
    /// Those that are rows.
    pub(super) rows: RecordBatch,
    /// Which messages these are.
    pub(super) taken: Vec<usize>,
    /// The others.
    pub(super) bad: Vec<BadMessage>,
}

impl Writer {
    /// Makes the columns of `target`, the last of which is `_rescued`, of what this schema says.
    pub(super) fn new(schema: &str, target: &SchemaRef) -> Result<Self, BadSchema> {
        let unusable = |why: String| BadSchema { reason: RejectCode::AvroSchema, message: why };
        shape::check(schema).map_err(|error| unusable(error.to_string()))?;
        let schema = AvroSchema::new(schema.to_owned());
        let number: u64 = rand::random();
        let fingerprint = Fingerprint::Rabin(number);
        let mut prefix = [0; 10];
        prefix[..2].copy_from_slice(&MARK);
        prefix[2..].copy_from_slice(&number.to_le_bytes());
        let opened = guarded(0, || open(&schema, fingerprint).map_err(|source| FormatError::Avro { done: 0, source }));
        let decoder = opened.map_err(|error| unusable(format!("it is no schema of records: {}", told(&error))))?;
        let fields = decoder.schema();
        check_types(fields.fields()).map_err(|error| unusable(error.to_string()))?;
        let width = fields.fields().iter().map(|field| limits::width(field.data_type()));
        if width.fold(0, usize::saturating_add) > RECORD_WIDTH {
            return Err(unusable(format!("its records take more than {RECORD_WIDTH} bytes each, whatever they hold")));
        }
        let declared = &target.fields()[..target.fields().len() - 1];
        let columns = arrow_schema::Schema::new(declared.to_vec());
        let plan = Plan::of_declared(&fields, &columns, CODES)
            .map_err(|_| unusable(format!("its schema has none of the declared columns, but {}", listed(&fields))))?;
        if let Some((source, field)) = plan.uncastable(&fields) {
            return Err(unusable(format!(
                "its field `{}` is of type {}, which cannot become the declared {}",
                field.name(),
                type_name(source.data_type()),
                type_name(field.data_type())
            )));
        }
        let present = plan.schema.fields();
        let places = declared
            .iter()
            .map(|field| names::find(present.iter().map(|field| field.name().as_str()), field.name()))
            .collect();
        let others = (0..fields.fields().len()).filter(|at| !plan.sources().contains(at)).collect();
        let once = fields.fields().iter().any(|field| has_union(field.data_type()));
        Ok(Self { schema, prefix, fingerprint, decoder, plan, target: target.clone(), places, others, once })
    }

    /// What becomes of times with digits below microseconds.
    pub(super) fn timestamps(&mut self, timestamps: Timestamps) {
        self.plan = self.plan.clone().exact(timestamps);
    }

    /// The rows that records are, each with its message's place.
    pub(super) fn decode(&mut self, records: &[(usize, &[u8])], demands: Demands) -> Result<Records, FormatError> {
        let (rows, taken, mut bad) = match self.all(records) {
            Some(rows) => (rows, records.iter().map(|(at, _)| *at).collect(), Vec::new()),
            None => self.each(records)?,
        };
        let (rows, mut taken, unwanted) = self.wanted(rows, taken, demands)?;
        bad.extend(unwanted);
        let decoded = self.plan.decode(&rows, 0)?;
        bad.extend(decoded.bad.iter().map(|misfit| BadMessage {
            at: taken[misfit.record as usize],
            reason: misfit.reason,
            message: misfit.message.clone(),
        }));
        let rows = match &decoded.numbers {
            Numbers::From(_) => rows,
            Numbers::Each(numbers) => {
                let keep: Vec<usize> = numbers.iter().map(|number| *number as usize).collect();
                let kept = chosen(&rows, &keep)?;
                taken = keep.iter().map(|row| taken[*row]).collect();
                kept
            }
        };
        let (rows, missing) = self.complete(&rows, decoded)?;
        if let Some(column) = missing {
            // No record of this schema has it, so none of them is a row.
            let message = format!("column `{column}` must not be null");
            bad.extend(taken.drain(..).map(|at| BadMessage { at, reason: CODES.null, message: message.clone() }));
        }
        Ok(Records { rows, taken, bad })
    }

    /// The records that are as wanted, and what is wrong with the others.
    #[allow(clippy::type_complexity, reason = "rows, which messages they are, and what is wrong with others")]
    fn wanted(
        &self,
        rows: RecordBatch,
        taken: Vec<usize>,
        demands: Demands,
    ) -> Result<(RecordBatch, Vec<usize>, Vec<BadMessage>), FormatError> {
        let lacking = self.places.iter().position(Option::is_none).filter(|_| demands.whole);
        if let Some(at) = lacking {
            let message = format!("the message lacks the field `{}`", self.target.field(at).name());
            let bad = |at| BadMessage { at, reason: RejectCode::AvroMissingField, message: message.clone() };
            return Ok((rows.slice(0, 0), Vec::new(), taken.into_iter().map(bad).collect()));
        }
        if !demands.known || self.others.is_empty() {
            return Ok((rows, taken, Vec::new()));
        }
        let (mut keep, mut bad) = (Vec::new(), Vec::new());
        for (row, at) in taken.iter().enumerate() {
            let Some(other) = self.others.iter().find(|other| rows.column(**other).is_valid(row)) else {
                keep.push(row);
                continue;
            };
            let schema = rows.schema_ref();
            let message = format!("the message has the field `{}`, which no column takes", schema.field(*other).name());
            bad.push(BadMessage { at: *at, reason: RejectCode::AvroNewField, message });
        }
        Ok((chosen(&rows, &keep)?, keep.iter().map(|row| taken[*row]).collect(), bad))
    }

    /// All records at once; `None` where one is bad.
    fn all(&mut self, records: &[(usize, &[u8])]) -> Option<RecordBatch> {
        let prefix = self.prefix;
        let rows = guarded(0, || {
            for (_, record) in records {
                if take(&mut self.decoder, &prefix, record).is_err() {
                    return Ok(None);
                }
            }
            self.decoder.flush().map_err(|error| FormatError::Avro { done: 0, source: error.into() })
        });
        if self.once {
            self.renew();
        }
        match rows {
            Ok(Some(rows)) => Some(rows),
            // What it has begun it would go on with.
            _ => {
                self.renew();
                None
            }
        }
    }

    /// Each record by itself first, so that those that are bad are known.
    #[allow(clippy::type_complexity, reason = "rows, which messages they are, and what is wrong with others")]
    fn each(&mut self, records: &[(usize, &[u8])]) -> Result<(RecordBatch, Vec<usize>, Vec<BadMessage>), FormatError> {
        let (mut good, mut bad) = (Vec::with_capacity(records.len()), Vec::new());
        let prefix = self.prefix;
        for (at, record) in records {
            let tried = guarded(0, || {
                take(&mut self.decoder, &prefix, record).map_err(|source| FormatError::Avro { done: 0, source })?;
                self.decoder.flush().map_err(|error| FormatError::Avro { done: 0, source: error.into() })
            });
            if self.once || tried.is_err() {
                self.renew();
            }
            match tried {
                Ok(_) => good.push((*at, *record)),
                Err(error) => {
                    let message = format!("the message is no record of its schema: {}", told(&error));
                    bad.push(BadMessage { at: *at, reason: RejectCode::AvroRecord, message });
                }
            }
        }
        let taken = good.iter().map(|(at, _)| *at).collect();
        if good.is_empty() {
            return Ok((RecordBatch::new_empty(self.decoder.schema()), taken, bad));
        }
        let rows = self.all(&good).ok_or_else(|| FormatError::Decoder {
            done: 0,
            message: "Avro records that are sound one by one are not so together".to_owned(),
        })?;
        Ok((rows, taken, bad))
    }

    fn renew(&mut self) {
        // The schema was opened before, so it opens again.
        if let Ok(decoder) = open(&self.schema, self.fingerprint) {
            self.decoder = decoder;
        }
    }

    /// Puts columns that the schema lacks and `_rescued` beside the others; says which column is
    /// lacking that must not be null.
    fn complete(&self, rows: &RecordBatch, decoded: Decoded) -> Result<(RecordBatch, Option<String>), FormatError> {
        let count = decoded.rows.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.target.fields().len());
        for (field, place) in self.target.fields().iter().zip(&self.places) {
            match place {
                Some(place) => arrays.push(decoded.rows.column(*place).clone()),
                None if field.is_nullable() => arrays.push(new_null_array(field.data_type(), count)),
                None if count == 0 => arrays.push(new_null_array(field.data_type(), 0)),
                None => return Ok((RecordBatch::new_empty(self.target.clone()), Some(field.name().clone()))),
            }
        }
        arrays.push(self.rescued(rows)?);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(self.target.clone(), arrays, &options);
        Ok((rows.map_err(FormatError::Rows)?, None))
    }

    /// Fields that no column takes, as one JSON object a row.
    fn rescued(&self, rows: &RecordBatch) -> Result<ArrayRef, FormatError> {
        if self.others.is_empty() {
            return Ok(new_null_array(&DataType::Utf8, rows.num_rows()));
        }
        let others = rows.project(&self.others).map_err(FormatError::Rows)?;
        let texts = flat_json(&others, &(0..rows.num_rows()).collect::<Vec<_>>());
        let texts = texts.into_iter().map(|text| String::from_utf8(text).ok());
        Ok(Arc::new(texts.collect::<StringArray>()))
    }
}

fn open(schema: &AvroSchema, fingerprint: Fingerprint) -> Result<Decoder, ArrowError> {
    let mut store = SchemaStore::new();
    store.set(fingerprint, schema.clone())?;
    ReaderBuilder::new().with_batch_size(BATCH_ROWS).with_writer_schema_store(store).build_decoder()
}

/// Takes one record, which has to be one from its first byte to its last.
fn take(decoder: &mut Decoder, prefix: &[u8], record: &[u8]) -> Result<(), ArrowError> {
    let failed = |message: String| Err(ArrowError::ParseError(message));
    let room = decoder.capacity();
    decoder.decode(prefix)?;
    let used = match decoder.decode(record) {
        Ok(used) => used,
        // What follows a whole record has no mark of ours.
        Err(_) if decoder.capacity() < room => return failed("something follows it".to_owned()),
        Err(error) => return Err(error.into()),
    };
    match room - decoder.capacity() {
        0 => failed("it ends too early".to_owned()),
        _ if used < record.len() => {
            failed(format!("of its {} bytes {} are left over", record.len(), record.len() - used))
        }
        1 => Ok(()),
        rows => failed(format!("it holds {rows} records")),
    }
}

/// The innermost words of an error, without what they are wrapped in.
fn told(error: &FormatError) -> String {
    match error {
        FormatError::Avro { source: ArrowError::ParseError(message) | ArrowError::AvroError(message), .. } => {
            message.clone()
        }
        FormatError::Avro { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

fn chosen(rows: &RecordBatch, keep: &[usize]) -> Result<RecordBatch, FormatError> {
    let keep = UInt64Array::from_iter_values(keep.iter().map(|row| *row as u64));
    take_record_batch(rows, &keep).map_err(FormatError::Rows)
}

fn listed(schema: &SchemaRef) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}
