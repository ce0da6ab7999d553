//! The keys for decoding message bodies, which every source of messages has.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::avro::AVRO;
use super::columns::ColumnTypes;
use super::csv::{CSV, Csv};
use super::timestamps_key;
use crate::keys::{Flag, Key, Maybe, Section, SubTable, Word, Words};
use sluicebox_core::plan::{AvroSchemas, CsvFormat, MessageFormat, Timestamps};

pub(super) const FORMAT: Key<Word<MessageName>> =
    Key::new("format", Word::new(), "How the body of a message is decoded.")
        .more(
            "As one JSON object, one record of CSV without a header, one Avro record, or not at all, into the column \
             `value`.",
        )
        .example(r#""json""#);
pub(super) const COLUMNS: Key<Maybe<ColumnTypes>> =
    Key::new("columns", ColumnTypes, "The columns of the body in table order; with any `format` but `\"bytes\"`.")
        .more("Fields of JSON and Avro that no column takes go to `_rescued`.")
        .optional()
        .absent("required, except with `bytes`")
        .example(r#"{ id = "int64 not null", name = "string" }"#);
pub(super) const CSV_KEY: Key<SubTable<Csv>> =
    Key::new("csv", CSV, "How CSV is read; only with `format = \"csv\"`, whose messages have no header.")
        .default(Csv::default)
        .absent("see [above](#csv)")
        .example(r#"{ delimiter = ";", header = false }"#);
pub(super) const AVRO_KEY: Key<Maybe<SubTable<AvroSchemas>>> =
    Key::new("avro", AVRO, "Where the schemas of the messages are; only with `format = \"avro\"`.")
        .more("See [below](#avro).")
        .optional()
        .absent("required with `format = \"avro\"`")
        .example(r#"{ registry = "http://localhost:8081" }"#);
pub(super) const RAW: Key<Flag> =
    Key::new("raw", Flag, "Whether each row keeps the body as it came, in `_raw`.").default(|| true).example("false");

pub(super) const TIMESTAMPS: Key<Word<Timestamps>> = timestamps_key();

/// The values of these keys.
pub(super) struct Bodies {
    pub(super) format: MessageFormat,
    pub(super) columns: SchemaRef,
    pub(super) raw: bool,
    pub(super) timestamps: Timestamps,
}

/// Reads them, and reports problems.
pub(super) fn read(section: &Section<'_>) -> Option<Bodies> {
    let raw = section.get(&RAW);
    let timestamps = section.get(&TIMESTAMPS);
    let format = section.get(&FORMAT);
    let columns = section.get(&COLUMNS);
    let csv = section.get(&CSV_KEY).and_then(|csv| without_header(section, csv));
    let avro = section.get(&AVRO_KEY);
    let format = match format? {
        MessageName::Json => MessageFormat::Json,
        MessageName::Csv => MessageFormat::Csv(csv?),
        MessageName::Avro => match avro? {
            Some(schemas) => MessageFormat::Avro(schemas),
            None => {
                section.missing(&AVRO_KEY);
                return None;
            }
        },
        MessageName::Bytes => MessageFormat::Bytes,
    };
    if !matches!(format, MessageFormat::Csv(_)) {
        section.misplaced(&CSV_KEY, "has no use with this `format`", "remove it, or set `format = \"csv\"`");
    }
    if !matches!(format, MessageFormat::Avro(_)) {
        section.misplaced(&AVRO_KEY, "has no use with this `format`", "remove it, or set `format = \"avro\"`");
    }
    let columns = match (&format, columns?) {
        (MessageFormat::Bytes, None) => Arc::new(Schema::new(vec![Field::new("value", DataType::Binary, true)])),
        (MessageFormat::Bytes, Some(_)) => {
            let hint = "remove it: the one column is `value`";
            section.misplaced(&COLUMNS, "has no use with `format = \"bytes\"`", hint);
            return None;
        }
        (_, Some(columns)) => columns,
        (_, None) => {
            // Others write while it is read, so no first message can stand for all.
            section.missing(&COLUMNS);
            return None;
        }
    };
    Some(Bodies { format, columns, raw: raw?, timestamps: timestamps? })
}

/// The CSV settings of a single record.
fn without_header(section: &Section<'_>, csv: Csv) -> Option<CsvFormat> {
    if csv.format.header && csv.says_header() {
        csv.misplaced_header(section, "has no meaning: a message is one record", "leave it out");
        return None;
    }
    Some(CsvFormat { header: false, comment: None, skip_rows: 0, ..csv.format })
}

/// The format of a message, before its settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageName {
    Json,
    Csv,
    Avro,
    Bytes,
}

impl Words for MessageName {
    const ALL: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("csv", Self::Csv), ("avro", Self::Avro), ("bytes", Self::Bytes)];
}
