//! One data file, from its first row to its `add` action.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use chrono::Utc;
use deltalake::kernel::Add;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use tokio::runtime::Handle;

use super::encoding::Encodings;
use super::error::LakeError;
use super::location::Location;
use super::partition;
use super::sink::Sink;
use super::stats;

/// Where data files of one table go and how they are made.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) location: Location,
    pub(super) runtime: Handle,
    pub(super) encodings: Encodings,
    pub(super) partition_by: Arc<[String]>,
}

/// A complete data file that no commit names yet.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) add: Add,
}

/// A data file that rows are still added to.
pub(super) struct DataFile {
    path: String,
    partition: Vec<Option<String>>,
    schema: SchemaRef,
    with_nan: Vec<bool>,
    target: Target,
    /// Taken when the file is finished; what is left is removed.
    writer: Option<ArrowWriter<Sink>>,
}

impl DataFile {
    /// A file for rows of `schema`, which has no partition columns; `sample` shows what they are like.
    pub(super) fn create(
        target: &Target,
        schema: SchemaRef,
        partition: Vec<Option<String>>,
        sample: &[RecordBatch],
    ) -> Result<Self, LakeError> {
        let names = target
            .partition_by
            .iter()
            .map(String::as_str)
            .zip(partition.iter().map(Option::as_deref));
        let folder = partition::folder(names);
        let name = format!("part-{:032x}.parquet", rand::random::<u128>());
        let path = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        let sink = Sink::create(&target.location, &path, &target.runtime)?;
        let properties = target.encodings.properties(&schema, sample);
        // The log holds the schema; a copy of Arrow's in every file would only cost space.
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&schema), options)
            .map_err(LakeError::parquet("begin", &path))?;
        let with_nan = vec![false; schema.fields().len()];
        Ok(Self {
            path,
            partition,
            schema,
            with_nan,
            target: target.clone(),
            writer: Some(writer),
        })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        for (column, with_nan) in rows.columns().iter().zip(&mut self.with_nan) {
            *with_nan = *with_nan
                || match column.data_type() {
                    DataType::Float32 => column
                        .as_primitive::<Float32Type>()
                        .values()
                        .iter()
                        .any(|v| v.is_nan()),
                    DataType::Float64 => column
                        .as_primitive::<Float64Type>()
                        .values()
                        .iter()
                        .any(|v| v.is_nan()),
                    _ => false,
                };
        }
        if let Some(writer) = &mut self.writer {
            writer
                .write(rows)
                .map_err(LakeError::parquet("write to", &self.path))?;
        }
        Ok(())
    }

    /// Ends the row group, so that the file holds no rows in memory.
    pub(super) fn flush(&mut self) -> Result<(), LakeError> {
        match &mut self.writer {
            Some(writer) => writer
                .flush()
                .map_err(LakeError::parquet("write to", &self.path)),
            None => Ok(()),
        }
    }

    /// Bytes in the file, with those that are still in memory.
    pub(super) fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| {
            writer.bytes_written() + writer.in_progress_size()
        })
    }

    /// Bytes in memory.
    pub(super) fn bytes_buffered(&self) -> usize {
        self.writer.as_ref().map_or(0, ArrowWriter::memory_size)
    }

    /// Completes the file. On a local disk it is flushed before this returns.
    pub(super) fn finish(mut self) -> Result<Written, LakeError> {
        let finished = self.complete();
        if finished.is_err() {
            self.remove();
        }
        finished
    }

    fn complete(&mut self) -> Result<Written, LakeError> {
        let Some(mut writer) = self.writer.take() else {
            return Err(LakeError::NotCreated {
                table: self.path.clone(),
            });
        };
        let footer = writer
            .finish()
            .map_err(LakeError::parquet("finish", &self.path))?;
        let size = writer.bytes_written();
        // Taking the sink out of the writer would write a second footer.
        writer.inner_mut().finish()?;
        let add = Add {
            path: self.path.clone(),
            partition_values: partition::map(&self.target.partition_by, &self.partition),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(stats::of_file(&self.schema, &footer, &self.with_nan)),
            ..Add::default()
        };
        Ok(Written { add })
    }

    fn remove(&self) {
        if let Some(folder) = &self.target.location.folder {
            // An upload that was not completed does not exist; a file does.
            let _ = std::fs::remove_file(folder.join(&self.path));
        }
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.inner_mut().cancel();
            drop(writer);
            self.remove();
        }
    }
}
