//! The rows of one upsert: at most one of each key will be written.

use std::fs::File;

use arrow_array::RecordBatch;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::keys::Keys;
use crate::lake::error::LakeError;
use crate::lake::schema::find;

/// Rows of one upsert that are held in memory; more are set aside on the local disk.
const HELD_BYTES: usize = 32 << 20;
const BATCH_ROWS: usize = 8192;

/// Rows by arrival, and which of them is the newest of its key.
pub(in crate::lake) struct Source {
    table: String,
    pub(super) keys: Keys,
    order: Option<Order>,
    /// By key: the row that holds it.
    winners: Vec<u32>,
    /// By row: whether it is the newest of its key.
    current: Vec<bool>,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    aside: Vec<Aside>,
}

/// What orders two rows of a key: greater is newer, null is oldest.
struct Order {
    column: String,
    converter: RowConverter,
    /// By row.
    values: Rows,
}

/// Rows on the local disk, in a file without a name.
struct Aside(File);

impl Source {
    pub(in crate::lake) fn new(
        table: &str,
        schema: &SchemaRef,
        key: &[String],
        order_by: Option<&str>,
    ) -> Result<Self, LakeError> {
        let order = match order_by {
            None => None,
            Some(column) => {
                let index = find(schema, column).ok_or_else(|| LakeError::NoSuchColumn {
                    table: table.to_owned(),
                    column: column.to_owned(),
                    role: "order_by",
                })?;
                // The default order puts nulls first, which is to say oldest.
                let fields = vec![SortField::new(schema.field(index).data_type().clone())];
                let converter = RowConverter::new(fields).map_err(LakeError::arrow("compare rows", table))?;
                let values = converter.empty_rows(0, 0);
                Some(Order { column: column.to_owned(), converter, values })
            }
        };
        Ok(Self {
            table: table.to_owned(),
            keys: Keys::new(table, schema, key, "key")?,
            order,
            winners: Vec::new(),
            current: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            aside: Vec::new(),
        })
    }

    /// Adds rows of the table's schema.
    pub(in crate::lake) fn write(&mut self, rows: RecordBatch) -> Result<(), LakeError> {
        let failed = || LakeError::arrow("compare keys", &self.table);
        let keys = self.keys.encode(&rows).map_err(failed())?;
        let orders = self.orders(&rows).map_err(failed())?;
        for (row, key) in keys.iter().enumerate() {
            let number = u32::try_from(self.current.len()).unwrap_or(u32::MAX);
            self.current.push(true);
            if let (Some(order), Some(orders)) = (&mut self.order, &orders) {
                order.values.push(orders.row(row));
            }
            let (at, added) = self.keys.insert(key);
            if added {
                self.winners.push(number);
                continue;
            }
            let holder = self.winners[at as usize];
            // Of equals the later one wins.
            let newer = self
                .order
                .as_ref()
                .is_none_or(|order| order.values.row(number as usize) >= order.values.row(holder as usize));
            if newer {
                self.current[holder as usize] = false;
                self.winners[at as usize] = number;
            } else {
                self.current[number as usize] = false;
            }
        }
        self.held_bytes += rows.get_array_memory_size();
        self.held.push(rows);
        if self.held_bytes > HELD_BYTES { self.set_aside() } else { Ok(()) }
    }

    fn orders(&self, rows: &RecordBatch) -> Result<Option<Rows>, ArrowError> {
        let Some(order) = &self.order else {
            return Ok(None);
        };
        let index = find(rows.schema_ref(), &order.column)
            .ok_or_else(|| ArrowError::SchemaError(format!("no order column '{}'", order.column)))?;
        order.converter.convert_columns(&[rows.column(index).clone()]).map(Some)
    }

    /// From now on the rows have another schema, so those held so far cannot stay with the new ones.
    pub(in crate::lake) fn evolve(&mut self) -> Result<(), LakeError> {
        self.set_aside()
    }

    fn set_aside(&mut self) -> Result<(), LakeError> {
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        let Some(first) = held.first() else {
            return Ok(());
        };
        let name = "rows set aside on the local disk";
        let failed = || LakeError::parquet("write", name);
        let file = tempfile::tempfile().map_err(LakeError::io("create a temporary file in", std::env::temp_dir()))?;
        let copy = file.try_clone().map_err(LakeError::io("use", name))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(64 << 10))
            .build();
        let mut writer = ArrowWriter::try_new(copy, first.schema(), Some(properties)).map_err(failed())?;
        for rows in &held {
            writer.write(rows).map_err(failed())?;
        }
        writer.close().map_err(failed())?;
        self.aside.push(Aside(file));
        Ok(())
    }

    /// Which rows are the newest of their keys.
    pub(super) fn current(&self) -> &[bool] {
        &self.current
    }

    /// The row that holds the key at a position of `keys`.
    pub(super) fn winner(&self, at: u32) -> u32 {
        self.winners[at as usize]
    }

    /// Whether rows of the table can be newer at all.
    pub(super) fn order_column(&self) -> Option<&str> {
        self.order.as_ref().map(|order| order.column.as_str())
    }

    /// The order values of rows of the table.
    pub(super) fn encode_order(&self, rows: &RecordBatch) -> Result<Option<Rows>, ArrowError> {
        self.orders(rows)
    }

    /// Whether a row of the table with order `other` is newer than row `number` of the source.
    pub(super) fn is_older(&self, number: u32, other: Option<arrow_row::Row<'_>>) -> bool {
        match (&self.order, other) {
            (Some(order), Some(other)) => order.values.row(number as usize) < other,
            _ => false,
        }
    }

    /// Every row in order of arrival, in batches, each with the number of its first row.
    pub(super) fn for_each(
        &self,
        mut take: impl FnMut(usize, &RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let name = "rows set aside on the local disk";
        let mut number = 0;
        for Aside(file) in &self.aside {
            let copy = file.try_clone().map_err(LakeError::io("use", name))?;
            let batches = ParquetRecordBatchReaderBuilder::try_new(copy)
                .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
                .map_err(LakeError::parquet("read", name))?;
            for rows in batches {
                let rows = rows.map_err(LakeError::arrow("read rows set aside", &self.table))?;
                take(number, &rows)?;
                number += rows.num_rows();
            }
        }
        for rows in &self.held {
            take(number, rows)?;
            number += rows.num_rows();
        }
        Ok(())
    }

    /// Bytes in memory.
    pub(in crate::lake) fn bytes(&self) -> usize {
        let order = self.order.as_ref().map_or(0, |order| order.values.size());
        self.held_bytes + self.keys.bytes() + order + self.current.len() + self.winners.len() * size_of::<u32>()
    }
}
