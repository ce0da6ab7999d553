//! Bodies of messages that are one Avro record each.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use apache_avro::headers::{HeaderBuilder as _, RabinFingerprintHeader};
use arrow_array::{RecordBatch, UInt64Array};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::shape;
use super::writer::Writer;
use crate::FormatError;
use crate::message::{BadMessage, Messages};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::plan::{Demands, Timestamps};
use sluicebox_core::reject::RejectCode;

/// What a body begins with that names its schema: a zero byte, and the number.
const FRAME: usize = 5;

/// Decodes bodies, whose schemas it is told of one by one.
pub(crate) struct BodyDecoder {
    /// The columns of a batch: those that are declared, and `_rescued`.
    schema: SchemaRef,
    /// Whether a body says which schema it was written with.
    framed: bool,
    /// What a body of the only schema may begin with: the mark and the fingerprint of Avro's single-object encoding.
    single: Option<Vec<u8>>,
    /// By their number; the only one has the number 0.
    writers: HashMap<u32, Result<Writer, BadSchema>>,
    demands: Demands,
    timestamps: Timestamps,
}

/// Why nothing can be decoded that was written with a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSchema {
    /// A short stable code.
    pub reason: RejectCode,
    /// A sentence.
    pub message: String,
}

/// Messages of one writer's schema.
struct Group<'a> {
    number: u32,
    /// Where they stand among all, and what follows the number of their schema.
    records: Vec<(usize, &'a [u8])>,
}

