//! The keys of the rows being written, for looking up rows of the table.

use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Schema};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::bloom_filter::BloomFilter;
use crate::error::DeltaError;
use crate::schema::find;

/// A set of keys, in about 12 bytes each besides the value itself.
pub(crate) struct Keys {
    /// The key columns, by name.
    pub(super) columns: Vec<String>,
    pub(super) converter: RowConverter,
    /// Every key once, in the order of first appearance.
    values: Rows,
    /// Positions in `values`.
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    sieve: OnceLock<Option<BloomFilter>>,
}

/// A key column in which every NaN is the same: there are many, and as a key they are one value.
fn with_one_nan(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        DataType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        _ => Arc::clone(values),
    }
}

impl Keys {
    /// An empty set, of the columns of `schema` named by `columns`.
    pub(crate) fn new(
        table: &str,
        schema: &Schema,
        columns: &[String],
        role: &'static str,
    ) -> Result<Self, DeltaError> {
        let mut fields = Vec::with_capacity(columns.len());
        for column in columns {
            let index = find(schema, column).ok_or_else(|| DeltaError::NoSuchColumn {
                table: table.to_owned(),
                column: column.clone(),
                role,
            })?;
            fields.push(SortField::new(schema.field(index).data_type().clone()));
        }
        let converter = RowConverter::new(fields).map_err(DeltaError::arrow("compare keys", table))?;
        let values = converter.empty_rows(0, 0);
        Ok(Self {
            columns: columns.to_vec(),
            converter,
            values,
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            sieve: OnceLock::new(),
        })
    }

    /// The key columns of `rows`.
    fn columns_of(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns
            .iter()
            .map(|column| match find(rows.schema_ref(), column) {
                Some(index) => Ok(with_one_nan(rows.column(index))),
                None => Err(ArrowError::SchemaError(format!("no key column '{column}'"))),
            })
            .collect()
    }

    /// The keys of `rows`, encoded for lookup.
    pub(crate) fn encode(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        self.converter.convert_columns(&self.columns_of(rows)?)
    }

    /// The position of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.table.find(hash, |at| self.values.row(*at as usize).as_ref() == key).copied()
    }

    /// The rows that have one of the keys, each with the position of its key. No key is added afterwards.
    pub(super) fn matches(&self, rows: &RecordBatch) -> Result<Vec<(usize, u32)>, ArrowError> {
        let columns = self.columns_of(rows)?;
        let sieve = self.sieve.get_or_init(|| BloomFilter::of(self).ok().flatten());
        let possible = match (sieve, columns.as_slice()) {
            (Some(sieve), [column]) => sieve.possible(column),
            _ => None,
        };
        let Some(possible) = possible else {
            let keys = self.converter.convert_columns(&columns)?;
            return Ok(keys
                .iter()
                .enumerate()
                .filter_map(|(row, key)| Some((row, self.find(key.as_ref())?)))
                .collect());
        };
        if possible.is_empty() {
            return Ok(Vec::new());
        }
        let few = UInt32Array::from(possible);
        let columns =
            columns.iter().map(|column| arrow_select::take::take(column, &few, None)).collect::<Result<Vec<_>, _>>()?;
        let keys = self.converter.convert_columns(&columns)?;
        let found =
            keys.iter().zip(few.values()).filter_map(|(key, row)| Some((*row as usize, self.find(key.as_ref())?)));
        Ok(found.collect())
    }

    /// Adds a key unless it exists. Returns its position, and whether it was added.
    pub(crate) fn insert(&mut self, key: arrow_row::Row<'_>) -> (u32, bool) {
        let hash = self.hasher.hash_one(key.as_ref());
        let Self { values, table, hasher, .. } = self;
        if let Some(at) = table.find(hash, |at| values.row(*at as usize).as_ref() == key.as_ref()) {
            return (*at, false);
        }
        // A commit has fewer than 2^32 rows: its flush limits are far below.
        let at = u32::try_from(values.num_rows()).unwrap_or(u32::MAX);
        values.push(key);
        table.insert_unique(hash, at, |at| hasher.hash_one(values.row(*at as usize).as_ref()));
        (at, true)
    }

    /// Adds the keys of `rows`.
    pub(crate) fn add(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let keys = self.encode(rows)?;
        for key in &keys {
            self.insert(key);
        }
        Ok(())
    }

    /// Some of the keys as columns.
    pub(crate) fn arrays(&self, which: std::ops::Range<usize>) -> Result<Vec<ArrayRef>, ArrowError> {
        if which.is_empty() {
            return self.converter.convert_rows(std::iter::empty::<arrow_row::Row<'_>>());
        }
        self.converter.convert_rows(which.map(|at| self.values.row(at)))
    }

    pub(crate) fn len(&self) -> usize {
        self.values.num_rows()
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.values.size() + self.table.capacity() * (size_of::<u32>() + 1)
    }
}
