//! Writes rows to a Parquet file, for exports.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::FormatError;

/// Writes batches of one schema as Parquet, compressed with zstd.
pub struct ParquetWriter<W: Write + Send> {
    inner: ArrowWriter<W>,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A writer to `output`, which should be buffered.
    ///
    /// # Errors
    /// A column has a type that Parquet lacks.
    pub fn new(output: W, schema: &SchemaRef) -> Result<Self, FormatError> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let inner = ArrowWriter::try_new(output, schema.clone(), Some(properties)).map_err(failed)?;
        Ok(Self { inner })
    }

    /// Writes the rows of one batch.
    ///
    /// # Errors
    /// Writing fails.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FormatError> {
        self.inner.write(rows).map_err(failed)
    }

    /// Completes the file and returns the output.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(self) -> Result<W, FormatError> {
        self.inner.into_inner().map_err(failed)
    }
}

fn failed(error: parquet::errors::ParquetError) -> FormatError {
    FormatError::Write(std::io::Error::other(error))
}
