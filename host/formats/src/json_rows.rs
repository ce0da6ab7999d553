//! Converts rows to JSON and back, for quarantine and fixtures.

use std::io::{BufReader, Cursor};

use arrow_array::{RecordBatch, UInt64Array};
use arrow_json::reader::ReaderBuilder;
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, SchemaRef};

use super::{FormatError, json, text};
use sluicebox_core::plan::Encoding;

/// Some rows of a batch, each as one JSON object with its nulls, in the order of `indexes`. A row that JSON cannot
/// express becomes an object that says so, because a reject must never be lost.
pub fn rows_as_json(rows: &RecordBatch, indexes: &[usize]) -> Vec<Vec<u8>> {
    match encode(rows, indexes) {
        Ok(lines) => lines,
        Err(error) => {
            let object = serde_json::json!({ "_unprintable": error.to_string() }).to_string().into_bytes();
            vec![object; indexes.len()]
        }
    }
}

fn encode(rows: &RecordBatch, indexes: &[usize]) -> Result<Vec<Vec<u8>>, ArrowError> {
    let picked = UInt64Array::from_iter_values(indexes.iter().map(|index| *index as u64));
    let picked = arrow_select::take::take_record_batch(rows, &picked)?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(&picked)?;
    writer.finish()?;
    // JSON escapes newlines in values, so lines are rows.
    Ok(writer.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Parses JSON lines to one batch with these columns; other fields are ignored.
pub fn rows_from_json(text: &[u8], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let batches = ReaderBuilder::new(schema.clone()).build(BufReader::new(text))?.collect::<Result<Vec<_>, _>>()?;
    arrow_select::concat::concat_batches(schema, &batches)
}

/// Infers the columns of JSON lines, in order of appearance.
pub fn infer_json(text: &[u8]) -> Result<SchemaRef, FormatError> {
    let text = text::decode(Box::new(Cursor::new(text.to_vec())), Encoding::Utf8)?;
    json::infer(json::Framing::lines(text, false)?.0)
}
