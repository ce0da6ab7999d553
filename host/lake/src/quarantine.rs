//! The rows of quarantine tables.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};

use sluicebox_core::batch::{Reject, Stage};
use sluicebox_core::reject::Reason;
use sluicebox_delta::{Provenance, timestamp};

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
        text("stage"),
        text("pipeline"),
    ]))
}

/// Rejects of the hop of `maker`, as rows of its quarantine table.
pub fn quarantine_batch(maker: &Provenance, rejects: &[Reject], at: DateTime<Utc>) -> RecordBatch {
    let module = maker.module.as_ref();
    let rows = rejects.len();
    let repeat = |text: Option<&str>| -> ArrayRef {
        let mut builder = StringBuilder::new();
        (0..rows).for_each(|_| builder.append_option(text));
        Arc::new(builder.finish())
    };
    let (mut lane, mut reason, mut message) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut position, mut line) = (Int64Builder::new(), Int64Builder::new());
    let (mut payload, mut stage) = (BinaryBuilder::new(), StringBuilder::new());
    for reject in rejects {
        lane.append_value(&reject.lane);
        position.append_value(reject.position);
        line.append_option(reject.line.and_then(|line| i64::try_from(line).ok()));
        reason.append_value(reject.reason.as_str());
        message.append_value(&reject.message);
        payload.append_value(&reject.payload);
        stage.append_value(reject.stage.to_string());
    }
    let at = TimestampMicrosecondArray::from_value(at.timestamp_micros(), rows).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(at),
        repeat(Some(&maker.hop)),
        repeat(module.map(|(name, _)| name.as_str())),
        repeat(module.map(|(_, digest)| digest.as_str())),
        Arc::new(lane.finish()),
        Arc::new(position.finish()),
        Arc::new(line.finish()),
        Arc::new(reason.finish()),
        Arc::new(message.finish()),
        Arc::new(payload.finish()),
        Arc::new(stage.finish()),
        repeat(Some(&maker.pipeline)),
    ];
    let schema = quarantine_schema();
    RecordBatch::try_new(schema, columns).expect("the columns are the schema's because both are built in this file")
}

/// A row in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The reject.
    pub reject: Reject,
    /// The pipeline of the hop that rejected it; rows of older versions have none.
    pub pipeline: Option<String>,
}

/// The rejects of a quarantine table, in order. `None` for a row without a stage: those of older versions and of
/// other programs.
pub fn quarantined(rows: &RecordBatch) -> Vec<Option<Quarantined>> {
    let texts = |name: &str| rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let numbers = |name: &str| rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let text =
        |name: &str, row: usize| texts(name).filter(|column| column.is_valid(row)).map(|column| column.value(row));
    let number =
        |name: &str, row: usize| numbers(name).filter(|column| column.is_valid(row)).map(|column| column.value(row));
    let payloads = rows.column_by_name("payload").and_then(|column| column.as_binary_opt::<i32>());
    let payload = |row: usize| payloads.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_vec());
    let one = |row: usize| {
        let stage = Stage::read(text("stage", row)?)?;
        let reject = Reject {
            reason: match (&stage, text("reason", row).unwrap_or_default()) {
                (Stage::Module, reason) => Reason::Module(reason.to_owned()),
                (Stage::Source | Stage::Table(_), reason) => Reason::of_host(reason),
            },
            stage,
            lane: text("lane", row)?.into(),
            position: number("position", row)?,
            line: number("line", row).and_then(|line| u64::try_from(line).ok()),
            message: text("message", row).unwrap_or_default().to_owned(),
            payload: payload(row)?,
        };
        Some(Quarantined { reject, pipeline: text("pipeline", row).map(str::to_owned) })
    };
    (0..rows.num_rows()).map(one).collect()
}
