//! Rows by their key: joins with a lookup table, and groups.

use std::hash::BuildHasher;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{Field, SchemaRef};
use arrow_select::{concat::concat_batches, take::take};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::{Failure, Result, Rows, State};

/// The same seed in every run: a module's output must not depend on chance.
const HASHER: FixedState = FixedState::with_seed(0);

/// Keys in one piece of a state.
const PIECE: usize = 16_384;

/// Keys of one or more columns, numbered in order of appearance.
///
/// Null is a key value like any other. Use the numbers as indexes into per-key values:
///
/// ```
/// use std::sync::Arc;
/// use sluicebox_sdk::prelude::*;
///
/// let countries: ArrayRef = Arc::new(StringArray::from(vec!["FR", "DE", "FR"]));
/// let mut groups = Groups::of([utf8("country")])?;
/// let mut users = Vec::new();
/// for group in groups.number(&[countries])? {
///     users.resize(groups.len(), 0_i64);
///     users[group] += 1;
/// }
/// assert_eq!(users, [2, 1]);
/// assert_eq!(groups.columns()?[0].as_ref(), &StringArray::from(vec!["FR", "DE"]));
/// # Ok::<(), Failure>(())
/// ```
pub struct Groups {
    converter: RowConverter,
    keys: Keys,
}

impl Groups {
    /// No groups yet; their keys have the types of these columns.
    pub fn of(columns: impl IntoIterator<Item = Field>) -> Result<Self> {
        let types = columns.into_iter().map(|field| SortField::new(field.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(types)?, keys: Keys::default() })
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.keys.bytes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The group of each row; a new key makes a new group.
    pub fn number(&mut self, columns: &[ArrayRef]) -> Result<Vec<usize>> {
        let rows = convert(&self.converter, columns)?;
        Ok(rows.iter().map(|row| self.keys.insert(row.data()).0).collect())
    }

    /// Whether each row's key is seen for the first time. Counting those counts distinct keys.
    pub fn is_new(&mut self, columns: &[ArrayRef]) -> Result<Vec<bool>> {
        let rows = convert(&self.converter, columns)?;
        Ok(rows.iter().map(|row| self.keys.insert(row.data()).1).collect())
    }

    /// The key columns, one row for each group in the order of their numbers.
    pub fn columns(&self) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(self.keys.bytes.iter().map(|key| parser.parse(key)))?)
    }

    /// The keys as bytes, for [`State::put`](crate::State::put).
    ///
    /// The bytes are Arrow's row format, which may change with this crate: raise the
    /// module's state version when its SDK changes.
    pub fn save(&self) -> Vec<u8> {
        saved(&self.keys.bytes)
    }

    /// Saves the keys under state keys that begin with `key`, in pieces that do not change once they are full: a
    /// commit then writes only what is new.
    ///
    /// The bytes are those of [`save`](Self::save).
    pub fn save_as(&self, key: &str, state: &mut State) {
        for (number, keys) in self.keys.bytes.chunks(PIECE).enumerate() {
            state.put(&format!("{key}/{number:08x}"), saved(keys));
        }
    }

    /// Restores what `save_as` saved, into empty groups of the same columns.
    ///
    /// # Errors
    /// [`Failure::State`] if it is truncated.
    pub fn restore_as(&mut self, key: &str, state: &State) -> Result<()> {
        let prefix = format!("{key}/");
        // The state returns its keys in order, which is the order of the groups' numbers.
        let pieces = state.iter().filter(|(name, _)| name.starts_with(&prefix));
        pieces.map(|(_, bytes)| bytes).try_for_each(|bytes| self.restore(bytes))
    }

    /// Restores what `save` returned, into empty groups of the same columns.
    pub fn restore(&mut self, mut saved: &[u8]) -> Result<()> {
        let cut = || Failure::state("the saved keys are cut short");
        while !saved.is_empty() {
            let (length, rest) = saved.split_first_chunk::<8>().ok_or_else(cut)?;
            let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
            let (key, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
            self.keys.insert(key);
            saved = rest;
        }
        Ok(())
    }
}

fn saved(keys: &[Box<[u8]>]) -> Vec<u8> {
    let mut saved = Vec::new();
    for key in keys {
        saved.extend_from_slice(&(key.len() as u64).to_le_bytes());
        saved.extend_from_slice(key);
    }
    saved
}

/// A lookup table held in memory, found by key.
///
/// A row of the input matches at most one row of the table, so that a join never multiplies rows. A key with a null
/// matches nothing.
pub struct Lookup {
    key: Vec<String>,
    duplicates: Duplicates,
    parts: Vec<RecordBatch>,
    rows: usize,
    index: Option<(RowConverter, Keys)>,
    /// The table row of each key.
    row_of_key: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    Refuse,
    KeepFirst,
}

