//! The data files of one commit: rows in, by partition, complete files out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{Schema, SchemaRef};

use super::data_file::{DataFile, Target, Written};
use super::error::DeltaError;
use super::handles;
use super::partition;
use super::read::BATCH_ROWS;
use super::schema::find;
use super::sort::{self, Order};
use sluicebox_parquet_writer::ROW_GROUP_ROWS;
use sluicebox_stores::discard;

/// Rows of partitions that wait for their row group, over all partitions.
const PENDING_BYTES: usize = 32 << 20;
/// Partitions that are remembered; of more, those without rows in memory are forgotten.
const KNOWN_PARTS: usize = 16 << 10;

/// Writes rows of a table's schema to data files.
pub(super) struct PartitionedWriter {
    target: Target,
    /// Where the partition columns are, and the schema without them.
    partition_columns: Vec<usize>,
    data_columns: Vec<usize>,
    data_schema: SchemaRef,
    converter: Option<RowConverter>,
    by_key: HashMap<Vec<u8>, usize>,
    parts: Vec<Part>,
    /// Files that may be open, and that are.
    most_open: usize,
    open: usize,
    pending_bytes: usize,
    clock: u64,
    done: Vec<Written>,
}

/// The rows of one partition.
struct Part {
    values: Vec<Option<String>>,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    pending_bytes: usize,
    file: Option<DataFile>,
    used: u64,
}

impl PartitionedWriter {
    /// Files for rows of `schema`, which has the partition columns too.
    pub(super) fn new(target: Target, schema: &SchemaRef) -> Result<Self, DeltaError> {
        let mut files = Self {
            target,
            partition_columns: Vec::new(),
            data_columns: Vec::new(),
            data_schema: Arc::new(Schema::empty()),
            converter: None,
            by_key: HashMap::new(),
            parts: Vec::new(),
            most_open: handles::open_files(),
            open: 0,
            pending_bytes: 0,
            clock: 0,
            done: Vec::new(),
        };
        files.shape(schema)?;
        Ok(files)
    }

