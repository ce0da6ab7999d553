//! The rows of one upsert as they arrive, and in passes that fit in memory.
//!
//! Rows beyond a share of the budget are set aside on the local disk, sorted into buckets by the
//! hash of their key. A pass is some buckets: all rows of a key are in the same one.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, RecordBatch, UInt32Array, new_empty_array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use hashbrown::DefaultHashBuilder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::accumulate::Sums;
use super::keys::Keys;
use super::order::{Order, Orders};
use super::pass::{Measure, Pass};
use crate::error::DeltaError;
use crate::read::to_schema;
use crate::row_changes;
use crate::schema::find;

/// Buckets that rows are sorted into when they are set aside.
const BUCKETS: usize = 64;
/// The column that says of a row that it deletes, and how: no table can have one of that name.
const GONE: &str = "is gone";
/// The row itself is there no more.
const TAKEN: i8 = 1;
/// Whatever has its key is there no more.
const DELETED: i8 = 2;
/// Set-aside rows, in messages.
const ASIDE: &str = "rows set aside on the local disk";

/// How rows of one key become one.
pub(crate) enum Fold {
    /// The newest stays.
    Newest {
        /// The columns that name a row.
        key: Vec<String>,
        /// The column that says which is newer; without it, the later one.
        order_by: Option<String>,
    },
    /// They are added up.
    Sum(Sums),
}

/// Rows by arrival.
pub(crate) struct Source {
    table: String,
    schema: SchemaRef,
    fold: Fold,
    /// Bytes of rows that are held at most; two copies of them exist for a moment.
    most: usize,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    aside: Vec<Aside>,
    hasher: DefaultHashBuilder,
}

/// Rows on the local disk, in a file without a name: a row group or more for each bucket.
struct Aside {
    file: File,
    /// By bucket: its row groups, and how many bytes they had in memory.
    buckets: Vec<(Vec<usize>, usize)>,
}

impl Source {
    /// No rows yet. `memory` is the budget in bytes of the whole upsert.
    pub(crate) fn new(table: &str, schema: &SchemaRef, fold: Fold, memory: u64) -> Result<Self, DeltaError> {
        let source = Self {
            table: table.to_owned(),
            schema: Arc::clone(schema),
            fold,
            most: usize::try_from(memory / 6).unwrap_or(usize::MAX),
            held: Vec::new(),
            held_bytes: 0,
            aside: Vec::new(),
            hasher: DefaultHashBuilder::default(),
        };
        // Says now what is wrong with the names.
        source.keys(schema)?;
        source.order(schema)?;
        Ok(source)
    }

    pub(super) fn key(&self) -> &[String] {
        match &self.fold {
            Fold::Newest { key, .. } => key,
            Fold::Sum(sums) => &sums.key,
        }
    }

    fn keys(&self, schema: &Schema) -> Result<Keys, DeltaError> {
        Keys::new(&self.table, schema, self.key(), "key")
    }

