//! A data file of the table, read by row group and column.

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use roaring::RoaringTreemap;
use tokio::runtime::Handle;

use crate::error::DeltaError;
use crate::object::Object;
use crate::read::{Arrangement, BATCH_ROWS, DataRef, ReadContext, of_rows, path_of};
use crate::schema::find;
use crate::vectors;

/// An open data file. Reading blocks.
pub(super) struct OpenFile<'a> {
    context: &'a ReadContext,
    file: &'a DataRef,
    runtime: &'a Handle,
    path: Path,
    name: String,
    metadata: ArrowReaderMetadata,
    /// The same, with all text as Arrow dictionaries.
    keyed: OnceLock<ArrowReaderMetadata>,
    deleted: Option<Arc<RoaringTreemap>>,
}

impl<'a> OpenFile<'a> {
    /// Reads the file's footer, and its deletion vector unless `marked` is given.
    pub(super) fn open(
        context: &'a ReadContext,
        file: &'a DataRef,
        runtime: &'a Handle,
        marked: Option<&Arc<RoaringTreemap>>,
    ) -> Result<Self, DeltaError> {
        let name = format!("{}/{}", context.table, file.path);
        let path = path_of(context, file)?;
        let failed = || DeltaError::parquet("read", &name);
        // The table's schema is used, and not an Arrow schema that another writer put into the file. The page
        // encoding statistics of a column chunk are copied with it, which a mask of them could not be.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_encoding_stats_as_mask(false);
        let mut object = Object { store: Arc::clone(&context.store), path: path.clone(), size: file.size };
        let footer = runtime.block_on(object.get_metadata(Some(&options))).map_err(failed())?;
        let metadata = ArrowReaderMetadata::try_new(footer, options).map_err(failed())?;
        let deleted = match (marked, &file.vector) {
            (Some(marked), _) => Some(Arc::clone(marked)),
            (None, Some(vector)) => Some(Arc::new(runtime.block_on(vectors::load(context, &file.path, vector))?)),
            (None, None) => None,
        };
        Ok(Self { context, file, runtime, path, name, metadata, keyed: OnceLock::new(), deleted })
    }

    pub(super) fn file(&self) -> &DataRef {
        self.file
    }

    /// The file's footer.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// The number of rows of a row group.
    pub(super) fn rows(&self, group: usize) -> usize {
        // Counts in a footer are never negative.
        usize::try_from(self.footer().row_group(group).num_rows()).unwrap_or(0)
    }

    /// The number of a row group's first row in the file.
    pub(super) fn first(&self, group: usize) -> u64 {
        (0..group).map(|group| self.rows(group) as u64).sum()
    }

    /// The deletion vector.
    pub(super) fn deleted(&self) -> Option<&RoaringTreemap> {
        self.deleted.as_deref()
    }

    /// Whether no row of a row group is deleted.
    pub(super) fn is_whole(&self, group: usize) -> bool {
        let first = self.first(group);
        self.deleted().is_none_or(|deleted| deleted.range_cardinality(first..first + self.rows(group) as u64) == 0)
    }

    /// The rows that are not deleted; the first one is row `first` of the file.
    pub(super) fn live(&self, rows: RecordBatch, first: u64) -> Result<RecordBatch, DeltaError> {
        match self.deleted() {
            None => Ok(rows),
            Some(deleted) => of_rows(&rows, |row| !deleted.contains(first + row))
                .map_err(DeltaError::arrow("read rows", &self.context.table)),
        }
    }

    /// The rows of a row group with the columns of `schema`, in batches, including deleted ones.
    pub(super) fn read(&self, group: usize, schema: &SchemaRef) -> Result<Rows, DeltaError> {
        self.read_some(group, schema, None)
    }

    /// As [`Self::read`], but only rows of the group that are selected.
    pub(super) fn read_some(
        &self,
        group: usize,
        schema: &SchemaRef,
        selection: Option<RowSelection>,
    ) -> Result<Rows, DeltaError> {
        self.read_as(&self.metadata, group, schema, selection)
    }

