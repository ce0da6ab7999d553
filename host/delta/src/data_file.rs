//! One data file, from its first row to its `add` action.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use chrono::Utc;
use deltalake::kernel::Add;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use tokio::runtime::Handle;

use crate::error::DeltaError;
use crate::partition;
use crate::sort::Order;
use crate::stats;
use sluicebox_core::plan::Layout;
use sluicebox_parquet_writer::{Encodings, FileWriter, has_nan};
use sluicebox_stores::Location;
use sluicebox_stores::Upload;

/// Bytes of rows of one commit that are kept in memory for followers of the table.
const KEPT_BYTES: usize = 64 << 20;

/// Where and how data files of one table are written.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) location: Location,
    pub(crate) runtime: Handle,
    pub(crate) encodings: Encodings,
    pub(crate) partition_by: Arc<[String]>,
    pub(crate) layout: Arc<Layout>,
    /// The order of the rows.
    pub(crate) order: Arc<Order>,
    /// The columns that get bounds first.
    pub(crate) telling: Arc<[String]>,
    /// A subfolder for files that are not data files of the table.
    pub(crate) below: Option<&'static str>,
    /// Rows are also kept in memory, while there is room.
    pub(crate) keeping: Option<Keeping>,
}

/// The memory for kept rows, shared by all files of one commit.
#[derive(Clone, Debug)]
pub(crate) struct Keeping(Arc<AtomicUsize>);

impl Default for Keeping {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(KEPT_BYTES)))
    }
}

impl Keeping {
    /// Reserves memory, if there is enough.
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// A complete data file that no commit names yet.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) add: Add,
    /// Its rows in file order, if they were kept in memory.
    pub(crate) kept: Option<Vec<RecordBatch>>,
}

/// An open data file.
pub(crate) struct DataFile {
    path: String,
    partition: Vec<Option<String>>,
    schema: SchemaRef,
    with_nan: Vec<bool>,
    indexed: Vec<bool>,
    target: Target,
    kept: Option<Vec<RecordBatch>>,
    /// `None` once the file is finished; an unfinished file is removed.
    writer: Option<FileWriter<Upload>>,
}

impl DataFile {
    /// A file for rows of `schema`, which has no partition columns; `sample` is for choosing encodings.
    pub(crate) fn create(
        target: &Target,
        schema: SchemaRef,
        partition: Vec<Option<String>>,
        sample: &[RecordBatch],
    ) -> Result<Self, DeltaError> {
        let names = target.partition_by.iter().map(String::as_str).zip(partition.iter().map(Option::as_deref));
        let folder = partition::folder(names);
        let name = format!("part-{:032x}.parquet", rand::random::<u128>());
        let parts = [target.below.unwrap_or_default(), &folder, &name];
        let path = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let sink = Upload::create(&target.location, &path, &target.runtime)?;
        let indexed = stats::indexed(&schema, &target.telling);
        let (properties, choices) = target.encodings.properties(&schema, &indexed, sample);
        let writer = FileWriter::new(sink, Arc::clone(&schema), properties, choices, indexed.clone())
            .map_err(DeltaError::parquet("begin", &path))?;
        let with_nan = vec![false; schema.fields().len()];
        let kept = target.keeping.is_some().then(Vec::new);
        Ok(Self { path, partition, schema, with_nan, indexed, target: target.clone(), kept, writer: Some(writer) })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        for (column, with_nan) in rows.columns().iter().zip(&mut self.with_nan) {
            *with_nan = *with_nan || has_nan(column);
        }
        if let (Some(keeping), Some(kept)) = (&self.target.keeping, &mut self.kept) {
            if keeping.take(rows.get_array_memory_size()) {
                kept.push(rows.clone());
            } else {
                self.kept = None;
            }
        }
        if let Some(writer) = &mut self.writer {
            let given_up = writer.write(rows).map_err(DeltaError::parquet("write to", &self.path))?;
            self.give_up(&given_up);
        }
        Ok(())
    }