    fn order(&self, schema: &Schema) -> Result<Option<(usize, Order)>, DeltaError> {
        let Fold::Newest { order_by: Some(column), .. } = &self.fold else {
            return Ok(None);
        };
        let index = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
            table: self.table.clone(),
            column: column.clone(),
            role: "order_by",
        })?;
        let order = Order::new(schema.field(index).data_type());
        Ok(Some((index, order.map_err(DeltaError::arrow("compare rows", &self.table))?)))
    }

    /// Adds rows of the table's schema, or of what is summed up; those of a negative weight delete.
    /// `counts` are how many rows each stands for, where they were added up before.
    pub(crate) fn write(
        &mut self,
        rows: &RecordBatch,
        weights: Option<&Int64Array>,
        counts: Option<&Int64Array>,
    ) -> Result<(), DeltaError> {
        let rows = match &self.fold {
            Fold::Sum(sums) => sums.of_rows(rows, weights, counts, &self.schema)?,
            Fold::Newest { .. } => match weights {
                None => rows.clone(),
                Some(weights) => {
                    with_gone(rows, weights).map_err(DeltaError::arrow("mark deleted rows", &self.table))?
                }
            },
        };
        self.held_bytes += rows.get_array_memory_size();
        self.held.push(rows);
        if self.held_bytes <= self.most {
            return Ok(());
        }
        if let Fold::Sum(sums) = &self.fold {
            // Groups repeat from batch to batch, so this is often all that is needed.
            let (_, together) = sums.of_sums(&self.held, &self.schema)?;
            self.held_bytes = together.get_array_memory_size();
            self.held = vec![together];
            if self.held_bytes <= self.most / 2 {
                return Ok(());
            }
        }
        self.set_aside()
    }

    /// From now on the rows have another schema.
    pub(crate) fn evolve(&mut self, schema: &SchemaRef) {
        self.schema = Arc::clone(schema);
    }

    fn set_aside(&mut self) -> Result<(), DeltaError> {
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        // Batches of one schema at a time: a file has one.
        for run in held.chunk_by(|a, b| a.schema_ref() == b.schema_ref()) {
            let aside = self.sorted_aside(run)?;
            self.aside.push(aside);
        }
        Ok(())
    }

    fn sorted_aside(&self, run: &[RecordBatch]) -> Result<Aside, DeltaError> {
        let failed = || DeltaError::parquet("write", ASIDE);
        let arrow = || DeltaError::arrow("set rows aside", &self.table);
        let file = tempfile::tempfile().map_err(DeltaError::io("create a temporary file in", std::env::temp_dir()))?;
        let copy = file.try_clone().map_err(DeltaError::io("use", ASIDE))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let mut writer = ArrowWriter::try_new(copy, run[0].schema(), Some(properties)).map_err(failed())?;
        let mut chosen: Vec<Vec<Vec<u32>>> = Vec::with_capacity(run.len());
        for rows in run {
            let keys = self.keys(rows.schema_ref())?.encode(rows).map_err(arrow())?;
            let mut buckets = vec![Vec::new(); BUCKETS];
            for (row, key) in keys.iter().enumerate() {
                let mut state = self.hasher.build_hasher();
                state.write(key.as_ref());
                // A batch has fewer than 2^32 rows: Arrow's own offsets end at 2^31.
                buckets[state.finish() as usize % BUCKETS].push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            chosen.push(buckets);
        }
        let mut buckets = Vec::with_capacity(BUCKETS);
        for bucket in 0..BUCKETS {
            let (first, mut bytes) = (writer.flushed_row_groups().len(), 0);
            for (rows, chosen) in run.iter().zip(&mut chosen) {
                let rows_of = UInt32Array::from(std::mem::take(&mut chosen[bucket]));
                let rows = arrow_select::take::take_record_batch(rows, &rows_of).map_err(arrow())?;
                bytes += rows.get_array_memory_size();
                writer.write(&rows).map_err(failed())?;
            }
            writer.flush().map_err(failed())?;
            buckets.push(((first..writer.flushed_row_groups().len()).collect(), bytes));
        }
        writer.close().map_err(failed())?;
        Ok(Aside { file, buckets })
    }

    /// The passes in which the rows are worked off, each as buckets; one pass of all rows as a rule.
    pub(super) fn passes(&self) -> Result<Vec<Option<Vec<usize>>>, DeltaError> {
        if self.aside.is_empty() {
            return Ok(vec![None]);
        }
        let mut passes: Vec<Option<Vec<usize>>> = Vec::new();
        let mut room = 0;
        for bucket in 0..BUCKETS {
            let aside: usize = self.aside.iter().map(|aside| aside.buckets[bucket].1).sum();
            let bytes = aside + self.held_bytes / BUCKETS;
            match passes.last_mut() {
                Some(Some(pass)) if bytes <= room => pass.push(bucket),
                _ => {
                    passes.push(Some(vec![bucket]));
                    room = self.most;
                }
            }
            room = room.saturating_sub(bytes);
        }
        Ok(passes)
    }

    /// The rows of one pass in the shape of `schema`, one of each key.
    pub(super) fn load(&self, pass: Option<&[usize]>, schema: &SchemaRef) -> Result<Pass<'_>, DeltaError> {
        let arrow = || DeltaError::arrow("gather rows", &self.table);
        let with_gone = with_gone_field(schema);
        let mut batches = Vec::new();
        let mut shaped = |rows: &RecordBatch| -> Result<(), DeltaError> {
            if rows.num_rows() > 0 {
                // Rows that came before a column was added do not have it.
                batches.push(to_schema(rows, &with_gone).map_err(arrow())?);
            }
            Ok(())
        };
        match pass {
            None => self.held.iter().try_for_each(&mut shaped)?,
            Some(pass) => {
                for aside in &self.aside {
                    let groups = pass.iter().flat_map(|bucket| aside.buckets[*bucket].0.iter().copied()).collect();
                    let copy = aside.file.try_clone().map_err(DeltaError::io("use", ASIDE))?;
                    let rows = ParquetRecordBatchReaderBuilder::try_new(copy)
                        .and_then(|builder| builder.with_row_groups(groups).build())
                        .map_err(DeltaError::parquet("read", ASIDE))?;
                    for rows in rows {
                        shaped(&rows.map_err(arrow())?)?;
                    }
                }
                for rows in &self.held {
                    let keys = self.keys(rows.schema_ref())?.encode(rows).map_err(arrow())?;
                    let mut wanted = BooleanBuilder::with_capacity(rows.num_rows());
                    for key in &keys {
                        let mut state = self.hasher.build_hasher();
                        state.write(key.as_ref());
                        wanted.append_value(pass.contains(&(state.finish() as usize % BUCKETS)));
                    }
                    shaped(&arrow_select::filter::filter_record_batch(rows, &wanted.finish()).map_err(arrow())?)?;
                }
            }
        }
        match &self.fold {
            Fold::Sum(sums) => {
                let (keys, rows) = sums.of_sums(&batches, schema)?;
                Ok(Pass::sums(keys, rows, sums))
            }
            Fold::Newest { .. } => {
                let (keys, winners) = self.newest(&batches, schema)?;
                let (rows, newest): (Vec<_>, Vec<_>) = winners.iter().map(|winner| (winner.row, winner.newest)).unzip();
                let rows = choose(&batches, &rows, &with_gone).map_err(arrow())?;
                let order = match self.order(schema)? {
                    None => None,
                    Some((index, order)) => {
                        let newest = choose_values(&batches, schema, index, &newest).map_err(arrow())?;
                        let newest = order.of(&newest).map_err(arrow())?.values;
                        let by_arrival = winners.iter().map(|winner| winner.by_arrival).collect();
                        Some(Measure { column: schema.field(index).name().clone(), order, newest, by_arrival })
                    }
                };
                drop(batches);
                let gone = rows.column(schema.fields().len()).as_primitive::<Int8Type>();
                let gone = gone.iter().map(|gone| Some(gone.is_some_and(|gone| gone != 0))).collect();
                let rows = without_last(&rows, schema).map_err(arrow())?;
                Ok(Pass::newest(keys, rows, gone, order))
            }
        }
    }

    /// Every key once, and the row that holds it.
    fn newest(&self, batches: &[RecordBatch], schema: &SchemaRef) -> Result<(Keys, Vec<Winner>), DeltaError> {
        let failed = || DeltaError::arrow("compare keys", &self.table);
        let mut keys = self.keys(schema)?;
        let order = self.order(schema)?;
        let mut winners: Vec<Winner> = Vec::new();
        let mut orders: Vec<Orders> = Vec::new();
        let gone = |(batch, row): (usize, usize)| {
            let gone = batches[batch].column(schema.fields().len()).as_primitive::<Int8Type>();
            if gone.is_valid(row) { gone.value(row) } else { 0 }
        };
        for (batch, rows) in batches.iter().enumerate() {
            if let Some((index, order)) = &order {
                orders.push(order.of(rows.column(*index)).map_err(failed())?);
            }
            let not_older = |(batch, row): (usize, usize), than: (usize, usize)| {
                order.is_none() || orders[batch].values.row(row) >= orders[than.0].values.row(than.1)
            };
            // Change feeds often tell of a deletion with the key alone. It counts when it comes.
            let by_arrival = |(batch, row): (usize, usize)| {
                order.is_some() && gone((batch, row)) == DELETED && !orders[batch].is_known(row)
            };
            let found = keys.encode(rows).map_err(failed())?;
            for (row, key) in found.iter().enumerate() {
                let row = (batch, row);
                let (at, added) = keys.insert(key);
                if added {
                    winners.push(Winner { row, order: row, newest: row, by_arrival: by_arrival(row) });
                    continue;
                }
                let winner = &mut winners[at as usize];
                if by_arrival(row) {
                    // It holds off what is older than the newest that came before it.
                    (winner.row, winner.order, winner.by_arrival) = (row, winner.newest, true);
                    continue;
                }
                // Of equals the later one wins. What follows a row that was taken away is not measured by it: an
                // upstream table may go back to an older row.
                if not_older(row, winner.order) || (gone(winner.row) == TAKEN && gone(row) != TAKEN) {
                    (winner.row, winner.order) = (row, row);
                }
                if not_older(row, winner.newest) {
                    winner.newest = row;
                }
            }
        }
        Ok((keys, winners))
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.held_bytes
    }
}