    /// A text column of a row group as Arrow dictionaries, so that it can be written again without a lookup per row;
    /// `None` if the file does not have each text once.
    pub(super) fn read_keyed(&self, group: usize, field: &Field) -> Result<Option<Rows>, DeltaError> {
        let stored = self.metadata.schema();
        let text = find(stored, field.name())
            .filter(|root| [stored.field(*root).data_type(), field.data_type()] == [&DataType::Utf8; 2]);
        let columns = self.metadata.parquet_schema();
        let leaf = (0..columns.num_columns()).find(|leaf| Some(columns.get_column_root_idx(*leaf)) == text);
        let Some(pages) = leaf.and_then(|leaf| self.footer().row_group(group).column(leaf).page_encoding_stats())
        else {
            return Ok(None);
        };
        let mut pages = pages.iter().filter(|pages| pages.page_type != PageType::DICTIONARY_PAGE);
        if !pages.all(|pages| matches!(pages.encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY)) {
            return Ok(None);
        }
        let metadata = match self.keyed.get() {
            Some(metadata) => metadata,
            None => {
                let fields = stored.fields().iter().map(|field| match field.data_type() {
                    DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(keyed_text())),
                    _ => Arc::clone(field),
                });
                let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields.collect::<Fields>())));
                let metadata = ArrowReaderMetadata::try_new(Arc::clone(self.metadata.metadata()), options);
                let metadata = metadata.map_err(DeltaError::parquet("read", &self.name))?;
                self.keyed.get_or_init(|| metadata)
            }
        };
        let schema = Arc::new(Schema::new(vec![field.clone().with_data_type(keyed_text())]));
        self.read_as(metadata, group, &schema, None).map(Some)
    }

    fn read_as(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        schema: &SchemaRef,
        selection: Option<RowSelection>,
    ) -> Result<Rows, DeltaError> {
        let failed = || DeltaError::parquet("read", &self.name);
        let stored = metadata.schema();
        let arrangement =
            Arrangement::new(&self.context.partition_by, &self.file.partition, stored, schema, &self.name)?;
        let columns = metadata.parquet_schema();
        let mask = ProjectionMask::roots(columns, arrangement.wanted(stored));
        let ranges: Vec<Range<u64>> = (0..columns.num_columns())
            .filter(|leaf| mask.leaf_included(*leaf))
            .map(|leaf| self.range(group, leaf))
            .collect();
        let fetched = self.fetch(&ranges)?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetched, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let batches = builder.build().map_err(failed())?;
        Ok(Rows { batches, arrangement, table: self.context.table.clone() })
    }

    /// The byte range of a column chunk in the file.
    pub(super) fn range(&self, group: usize, leaf: usize) -> Range<u64> {
        let (start, length) = self.footer().row_group(group).column(leaf).byte_range();
        start..start + length
    }

    /// Reads byte ranges of the file.
    pub(super) fn fetch(&self, ranges: &[Range<u64>]) -> Result<Fetched, DeltaError> {
        let store = &self.context.store;
        let bytes = self
            .runtime
            .block_on(store.get_ranges(&self.path, ranges))
            .map_err(DeltaError::store("read data file", &self.name))?;
        let parts = ranges.iter().map(|range| range.start).zip(bytes).collect();
        Ok(Fetched { parts, size: self.file.size })
    }
}

fn keyed_text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Rows of one row group, with the table's columns.
pub(super) struct Rows {
    batches: ParquetRecordBatchReader,
    arrangement: Arrangement,
    table: String,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, DeltaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.batches.next()?;
        let shaped = rows.and_then(|rows| self.arrangement.apply(&rows));
        Some(shaped.map_err(DeltaError::arrow("read rows", &self.table)))
    }
}

/// Parts of a file in memory.
#[derive(Clone)]
pub(super) struct Fetched {
    /// Each with its offset in the file.
    parts: Arc<[(u64, Bytes)]>,
    size: u64,
}

impl Fetched {
    /// The fetched bytes from `start` on.
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let found = self.parts.iter().find_map(|(at, bytes)| {
            let skip = usize::try_from(start.checked_sub(*at)?).ok()?;
            (skip < bytes.len()).then(|| bytes.slice(skip..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("byte {start} was not fetched")))
    }
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Fetched {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(Box::new(self.from(start)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF(format!("{length} bytes from byte {start} on were not fetched"))),
        }
    }
}
