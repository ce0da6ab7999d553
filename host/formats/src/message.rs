//! Bodies of messages to rows: what comes one by one from a broker and not out of a file.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{RecordBatch, UInt64Array};
use arrow_schema::{Schema, SchemaRef};

use super::avro::{BadSchema, BodyDecoder};
use super::csv::{CsvRows, Known};
use super::guard::guarded;
use super::json::ObjectDecoder;
use super::scalar::Exactness;
use super::{FormatError, Rows, text};
use sluicebox_core::plan::{AvroSchemas, CsvFormat, Demands, MessageFormat, Timestamps};
use sluicebox_core::reject::RejectCode;

/// Decodes bodies of messages.
pub struct MessageDecoder(How);

enum How {
    Json(Box<ObjectDecoder>),
    Csv(CsvFormat, SchemaRef),
    Avro(Box<BodyDecoder>),
    Bytes(SchemaRef),
}

/// Messages, decoded.
#[derive(Debug)]
pub struct Messages {
    /// Those that are rows.
    pub rows: RecordBatch,
    /// Which messages these are, by their place in what was given; `None` if all.
    pub taken: Option<Vec<usize>>,
    /// The others, in their order.
    pub bad: Vec<BadMessage>,
}

/// A message that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage {
    /// Its place in what was given.
    pub at: usize,
    /// What is wrong with it.
    pub reason: RejectCode,
    /// A sentence with the offending value.
    pub message: String,
}

impl MessageDecoder {
    /// Decodes bodies of this format into these columns; of JSON and Avro also into `_rescued`.
    ///
    /// # Errors
    /// A column has a name or a type that the format cannot be read into, or the one schema of
    /// Avro bodies is not there or is none.
    pub fn new(format: &MessageFormat, columns: &SchemaRef) -> Result<Self, FormatError> {
        Ok(Self(match format {
            MessageFormat::Json => How::Json(Box::new(ObjectDecoder::new(columns.clone(), "message")?)),
            MessageFormat::Csv(csv) => {
                // What it says of the columns, it says now and not at the first message.
                csv_rows(csv, columns, Vec::new())?;
                How::Csv(csv.clone(), columns.clone())
            }
            MessageFormat::Avro(AvroSchemas::File(path)) => How::Avro(Box::new(BodyDecoder::bare(columns, path)?)),
            MessageFormat::Avro(AvroSchemas::Registry(_)) => How::Avro(Box::new(BodyDecoder::new(columns)?)),
            MessageFormat::Bytes => How::Bytes(columns.clone()),
        }))
    }

    /// The same for records of which more is wanted.
    pub fn demanding(self, demands: Demands) -> Self {
        Self(match self.0 {
            How::Json(decoder) => How::Json(Box::new(decoder.demanding(demands))),
            How::Avro(decoder) => How::Avro(Box::new(decoder.demanding(demands))),
            // Without names there are as many fields as columns, or the message is bad already.
            how @ (How::Csv(..) | How::Bytes(_)) => how,
        })
    }

    /// The same for times with digits below microseconds.
    pub fn timestamps(self, timestamps: Timestamps) -> Self {
        let exactness = Exactness { floats: false, cut_times: timestamps == Timestamps::Truncate };
        Self(match self.0 {
            How::Json(decoder) => How::Json(Box::new(decoder.exact(exactness))),
            How::Avro(decoder) => How::Avro(Box::new(decoder.timestamps(timestamps))),
            how @ (How::Csv(..) | How::Bytes(_)) => how,
        })
    }

    /// The numbers of schemas that these bodies name and that are to be asked for before they are
    /// decoded.
    pub fn unknown_schemas(&self, bodies: &[&[u8]]) -> Vec<u32> {
        match &self.0 {
            How::Avro(decoder) => decoder.unknown(bodies),
            How::Json(_) | How::Csv(..) | How::Bytes(_) => Vec::new(),
        }
    }

    /// Hears what a registry has under a number, or why nothing can be decoded with it.
    pub fn learn_schema(&mut self, number: u32, schema: Result<&str, BadSchema>) {
        if let How::Avro(decoder) = &mut self.0 {
            decoder.learn(number, schema);
        }
    }

    /// Forgets the schemas of which it heard that they are of no use, so that they are asked for again.
    pub fn forget_bad_schemas(&mut self) {
        if let How::Avro(decoder) = &mut self.0 {
            decoder.forget_bad();
        }
    }

    /// The rows that messages are, at most [`super::BATCH_ROWS`] of them.
    ///
    /// # Errors
    /// What is wrong with the decoder and no single message; messages that are wrong by
    /// themselves are in [`Messages::bad`].
    pub fn decode(&mut self, bodies: &[&[u8]]) -> Result<Messages, FormatError> {
        guarded(0, || match &mut self.0 {
            How::Json(decoder) => {
                let objects = decoder.decode(bodies)?;
                let bad = objects.bad.into_iter();
                let bad = bad.map(|(at, problem)| BadMessage { at, reason: problem.reason, message: problem.message });
                Ok(Messages { rows: objects.rows, taken: objects.records, bad: bad.collect() })
            }
            How::Csv(csv, columns) => decode_csv(csv, columns, bodies),
            How::Avro(decoder) => decoder.decode(bodies),
            How::Bytes(columns) => {
                let mut values = BinaryBuilder::with_capacity(bodies.len(), bodies.iter().map(|body| body.len()).sum());
                bodies.iter().for_each(|body| values.append_value(body));
                let rows = RecordBatch::try_new(columns.clone(), vec![Arc::new(values.finish())]);
                Ok(Messages { rows: rows.map_err(FormatError::Rows)?, taken: None, bad: Vec::new() })
            }
        })
    }
}

