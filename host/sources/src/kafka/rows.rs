//! Decodes messages of one partition to rows.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_schema::{FieldRef, Schema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::{Fetched, Message};
use crate::files::with_columns;
use crate::message_decoder::BodyDecoder;
use crate::{SourceBatch, SourceError};
use sluicebox_core::batch::{Batch, Lane, Positions, Reject, Stage};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::reject::RejectCode;
use sluicebox_formats::FormatError;

/// The columns of a message besides its body.
pub(super) fn envelope(raw: bool) -> Vec<FieldRef> {
    let mut columns = vec![SystemColumn::Key, SystemColumn::Headers, SystemColumn::Timestamp];
    if raw {
        columns.push(SystemColumn::Raw);
    }
    columns.into_iter().map(|column| Arc::new(column.field())).collect()
}

/// Decodes messages to rows.
pub(super) struct RowMaker {
    bodies: BodyDecoder,
    raw: bool,
}

impl RowMaker {
    /// With `raw`, rows have the original bodies.
    pub(super) fn new(bodies: BodyDecoder, raw: bool) -> Self {
        Self { bodies, raw }
    }

    /// A batch of messages of one lane, with the position after them.
    pub(super) fn batch(
        &mut self,
        lane: &Lane,
        fetched: &Fetched<'_>,
        chosen: &[usize],
        position: i64,
    ) -> Result<SourceBatch, SourceError> {
        let mut bodies = Vec::with_capacity(chosen.len());
        let mut full = Vec::with_capacity(chosen.len());
        let mut rejects = Vec::new();
        for at in chosen {
            let message = fetched.message(*at);
            match message.body() {
                Some(body) => {
                    bodies.push(body);
                    full.push(message);
                }
                None => rejects.push(no_body(lane, message)),
            }
        }
        let decoded = self.bodies.decode(lane, &bodies)?;
        for bad in decoded.bad {
            rejects.push(Reject {
                lane: lane.clone(),
                position: full[bad.at].offset(),
                line: None,
                reason: bad.reason.into(),
                message: bad.message,
                stage: Stage::Source,
                payload: bodies[bad.at].to_vec(),
            });
        }
        rejects.sort_by_key(|reject| reject.position);
        let taken: Vec<Message<'_>> = match decoded.taken {
            None => full,
            Some(taken) => taken.into_iter().map(|at| full[at]).collect(),
        };
        let positions: Int64Array = taken.iter().map(|message| message.offset()).collect::<Vec<_>>().into();
        let rows = with_envelope(&decoded.rows, &taken, self.raw);
        let rows = rows.and_then(|rows| with_columns(&rows, lane, positions));
        let rows = rows.map_err(|error| self.bodies.failed(lane, error))?;
        let batch = Batch { rows, positions: Positions::of(lane.clone(), position) };
        Ok(SourceBatch { batch, rejects, finished: None })
    }
}

fn no_body(lane: &Lane, message: Message<'_>) -> Reject {
    let key = match message.key() {
        Some(key) => format!("; its key is `{}`", String::from_utf8_lossy(&key[..key.len().min(100)])),
        None => String::new(),
    };
    Reject {
        lane: lane.clone(),
        position: message.offset(),
        line: None,
        reason: RejectCode::KafkaNoBody.into(),
        message: format!("the message has no body{key}"),
        stage: Stage::Source,
        payload: Vec::new(),
    }
}

/// Adds the columns besides the body to decoded rows.
fn with_envelope(rows: &RecordBatch, messages: &[Message<'_>], raw: bool) -> Result<RecordBatch, FormatError> {
    let mut keys = BinaryBuilder::with_capacity(messages.len(), 0);
    let mut headers = StringBuilder::with_capacity(messages.len(), 0);
    let mut times = Vec::with_capacity(messages.len());
    for message in messages {
        keys.append_option(message.key());
        times.push(message.timestamp().map(|millis| millis.saturating_mul(1_000)));
        headers.append_option(headers_of(*message));
    }
    let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let mut arrays = rows.columns().to_vec();
    arrays.extend([Arc::new(keys.finish()) as ArrayRef, Arc::new(headers.finish()), Arc::new(times)]);
    if raw {
        let length = messages.iter().filter_map(|message| message.body()).map(<[u8]>::len).sum();
        let mut bodies = BinaryBuilder::with_capacity(messages.len(), length);
        messages.iter().for_each(|message| bodies.append_option(message.body()));
        arrays.push(Arc::new(bodies.finish()));
    }
    let mut fields: Vec<FieldRef> = rows.schema().fields().to_vec();
    fields.extend(envelope(raw));
    let options = RecordBatchOptions::new().with_row_count(Some(messages.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(FormatError::Rows)
}

/// Adds the original bodies to decoded rows.
pub(super) fn with_raw<'a>(
    rows: &RecordBatch,
    bodies: impl Iterator<Item = &'a [u8]>,
) -> Result<RecordBatch, FormatError> {
    let mut arrays = rows.columns().to_vec();
    arrays.push(Arc::new(BinaryArray::from_iter_values(bodies)));
    let mut fields: Vec<FieldRef> = rows.schema().fields().to_vec();
    fields.push(Arc::new(SystemColumn::Raw.field()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(FormatError::Rows)
}

/// The headers as a JSON list, in their order; `None` if there are none.
fn headers_of(message: Message<'_>) -> Option<String> {
    let mut list = Vec::new();
    for (key, value) in message.headers() {
        let key = String::from_utf8_lossy(key);
        list.push(match value.map(|value| (std::str::from_utf8(value), value)) {
            None => serde_json::json!({ "key": key, "value": null }),
            Some((Ok(text), _)) => serde_json::json!({ "key": key, "value": text }),
            Some((Err(_), bytes)) => serde_json::json!({ "key": key, "base64": STANDARD.encode(bytes) }),
        });
    }
    (!list.is_empty()).then(|| serde_json::Value::Array(list).to_string())
}