    /// Splices a row group of another file as encoded bytes, which `reader` has.
    pub(crate) fn splice(
        &mut self,
        reader: &impl ChunkReader,
        footer: &ParquetMetaData,
        group: usize,
    ) -> Result<(), DeltaError> {
        self.distrust(footer);
        match &mut self.writer {
            Some(writer) => {
                writer.splice(reader, footer.row_group(group)).map_err(DeltaError::parquet("write to", &self.path))
            }
            None => Ok(()),
        }
    }

    /// As [`Self::splice`], with new values of some columns, as many as before.
    pub(crate) fn patch(
        &mut self,
        reader: &impl ChunkReader,
        footer: &ParquetMetaData,
        group: usize,
        columns: &[Option<Vec<ArrayRef>>],
    ) -> Result<(), DeltaError> {
        self.distrust(footer);
        for (values, with_nan) in columns.iter().zip(&mut self.with_nan) {
            *with_nan = *with_nan || values.iter().flatten().any(has_nan);
        }
        match &mut self.writer {
            Some(writer) => writer
                .patch(reader, footer.row_group(group), columns)
                .map_err(DeltaError::parquet("write to", &self.path)),
            None => Ok(()),
        }
    }

    /// Our files have no bounds for a column with a NaN; other writers' files may not tell that there is one.
    fn distrust(&mut self, footer: &ParquetMetaData) {
        let ours = footer.file_metadata().created_by().is_some_and(|maker| maker.starts_with("sluicebox"));
        for (field, with_nan) in self.schema.fields().iter().zip(&mut self.with_nan) {
            *with_nan = *with_nan || (!ours && field.data_type().is_floating());
        }
    }

    fn give_up(&self, columns: &[usize]) {
        for column in columns {
            self.target.encodings.give_up(self.schema.field(*column).name());
        }
    }

    /// Ends the row group, so that no rows of the file are in memory.
    pub(crate) fn flush(&mut self) -> Result<(), DeltaError> {
        if let Some(writer) = &mut self.writer {
            let given_up = writer.flush().map_err(DeltaError::parquet("write to", &self.path))?;
            self.give_up(&given_up);
        }
        Ok(())
    }

    /// Bytes in the file so far, without those in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, FileWriter::bytes_written)
    }

    /// Rows of the open row group.
    pub(crate) fn rows_buffered(&self) -> usize {
        self.writer.as_ref().map_or(0, FileWriter::rows_buffered)
    }

    /// Bytes in memory.
    pub(crate) fn bytes_buffered(&self) -> usize {
        self.writer.as_ref().map_or(0, FileWriter::bytes_buffered)
    }

    /// Completes the file. On a local disk it is synced before this returns.
    pub(crate) fn finish(mut self) -> Result<Written, DeltaError> {
        let finished = self.complete();
        if finished.is_err() {
            self.remove();
        }
        finished
    }

    fn complete(&mut self) -> Result<Written, DeltaError> {
        let Some(mut writer) = self.writer.take() else {
            return Err(DeltaError::NotCreated { table: self.path.clone() });
        };
        let footer = writer.finish().map_err(DeltaError::parquet("finish", &self.path))?;
        let size = writer.bytes_written();
        writer.sink_mut().finish()?;
        let add = Add {
            path: self.path.clone(),
            partition_values: partition::map(&self.target.partition_by, &self.partition),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(stats::of_file(&self.schema, &footer, &self.with_nan, &self.indexed)),
            ..Add::default()
        };
        Ok(Written { add, kept: self.kept.take() })
    }

    fn remove(&self) {
        if let Some(folder) = &self.target.location.folder {
            // An upload that was not completed does not exist, but a local file does.
            let _ = std::fs::remove_file(folder.join(&self.path));
        }
    }
}

impl Drop for DataFile {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.sink_mut().cancel();
            drop(writer);
            self.remove();
        }
    }
}