/// Messages that are one record each by the look of them are read together; half a quote, or a
/// line end, would make more or fewer records of them, so such a message is read by itself.
fn decode_csv(csv: &CsvFormat, columns: &SchemaRef, bodies: &[&[u8]]) -> Result<Messages, FormatError> {
    let plain = |body: &[u8]| {
        let quotes = memchr::memchr_iter(csv.quote, body).count();
        quotes.is_multiple_of(2) && memchr::memchr2(b'\n', b'\r', body).is_none() && !body.trim_ascii().is_empty()
    };
    let together: Vec<usize> = (0..bodies.len()).filter(|at| plain(bodies[*at])).collect();
    let alone = (0..bodies.len()).filter(|at| !plain(bodies[*at]));
    let mut found = Found::default();
    if !together.is_empty() && !found.read(csv, columns, bodies, &together)? {
        for at in &together {
            found.read_one(csv, columns, bodies, *at)?;
        }
    }
    for at in alone {
        found.read_one(csv, columns, bodies, at)?;
    }
    found.finish(bodies.len())
}

/// What was read so far, in any order.
#[derive(Default)]
struct Found {
    parts: Vec<RecordBatch>,
    taken: Vec<usize>,
    bad: Vec<BadMessage>,
    schema: Option<SchemaRef>,
}

impl Found {
    /// Reads some messages as one text. Gives `false`, and keeps nothing, if they are not as many
    /// records.
    fn read(
        &mut self,
        csv: &CsvFormat,
        columns: &SchemaRef,
        bodies: &[&[u8]],
        chosen: &[usize],
    ) -> Result<bool, FormatError> {
        let mut text = Vec::with_capacity(chosen.iter().map(|at| bodies[*at].len() + 1).sum());
        for at in chosen {
            text.extend_from_slice(bodies[*at]);
            text.push(b'\n');
        }
        // What is no text at all is one message's fault, and who that is shows when each is read alone.
        let Ok(mut rows) = csv_rows(csv, columns, text) else { return Ok(false) };
        let (mut parts, mut taken, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(decoded) = rows.next()? {
            self.schema = Some(decoded.rows.schema());
            let numbers = decoded.numbers.to_vec(decoded.rows.num_rows());
            taken.extend(numbers.into_iter().map(|number| number as usize));
            bad.extend(decoded.bad);
            parts.push(decoded.rows);
        }
        if taken.len() + bad.len() != chosen.len() {
            return Ok(false);
        }
        self.parts.extend(parts);
        self.taken.extend(taken.into_iter().map(|number| chosen[number]));
        self.bad.extend(bad.into_iter().map(|bad| BadMessage {
            at: chosen[bad.record as usize],
            reason: bad.reason,
            message: bad.message,
        }));
        Ok(true)
    }

    fn read_one(
        &mut self,
        csv: &CsvFormat,
        columns: &SchemaRef,
        bodies: &[&[u8]],
        at: usize,
    ) -> Result<(), FormatError> {
        if !self.read(csv, columns, bodies, &[at])? {
            let message = "the message is not one record of text".to_owned();
            self.bad.push(BadMessage { at, reason: RejectCode::CsvRecords, message });
        }
        Ok(())
    }

    fn finish(mut self, messages: usize) -> Result<Messages, FormatError> {
        let schema = self.schema.unwrap_or_else(|| Arc::new(Schema::empty()));
        let rows = arrow_select::concat::concat_batches(&schema, &self.parts).map_err(FormatError::Rows)?;
        self.bad.sort_by_key(|bad| bad.at);
        if self.taken.len() == messages && self.taken.is_sorted() {
            return Ok(Messages { rows, taken: None, bad: self.bad });
        }
        // In the order in which they came.
        let mut order: Vec<usize> = (0..self.taken.len()).collect();
        order.sort_by_key(|row| self.taken[*row]);
        let indexes = UInt64Array::from_iter_values(order.iter().map(|row| *row as u64));
        let rows = arrow_select::take::take_record_batch(&rows, &indexes).map_err(FormatError::Rows)?;
        self.taken.sort_unstable();
        Ok(Messages { rows, taken: Some(self.taken), bad: self.bad })
    }
}

fn csv_rows(csv: &CsvFormat, columns: &SchemaRef, text: Vec<u8>) -> Result<CsvRows, FormatError> {
    let known = Known { columns: Some(columns.clone()), exact: false };
    CsvRows::new(text::decode(Box::new(Cursor::new(text)), csv.encoding)?, csv, &known, 0)
}
