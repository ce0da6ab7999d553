//! Rows that could not go on, as rows.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use super::schema::timestamp;
use crate::batch::Reject;

/// The columns of every quarantine table.
pub fn quarantine_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("rejected_at", timestamp(), true),
        text("hop"),
        text("module"),
        text("module_digest"),
        text("lane"),
        Field::new("position", DataType::Int64, true),
        Field::new("line", DataType::Int64, true),
        text("reason"),
        text("message"),
        Field::new("payload", DataType::Binary, true),
    ]))
}

/// Rejected rows as rows of a quarantine table; `module` is the module's name and digest.
pub fn quarantine_batch(hop: &str, module: Option<(&str, &str)>, rejects: &[Reject], at: DateTime<Utc>) -> RecordBatch {
    let rows = rejects.len();
    let repeat = |text: Option<&str>| -> ArrayRef {
        let mut builder = StringBuilder::new();
        (0..rows).for_each(|_| builder.append_option(text));
        Arc::new(builder.finish())
    };
    let (mut lane, mut reason, mut message) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut position, mut line) = (Int64Builder::new(), Int64Builder::new());
    let mut payload = BinaryBuilder::new();
    for reject in rejects {
        lane.append_value(&reject.lane);
        position.append_value(reject.position);
        line.append_option(reject.line.and_then(|line| i64::try_from(line).ok()));
        reason.append_value(&reject.reason);
        message.append_value(&reject.message);
        payload.append_value(&reject.payload);
    }
    let at = TimestampMicrosecondArray::from_value(at.timestamp_micros(), rows).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(at),
        repeat(Some(hop)),
        repeat(module.map(|(name, _)| name)),
        repeat(module.map(|(_, digest)| digest)),
        Arc::new(lane.finish()),
        Arc::new(position.finish()),
        Arc::new(line.finish()),
        Arc::new(reason.finish()),
        Arc::new(message.finish()),
        Arc::new(payload.finish()),
    ];
    let schema = quarantine_schema();
    RecordBatch::try_new(schema, columns).expect("the columns are the schema's because both are built in this file")
}