/// The row of a key, each by batch and row.
struct Winner {
    row: (usize, usize),
    /// The row whose order counts for it.
    order: (usize, usize),
    /// The newest row that the key had: rows of the table that are not newer have had their time.
    newest: (usize, usize),
    /// A deletion that says nothing of its order was among them: the table's row goes, however new it is.
    by_arrival: bool,
}

fn with_gone_field(schema: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(GONE, DataType::Int8, true)));
    Arc::new(Schema::new(fields))
}

fn with_gone(rows: &RecordBatch, weights: &Int64Array) -> Result<RecordBatch, ArrowError> {
    let gone = weights.values().iter().map(|weight| match *weight {
        0.. => 0,
        row_changes::DELETES => DELETED,
        _ => TAKEN,
    });
    let gone = Int8Array::from_iter_values(gone);
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(gone));
    RecordBatch::try_new(with_gone_field(&rows.schema()), columns)
}

fn without_last(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(Arc::clone(schema), rows.columns()[..schema.fields().len()].to_vec())
}

/// The chosen rows, each named by batch and row, in that order.
fn choose(batches: &[RecordBatch], chosen: &[(usize, usize)], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if let [rows] = batches
        && chosen.len() == rows.num_rows()
    {
        return Ok(rows.clone());
    }
    if chosen.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let columns = (0..schema.fields().len()).map(|column| choose_values(batches, schema, column, chosen));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<Vec<ArrayRef>, _>>()?)
}

fn choose_values(
    batches: &[RecordBatch],
    schema: &Schema,
    column: usize,
    chosen: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let values: Vec<&dyn Array> = batches.iter().map(|rows| rows.column(column).as_ref()).collect();
    match values.as_slice() {
        // There is nothing to choose from.
        [] => Ok(new_empty_array(schema.field(column).data_type())),
        _ => arrow_select::interleave::interleave(&values, chosen),
    }
}