/// The matching row of the lookup table for each input row, or null.
pub type Matches = UInt32Array;

impl Lookup {
    /// A table whose keys are unique; a second row with the same key is an error.
    pub fn unique(key: &[&str]) -> Self {
        Self::new(key, Duplicates::Refuse)
    }

    /// A table of which only the first row with a key is used.
    pub fn first(key: &[&str]) -> Self {
        Self::new(key, Duplicates::KeepFirst)
    }

    fn new(key: &[&str], duplicates: Duplicates) -> Self {
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        Self { key, duplicates, parts: Vec::new(), rows: 0, index: None, row_of_key: Vec::new() }
    }

    /// Adds rows of the table, as passed to [`Transform::lookup`](crate::Transform::lookup).
    ///
    /// # Errors
    /// [`Failure::Input`] if a key that must be unique is repeated.
    pub fn push(&mut self, rows: &Rows) -> Result<()> {
        let names: Vec<&str> = self.key.iter().map(String::as_str).collect();
        let columns = rows.columns(&names)?;
        let (converter, keys) = match &mut self.index {
            Some(index) => index,
            none => {
                let types = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
                none.insert((RowConverter::new(types)?, Keys::default()))
            }
        };
        let converted = convert(converter, &columns)?;
        for (row, key) in converted.iter().enumerate() {
            if columns.iter().any(|column| column.is_null(row)) {
                continue;
            }
            let (_, new) = keys.insert(key.data());
            if new {
                let row = u32::try_from(self.rows + row)
                    .map_err(|_| Failure::input(format!("lookup {:?} has more than 2^32 rows", rows.port())))?;
                self.row_of_key.push(row);
            } else if self.duplicates == Duplicates::Refuse {
                return Err(Failure::input(format!(
                    "lookup {:?} has more than one row with the same {}: {}; a join would multiply rows",
                    rows.port(),
                    self.key.join(", "),
                    show(&columns, row)
                )));
            }
        }
        self.rows += rows.len();
        self.parts.push(rows.batch().clone());
        Ok(())
    }

    /// How many rows the table has.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Finds the table's row for each row of the input. `columns` are the input's key
    /// columns, in the order of the lookup's and of the same types.
    pub fn find(&self, columns: &[ArrayRef]) -> Result<Matches> {
        let Some((converter, keys)) = &self.index else {
            return Ok(Matches::new_null(columns.first().map_or(0, |column| column.len())));
        };
        let converted = convert(converter, columns)?;
        let found = converted.iter().enumerate().map(|(row, key)| {
            let whole = columns.iter().all(|column| column.is_valid(row));
            whole.then(|| keys.find(key.data())).flatten().map(|key| self.row_of_key[key])
        });
        Ok(found.collect())
    }

    /// The table's column for each match, null without a match.
    pub fn column(&mut self, name: &str, matches: &Matches) -> Result<ArrayRef> {
        let schema: SchemaRef = match self.parts.first() {
            Some(part) => part.schema(),
            None => return Err(Failure::internal("a lookup was used before its table came")),
        };
        if self.parts.len() > 1 {
            self.parts = vec![concat_batches(&schema, &self.parts)?];
        }
        let column = self.parts[0].column_by_name(name).ok_or_else(|| {
            let present: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Failure::input(format!("the lookup has no column {name:?}; its columns are {}", present.join(", ")))
        })?;
        Ok(take(column, matches, None)?)
    }
}

/// Distinct keys and their numbers.
#[derive(Default)]
struct Keys {
    bytes: Vec<Box<[u8]>>,
    numbers: HashTable<usize>,
}

impl Keys {
    /// The number of this key, and whether it is new.
    fn insert(&mut self, key: &[u8]) -> (usize, bool) {
        let Self { bytes, numbers } = self;
        let same = |number: &usize| *bytes[*number] == *key;
        match numbers.entry(HASHER.hash_one(key), same, |number| HASHER.hash_one(&*bytes[*number])) {
            Entry::Occupied(entry) => (*entry.get(), false),
            Entry::Vacant(entry) => {
                let number = bytes.len();
                entry.insert(number);
                bytes.push(key.into());
                (number, true)
            }
        }
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        self.numbers.find(HASHER.hash_one(key), |number| *self.bytes[*number] == *key).copied()
    }
}

fn convert(converter: &RowConverter, columns: &[ArrayRef]) -> Result<arrow_row::Rows> {
    converter.convert_columns(columns).map_err(|error| Failure::input(format!("key columns: {error}")))
}

/// A key as text for messages.
fn show(columns: &[ArrayRef], row: usize) -> String {
    let values = columns.iter().map(|column| format!("{:?}", column.slice(row, 1)).replace('\n', " "));
    values.collect::<Vec<_>>().join(", ")
}
