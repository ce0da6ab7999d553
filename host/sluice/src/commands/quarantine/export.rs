//! `sluice quarantine export`.

use sluicebox_delta::DeltaError;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use tempfile::NamedTempFile;

use super::text;
use crate::commands::Exit;
use crate::commands::session::fail;
use crate::report;
use sluicebox_formats::csv::CsvWriter;
use sluicebox_formats::{self as format, FormatError, ParquetWriter};
use sluicebox_lake::{Lake, LakeError};

#[derive(clap::Args)]
#[command(after_help = "\
The ending of FILE says how: .jsonl, .csv or .parquet. A payload that is UTF-8 is written as
text, any other as base64; the column payload_encoding says which.

  sluice quarantine export land_orders --to bad.csv --lake lake")]
pub struct Args {
    /// The hop.
    hop: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    pub lake: String,
    /// Only rows with this reason.
    #[arg(long)]
    reason: Option<String>,
}

/// How a file is written.
enum Writer<W: Write + Send> {
    Lines(W),
    Csv(Box<CsvWriter<W>>),
    Parquet(Option<Box<ParquetWriter<W>>>, Option<W>),
}

/// Writes the rows of a quarantine to a file.
pub async fn run(lake: &Lake, args: &Args) -> Result<Exit, LakeError> {
    let ending = args.to.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !["jsonl", "csv", "parquet"].contains(&ending.as_str()) {
        report::message(
            &format!("`{}` has no ending that says how to write it", args.to.display()),
            Some("name a file that ends in .jsonl, .csv or .parquet"),
        );
        return Ok(Exit::Usage);
    }
    let table = lake.quarantine(&args.hop).await?;
    if table.version().is_none() {
        return Ok(super::nothing(&args.hop));
    }
    // The file appears when it is whole, so that nobody reads half of it.
    let folder = args.to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = match NamedTempFile::new_in(folder) {
        Ok(file) => file,
        Err(error) => {
            report::message(&format!("cannot write in {}: {error}", folder.display()), None);
            return Ok(Exit::Failed);
        }
    };
    let mut writer = match ending.as_str() {
        "csv" => Writer::Csv(Box::new(CsvWriter::new(BufWriter::new(file)))),
        "parquet" => Writer::Parquet(None, Some(BufWriter::new(file))),
        _ => Writer::Lines(BufWriter::new(file)),
    };
    let mut count = 0;
    let mut batches = pin!(table.scan(None).await?);
    while let Some(rows) = batches.try_next().await? {
        let wanted: BooleanArray = (0..rows.num_rows())
            .map(|row| Some(args.reason.as_ref().is_none_or(|reason| *reason == text(&rows, "reason", row))))
            .collect();
        let chosen = arrow_select::filter::filter_record_batch(&rows, &wanted);
        let chosen = chosen.map_err(|error| arrow_failed(&args.hop, error))?;
        count += chosen.num_rows() as u64;
        if let Err(error) = writer.write(&legible(&chosen)) {
            return Ok(fail(&error));
        }
    }
    let file = match writer.finish() {
        Ok(Some(file)) => file,
        // Parquet has no file without columns, and there was no row to know them from.
        Ok(None) => return Ok(super::nothing(&args.hop)),
        Err(error) => return Ok(fail(&error)),
    };
    let persisted = file
        .into_inner()
        .map_err(|error| error.into_error())
        .and_then(|file| file.persist(&args.to).map_err(|error| error.error));
    match persisted {
        Ok(_) => {
            report::note(&format!("{} rows written to {}", report::count(count), args.to.display()));
            Ok(Exit::Done)
        }
        Err(error) => {
            report::message(&format!("cannot write {}: {error}", args.to.display()), None);
            Ok(Exit::Failed)
        }
    }
}

fn arrow_failed(hop: &str, source: arrow_schema::ArrowError) -> LakeError {
    DeltaError::Arrow { action: "choose rows", table: format!("quarantine.{hop}"), source: Box::new(source) }.into()
}

impl<W: Write + Send> Writer<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), FormatError> {
        match self {
            Self::Lines(out) => {
                let all: Vec<usize> = (0..rows.num_rows()).collect();
                for line in format::rows_as_json(rows, &all) {
                    out.write_all(&line).and_then(|()| out.write_all(b"\n")).map_err(FormatError::Write)?;
                }
                Ok(())
            }
            Self::Csv(out) => out.write(rows),
            Self::Parquet(open, waiting) => {
                if let Some(out) = waiting.take() {
                    *open = Some(Box::new(ParquetWriter::new(out, &rows.schema())?));
                }
                open.as_mut().map_or(Ok(()), |open| open.write(rows))
            }
        }
    }

    fn finish(self) -> Result<Option<W>, FormatError> {
        match self {
            Self::Lines(out) => Ok(Some(out)),
            Self::Csv(out) => Ok(Some(out.into_inner())),
            Self::Parquet(open, _) => open.map(|open| open.finish()).transpose(),
        }
    }
}

/// The rows with payloads as text: base64 where they are no UTF-8, which a column says.
fn legible(rows: &RecordBatch) -> RecordBatch {
    let (mut texts, mut encodings) = (StringBuilder::new(), StringBuilder::new());
    let payloads = rows.column_by_name("payload").and_then(|column| column.as_binary_opt::<i32>());
    for row in 0..rows.num_rows() {
        match payloads.filter(|payloads| payloads.is_valid(row)).map(|payloads| payloads.value(row)) {
            None => {
                texts.append_null();
                encodings.append_null();
            }
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    texts.append_value(text);
                    encodings.append_value("utf8");
                }
                Err(_) => {
                    texts.append_value(STANDARD.encode(bytes));
                    encodings.append_value("base64");
                }
            },
        }
    }
    let schema = rows.schema();
    let mut fields: Vec<Field> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(rows.columns()).filter(|(field, _)| field.name() != "payload") {
        fields.push(field.as_ref().clone());
        columns.push(column.clone());
    }
    fields.push(Field::new("payload", DataType::Utf8, true));
    columns.push(Arc::new(texts.finish()));
    fields.push(Field::new("payload_encoding", DataType::Utf8, true));
    columns.push(Arc::new(encodings.finish()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .expect("because every column has a value for every row and the type of its field")
}
