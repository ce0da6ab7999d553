//! Exports rows of a quarantine to a file.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::NamedTempFile;

use super::error::QuarantineError;
use super::rows::{QuarantineRow, rows};
use sluicebox_formats::csv::CsvWriter;
use sluicebox_formats::{self as format, FormatError, ParquetWriter};
use sluicebox_lake::Lake;

/// The format of a file, by its ending.
#[derive(Clone, Copy)]
enum Ending {
    Lines,
    Csv,
    Parquet,
}

/// A writer of one format.
enum Writer<W: Write + Send> {
    Lines(W),
    Csv(Box<CsvWriter<W>>),
    Parquet(Option<Box<ParquetWriter<W>>>, Option<W>),
}

/// Writes the rows of a hop's quarantine, or those with one reason, to a file, and returns their number. The ending
/// tells the format: `.jsonl`, `.csv` or `.parquet`. A UTF-8 payload is written as text, any other as base64; the
/// column `payload_encoding` says which. The file appears when it is complete.
///
/// # Errors
/// The ending is unknown, the hop has no quarantine, or reading or writing failed.
pub async fn export(lake: &Lake, hop: &str, reason: Option<&str>, to: &Path) -> Result<u64, QuarantineError> {
    let ending = Ending::of(to).ok_or_else(|| QuarantineError::Ending { path: to.to_owned() })?;
    let mut rows = rows(lake, hop, reason).await?;
    // In the same folder, so that the file can be renamed into place.
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(folder)
        .map_err(|source| QuarantineError::Folder { folder: folder.to_owned(), source })?;
    let mut writer = Writer::new(ending, BufWriter::new(file));
    let mut count = 0;
    while let Some(rows) = rows.next().await? {
        count += rows.num_rows() as u64;
        writer.write(&legible(&rows))?;
    }
    // Parquet files need columns, and without rows they are not known.
    let Some(file) = writer.finish()? else { return Err(QuarantineError::Nothing { hop: hop.to_owned() }) };
    let failed = |source| QuarantineError::File { path: to.to_owned(), source };
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.persist(to).map_err(|error| failed(error.error))?;
    Ok(count)
}

impl Ending {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_string_lossy().to_lowercase().as_str() {
            "jsonl" => Some(Self::Lines),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

impl<W: Write + Send> Writer<W> {
    fn new(ending: Ending, out: W) -> Self {
        match ending {
            Ending::Lines => Self::Lines(out),
            Ending::Csv => Self::Csv(Box::new(CsvWriter::new(out))),
            Ending::Parquet => Self::Parquet(None, Some(out)),
        }
    }

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

/// The rows with payloads as text: base64 if they are not UTF-8, which a column says.
fn legible(rows: &RecordBatch) -> RecordBatch {
    let (mut texts, mut encodings) = (StringBuilder::new(), StringBuilder::new());
    for row in QuarantineRow::all(rows) {
        match row.payload().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => {
                texts.append_null();
                encodings.append_null();
            }
            Some((_, Ok(text))) => {
                texts.append_value(text);
                encodings.append_value("utf8");
            }
            Some((bytes, Err(_))) => {
                texts.append_value(STANDARD.encode(bytes));
                encodings.append_value("base64");
            }
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
