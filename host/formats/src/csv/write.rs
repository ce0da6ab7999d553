//! Writes rows as delimited text (RFC 4180).

use std::io::Write;

use arrow_array::RecordBatch;

use crate::FormatError;

/// Writes batches of one schema as CSV: a header first, line feeds after records, quotes
/// only where they are needed, nothing for null.
pub struct CsvWriter<W: Write> {
    inner: arrow_csv::Writer<W>,
}

impl<W: Write> CsvWriter<W> {
    /// A writer to `output`, which should be buffered.
    pub fn new(output: W) -> Self {
        let builder = arrow_csv::WriterBuilder::new().with_header(true).with_date_format("%Y-%m-%d".to_owned());
        Self { inner: builder.build(output) }
    }

    /// Writes the rows of one batch.
    ///
    /// # Errors
    /// Writing fails, or a column is nested.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FormatError> {
        self.inner.write(rows).map_err(|error| match error {
            arrow_schema::ArrowError::IoError(_, source) => FormatError::Write(source),
            error => FormatError::Write(std::io::Error::other(error)),
        })
    }

    /// The output, with everything written.
    pub fn into_inner(self) -> W {
        self.inner.into_inner()
    }
}