    fn shape(&mut self, schema: &SchemaRef) -> Result<(), DeltaError> {
        let table = &self.target.location.name;
        let mut partition_columns = Vec::with_capacity(self.target.partition_by.len());
        for column in self.target.partition_by.iter() {
            let index = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
                table: table.clone(),
                column: column.clone(),
                role: "partition_by",
            })?;
            partition_columns.push(index);
        }
        let data_columns: Vec<usize> =
            (0..schema.fields().len()).filter(|index| !partition_columns.contains(index)).collect();
        let failed = || DeltaError::arrow("arrange columns", table);
        self.data_schema = Arc::new(schema.project(&data_columns).map_err(failed())?);
        if !partition_columns.is_empty() {
            let fields = partition_columns
                .iter()
                .map(|index| SortField::new(schema.field(*index).data_type().clone()))
                .collect();
            self.converter = Some(RowConverter::new(fields).map_err(failed())?);
        }
        self.partition_columns = partition_columns;
        self.data_columns = data_columns;
        Ok(())
    }

    /// From now on the rows have `schema`: files begun with another one are completed.
    pub(super) fn evolve(&mut self, schema: &SchemaRef) -> Result<(), DeltaError> {
        for index in 0..self.parts.len() {
            self.drain(index, false)?;
            self.complete(index)?;
        }
        self.by_key.clear();
        self.parts.clear();
        self.shape(schema)
    }

    /// Adds rows of the table's schema, partition columns included.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if self.parts.len() > KNOWN_PARTS {
            self.forget_idle();
        }
        let failed = || DeltaError::arrow("split rows by partition", &self.target.location.name);
        let Some(converter) = &self.converter else {
            let part = self.part(&[], rows)?;
            return self.push(part, rows.clone());
        };
        let keys: Vec<ArrayRef> = self.partition_columns.iter().map(|index| Arc::clone(rows.column(*index))).collect();
        let keys = converter.convert_columns(&keys).map_err(failed())?;
        let data = rows.project(&self.data_columns).map_err(failed())?;
        // Neighbouring rows mostly share a partition, so a run is looked up once.
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut group_of: HashMap<&[u8], usize> = HashMap::new();
        let mut last: Option<(&[u8], usize)> = None;
        let owned: Vec<_> = keys.iter().collect();
        for (row, key) in owned.iter().enumerate() {
            let key = key.as_ref();
            let group = match last {
                Some((same, group)) if same == key => group,
                _ => *group_of.entry(key).or_insert_with(|| {
                    groups.push((row, Vec::new()));
                    groups.len() - 1
                }),
            };
            last = Some((key, group));
            // A batch has fewer than 2^32 rows: Arrow's own offsets end at 2^31.
            groups[group].1.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        let whole = groups.len() == 1;
        for (first, indexes) in groups {
            let part = self.part_of(owned[first].as_ref(), rows, first)?;
            let chosen = if whole {
                data.clone()
            } else {
                let failed = DeltaError::arrow("split rows by partition", &self.target.location.name);
                arrow_select::take::take_record_batch(&data, &UInt32Array::from(indexes)).map_err(failed)?
            };
            self.push(part, chosen)?;
        }
        Ok(())
    }

    fn part(&mut self, key: &[u8], rows: &RecordBatch) -> Result<usize, DeltaError> {
        self.part_of(key, rows, 0)
    }

    fn part_of(&mut self, key: &[u8], rows: &RecordBatch, row: usize) -> Result<usize, DeltaError> {
        if let Some(part) = self.by_key.get(key) {
            return Ok(*part);
        }
        let values: Vec<Option<String>> =
            self.partition_columns.iter().map(|index| partition::value(rows.column(*index), row)).collect();
        self.parts.push(Part { values, pending: Vec::new(), pending_rows: 0, pending_bytes: 0, file: None, used: 0 });
        self.by_key.insert(key.to_vec(), self.parts.len() - 1);
        Ok(self.parts.len() - 1)
    }

    /// Forgets the partitions that have no rows in memory and no open file.
    fn forget_idle(&mut self) {
        let is_idle = |part: &Part| part.file.is_none() && part.pending.is_empty();
        let mut left = 0;
        let places: Vec<Option<usize>> = self
            .parts
            .iter()
            .map(|part| {
                (!is_idle(part)).then(|| {
                    left += 1;
                    left - 1
                })
            })
            .collect();
        self.parts.retain(|part| !is_idle(part));
        self.by_key.retain(|_, part| match places.get(*part).copied().flatten() {
            Some(place) => {
                *part = place;
                true
            }
            None => false,
        });
    }

    fn push(&mut self, index: usize, rows: RecordBatch) -> Result<(), DeltaError> {
        if *self.target.order != Order::Arrival {
            return self.push_to_sort(index, rows);
        }
        let alone = self.parts.len() == 1;
        let known = self.target.encodings.knows(&self.data_schema);
        let part = &mut self.parts[index];
        if alone && known && part.pending.is_empty() {
            // The usual case: nothing to learn and nothing to sort, so nothing is held back.
            return self.append(index, &[rows]);
        }
        let bytes = rows.get_array_memory_size();
        part.pending_rows += rows.num_rows();
        part.pending_bytes += bytes;
        part.pending.push(rows);
        self.pending_bytes += bytes;
        if self.parts[index].pending_rows >= ROW_GROUP_ROWS {
            self.drain(index, !alone)?;
        }
        if self.pending_bytes > PENDING_BYTES {
            self.relieve()?;
        }
        Ok(())
    }

    /// Holds rows back until they can be sorted: all of the commit, or as many as the table's memory
    /// takes. Then the fullest partition is sorted and written, and what comes later is sorted by itself.
    fn push_to_sort(&mut self, index: usize, rows: RecordBatch) -> Result<(), DeltaError> {
        // Dictionaries and plain text of one column cannot be merged.
        let other = self.parts[index].pending.first().is_some_and(|first| first.schema_ref() != rows.schema_ref());
        if other {
            self.drain(index, true)?;
        }
        let bytes = rows.get_array_memory_size();
        let part = &mut self.parts[index];
        part.pending_rows += rows.num_rows();
        part.pending_bytes += bytes;
        part.pending.push(rows);
        self.pending_bytes += bytes;
        // What is sorted takes about as much again: its keys, its order, and the file in the making.
        let most = usize::try_from(self.target.layout.memory / 2).unwrap_or(usize::MAX);
        while self.pending_bytes > most {
            let fullest = (0..self.parts.len()).max_by_key(|index| self.parts[*index].pending_bytes);
            match fullest {
                Some(fullest) => self.drain(fullest, true)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Writes the fullest partitions until half of the budget is free again.
    fn relieve(&mut self) -> Result<(), DeltaError> {
        let mut fullest: Vec<usize> = (0..self.parts.len()).collect();
        fullest.sort_by_key(|index| std::cmp::Reverse(self.parts[*index].pending_bytes));
        let alone = self.parts.len() == 1;
        for index in fullest {
            if self.pending_bytes <= PENDING_BYTES / 2 {
                break;
            }
            self.drain(index, !alone)?;
        }
        Ok(())
    }

    /// Writes what waits in one partition; `flush` ends its row group, so that nothing stays in memory.
    fn drain(&mut self, index: usize, flush: bool) -> Result<(), DeltaError> {
        let part = &mut self.parts[index];
        if part.pending.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut part.pending);
        self.pending_bytes -= std::mem::take(&mut part.pending_bytes);
        part.pending_rows = 0;
        if *self.target.order == Order::Arrival {
            self.append(index, &rows)?;
        } else {
            self.append_sorted(index, rows)?;
        }
        match &mut self.parts[index].file {
            Some(file) if flush => file.flush(),
            _ => Ok(()),
        }
    }

    fn append_sorted(&mut self, index: usize, rows: Vec<RecordBatch>) -> Result<(), DeltaError> {
        let table = self.target.location.name.clone();
        let failed = || DeltaError::arrow("sort rows", &table);
        let mut pieces = sort::sorted(rows, &self.target.order).map_err(failed())?;
        loop {
            // A row group at a time, so that a new file has seen enough to choose its encodings.
            let group: Vec<RecordBatch> =
                pieces.by_ref().take(ROW_GROUP_ROWS / BATCH_ROWS).collect::<Result<_, _>>().map_err(failed())?;
            if group.is_empty() {
                return Ok(());
            }
            self.append(index, &group)?;
        }
    }

    fn append(&mut self, index: usize, rows: &[RecordBatch]) -> Result<(), DeltaError> {
        if self.parts[index].file.is_none() {
            let file = self.create(index, rows)?;
            self.parts[index].file = Some(file);
            self.open += 1;
        }
        self.clock += 1;
        let part = &mut self.parts[index];
        part.used = self.clock;
        let mut full = false;
        if let Some(file) = &mut part.file {
            for rows in rows {
                file.write(rows)?;
            }
            full = file.bytes() as u64 >= self.target.layout.file_bytes;
        }
        if full { self.complete(index) } else { Ok(()) }
    }

    /// A new file for a partition. Where the process may open no more, those that are open make room.
    fn create(&mut self, index: usize, rows: &[RecordBatch]) -> Result<DataFile, DeltaError> {
        while self.open >= self.most_open {
            self.complete_idlest()?;
        }
        loop {
            let values = self.parts[index].values.clone();
            match DataFile::create(&self.target, Arc::clone(&self.data_schema), values, rows) {
                Err(error) if error.is_out_of_handles() && self.open > 0 => {
                    self.most_open = self.open;
                    self.complete_idlest()?;
                }
                other => return other,
            }
        }
    }

    /// Completes the open file that was idle for longest.
    fn complete_idlest(&mut self) -> Result<(), DeltaError> {
        let open = (0..self.parts.len()).filter(|index| self.parts[*index].file.is_some());
        match open.min_by_key(|index| self.parts[*index].used) {
            Some(index) => self.complete(index),
            None => Ok(()),
        }
    }

    fn complete(&mut self, index: usize) -> Result<(), DeltaError> {
        if let Some(file) = self.parts[index].file.take() {
            self.open -= 1;
            self.done.push(file.finish()?);
        }
        Ok(())
    }

    /// Bytes of rows and encoded pages in memory.
    pub(super) fn bytes_buffered(&self) -> usize {
        let open: usize = self.parts.iter().filter_map(|part| part.file.as_ref()).map(DataFile::bytes_buffered).sum();
        open + self.pending_bytes
    }

    /// Completes every file; if that fails, none stays behind.
    pub(super) fn finish(mut self) -> Result<Vec<Written>, DeltaError> {
        for index in 0..self.parts.len() {
            if let Err(error) = self.drain(index, false).and_then(|()| self.complete(index)) {
                let Target { location, runtime, .. } = &self.target;
                runtime.block_on(discard(location, self.complete_paths()));
                return Err(error);
            }
        }
        Ok(std::mem::take(&mut self.done))
    }

    /// The files that are already complete, so that they can be removed.
    pub(super) fn complete_paths(&self) -> Vec<String> {
        self.done.iter().map(|written| written.add.path.clone()).collect()
    }
}