impl BodyDecoder {
    /// Gives rows of these columns and `_rescued`.
    pub(crate) fn new(columns: &SchemaRef) -> Result<Self, FormatError> {
        let mut fields: Vec<FieldRef> = columns.fields().to_vec();
        fields.push(Arc::new(SystemColumn::Rescued.field()));
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            framed: true,
            single: None,
            writers: HashMap::new(),
            demands: Demands::default(),
            timestamps: Timestamps::Exact,
        })
    }

    /// The same for records of which more is wanted.
    pub(crate) fn demanding(self, demands: Demands) -> Self {
        Self { demands, ..self }
    }

    /// The same for times with digits below microseconds.
    pub(crate) fn timestamps(mut self, timestamps: Timestamps) -> Self {
        self.timestamps = timestamps;
        self.writers.values_mut().flatten().for_each(|writer| writer.timestamps(timestamps));
        self
    }

    /// The same for bodies that are all written with one schema, and do not say so.
    pub(crate) fn bare(columns: &SchemaRef, path: &Path) -> Result<Self, FormatError> {
        let schema = std::fs::read_to_string(path);
        let schema = schema.map_err(|source| FormatError::SchemaFile { path: path.to_owned(), source })?;
        let single = single_object(&schema);
        let mut bodies = Self { framed: false, single, ..Self::new(columns)? };
        let writer = Writer::new(&schema, &bodies.schema);
        let unusable = |bad: BadSchema| FormatError::AvroSchema { path: path.to_owned(), problem: bad.message };
        bodies.writers.insert(0, Ok(writer.map_err(unusable)?));
        Ok(bodies)
    }

    /// The numbers of schemas that these bodies name and of which nothing was heard.
    pub(crate) fn unknown(&self, bodies: &[&[u8]]) -> Vec<u32> {
        let mut unknown = Vec::new();
        let mut last = None;
        for (number, _) in bodies.iter().filter_map(|body| self.open(body)) {
            if last != Some(number) && !self.writers.contains_key(&number) && !unknown.contains(&number) {
                unknown.push(number);
            }
            last = Some(number);
        }
        unknown
    }

    /// Hears what there is to know of a schema.
    pub(crate) fn learn(&mut self, number: u32, schema: Result<&str, BadSchema>) {
        let mut writer = schema.and_then(|schema| Writer::new(schema, &self.schema));
        writer.iter_mut().for_each(|writer| writer.timestamps(self.timestamps));
        self.writers.insert(number, writer);
    }

    /// Forgets the schemas that are of no use.
    pub(crate) fn forget_bad(&mut self) {
        self.writers.retain(|_, writer| writer.is_ok());
    }

    /// The rows that bodies are.
    pub(crate) fn decode(&mut self, bodies: &[&[u8]]) -> Result<Messages, FormatError> {
        let (groups, mut bad) = self.groups(bodies);
        let mut parts = Vec::with_capacity(groups.len());
        let mut taken: Vec<usize> = Vec::with_capacity(bodies.len());
        for group in groups {
            let refused = |bad: &BadSchema| bad.clone();
            let unheard =
                || BadSchema { reason: RejectCode::AvroSchema, message: "its schema is not known".to_owned() };
            let writer = match self.writers.get_mut(&group.number) {
                Some(Ok(writer)) => Ok(writer),
                Some(Err(bad)) => Err(refused(bad)),
                None => Err(unheard()),
            };
            match writer {
                Ok(writer) => {
                    let decoded = writer.decode(&group.records, self.demands)?;
                    parts.push(decoded.rows);
                    taken.extend(decoded.taken);
                    bad.extend(decoded.bad);
                }
                Err(BadSchema { reason, message }) => bad.extend(group.records.iter().map(|(at, _)| BadMessage {
                    at: *at,
                    reason,
                    message: message.clone(),
                })),
            }
        }
        bad.sort_by_key(|bad| bad.at);
        let rows = match parts.as_slice() {
            [rows] => rows.clone(),
            parts => in_order(&concat_batches(&self.schema, parts).map_err(FormatError::Rows)?, &mut taken)?,
        };
        let taken = (taken.len() < bodies.len()).then_some(taken);
        Ok(Messages { rows, taken, bad })
    }

    /// The number of a body's schema, and its record; `None` where it names no schema and has to.
    fn open<'a>(&self, body: &'a [u8]) -> Option<(u32, &'a [u8])> {
        if !self.framed {
            let single = self.single.as_deref().and_then(|mark| body.strip_prefix(mark));
            return Some((0, single.unwrap_or(body)));
        }
        match body.split_first_chunk::<FRAME>() {
            Some(([0, number @ ..], record)) => Some((u32::from_be_bytes(*number), record)),
            _ => None,
        }
    }

    /// Bodies by the schemas that they were written with, and those that do not say which.
    fn groups<'a>(&self, bodies: &[&'a [u8]]) -> (Vec<Group<'a>>, Vec<BadMessage>) {
        let (mut groups, mut bad): (Vec<Group<'a>>, _) = (Vec::new(), Vec::new());
        for (at, body) in bodies.iter().enumerate() {
            let Some((number, record)) = self.open(body) else {
                let message = match body.first() {
                    None => "the message is empty".to_owned(),
                    Some(0) => format!("the message has {} bytes, too few to name a schema", body.len()),
                    Some(byte) => format!(
                        "the message begins with the byte 0x{byte:02x}; one that names its schema in a registry begins with 0x00"
                    ),
                };
                bad.push(BadMessage { at, reason: RejectCode::AvroFrame, message });
                continue;
            };
            // Neighbours are mostly of one schema, and there are few of them.
            match groups.iter_mut().rev().find(|group| group.number == number) {
                Some(group) => group.records.push((at, record)),
                None => groups.push(Group { number, records: vec![(at, record)] }),
            }
        }
        (groups, bad)
    }
}

/// What a record of this schema begins with in Avro's single-object encoding; `None` where the schema has no
/// canonical form.
fn single_object(schema: &str) -> Option<Vec<u8>> {
    // Of a schema that is refused, its writer says so.
    shape::check(schema).ok()?;
    let schema = apache_avro::Schema::parse_str(schema).ok()?;
    Some(RabinFingerprintHeader::from_schema(&schema).build_header())
}

/// Rows in the order of their messages.
fn in_order(rows: &RecordBatch, taken: &mut [usize]) -> Result<RecordBatch, FormatError> {
    let mut order: Vec<usize> = (0..taken.len()).collect();
    order.sort_by_key(|row| taken[*row]);
    taken.sort_unstable();
    let order = UInt64Array::from_iter_values(order.into_iter().map(|row| row as u64));
    take_record_batch(rows, &order).map_err(FormatError::Rows)
}
