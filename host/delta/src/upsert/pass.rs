//! Rows of distinct keys, and what becomes of the table's rows of the same keys.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_ord::cmp::not_distinct;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::ArrowError;

use super::accumulate::Sums;
use super::keys::Keys;
use super::order::{Order, Orders};
use crate::error::DeltaError;
use crate::schema::find;

/// Nothing of the table has this key so far.
const NEW: bool = false;
/// The key's row has met the table's.
const MET: bool = true;

/// What the table's rows are matched with.
pub(super) struct Pass<'a> {
    pub(super) keys: KeySet<'a>,
    /// By position of the key: the row; `None` where rows are only removed.
    pub(super) rows: Option<RecordBatch>,
    kind: Kind<'a>,
    /// By position of the key.
    met: Vec<AtomicBool>,
}

/// Keys that a pass made or was given.
pub(super) enum KeySet<'a> {
    Own(Box<Keys>),
    Lent(&'a Keys),
}

impl Deref for KeySet<'_> {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        match self {
            Self::Own(keys) => keys,
            Self::Lent(keys) => keys,
        }
    }
}

enum Kind<'a> {
    /// Rows take the place of rows, unless these are newer.
    Newest { gone: BooleanArray, measure: Option<Box<Measure>> },
    /// Rows are added to rows.
    Sums(&'a Sums),
    /// Rows go.
    Groups,
}

/// What says which row is newer.
pub(super) struct Measure {
    /// The column that does.
    pub(super) column: String,
    pub(super) order: Order,
    /// By position of the key: the order of its newest row.
    pub(super) newest: Rows,
    /// By position of the key: the table's row gives way however new it is.
    pub(super) by_arrival: Vec<bool>,
}

impl Measure {
    /// Whether the table's row, which is `own` of `orders`, is newer than the row of a key.
    fn is_newer(&self, orders: &Orders, own: usize, key: usize) -> bool {
        !self.by_arrival[key] && self.newest.row(key) < orders.values.row(own)
    }
}

/// What becomes of one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is newer, or the same.
    Stays,
    /// It is removed.
    Goes,
    /// The fresh row takes its place.
    Becomes,
}

/// What becomes of some rows of the table.
pub(super) struct Settled {
    pub(super) verdicts: Vec<Verdict>,
    /// Row by row what the rows become, where they do.
    pub(super) fresh: RecordBatch,
}

impl<'a> Pass<'a> {
    pub(super) fn newest(keys: Keys, rows: RecordBatch, gone: BooleanArray, measure: Option<Measure>) -> Self {
        Self::of(KeySet::Own(Box::new(keys)), Some(rows), Kind::Newest { gone, measure: measure.map(Box::new) })
    }

    pub(super) fn sums(keys: Keys, rows: RecordBatch, sums: &'a Sums) -> Self {
        Self::of(KeySet::Own(Box::new(keys)), Some(rows), Kind::Sums(sums))
    }

    /// Keys whose rows are removed.
    pub(super) fn groups(keys: &'a Keys) -> Self {
        Self::of(KeySet::Lent(keys), None, Kind::Groups)
    }

    fn of(keys: KeySet<'a>, rows: Option<RecordBatch>, kind: Kind<'a>) -> Self {
        let met = (0..keys.len()).map(|_| AtomicBool::new(NEW)).collect();
        Self { keys, rows, kind, met }
    }

    /// Decides about rows of the table, of which row `i` has key `keys[i]`.
    pub(super) fn settle(&self, table: &str, old: &RecordBatch, keys: &[u32]) -> Result<Settled, DeltaError> {
        let failed = || DeltaError::arrow("compare rows", table);
        let meet = |key: u32| self.met[key as usize].swap(MET, Ordering::Relaxed) == NEW;
        let Some(rows) = &self.rows else {
            return Ok(Settled { verdicts: vec![Verdict::Goes; keys.len()], fresh: old.clone() });
        };
        let indexes = UInt32Array::from(keys.to_vec());
        let fresh = arrow_select::take::take_record_batch(rows, &indexes).map_err(failed())?;
        match &self.kind {
            Kind::Groups => Ok(Settled { verdicts: vec![Verdict::Goes; keys.len()], fresh }),
            Kind::Newest { gone, measure } => {
                let measured = match measure.as_deref() {
                    None => None,
                    Some(measure) => {
                        let column = &measure.column;
                        let index = find(old.schema_ref(), column)
                            .ok_or_else(|| ArrowError::SchemaError(format!("no column '{column}'")))
                            .map_err(failed())?;
                        Some((measure.order.of(old.column(index)).map_err(failed())?, measure))
                    }
                };
                let same = equal_rows(old, &fresh).map_err(failed())?;
                let verdicts = keys.iter().enumerate().map(|(row, key)| {
                    let first = meet(*key);
                    let newer = |(own, measure): &(Orders, &Measure)| measure.is_newer(own, row, *key as usize);
                    if measured.as_ref().is_some_and(newer) {
                        Verdict::Stays
                    } else if gone.value(*key as usize) || !first {
                        // A second row of one key should not be; the first has taken its place.
                        Verdict::Goes
                    } else if same[row] {
                        Verdict::Stays
                    } else {
                        Verdict::Becomes
                    }
                });
                Ok(Settled { verdicts: verdicts.collect(), fresh })
            }
            Kind::Sums(sums) => {
                let fresh = sums.plus(old, &fresh)?;
                let same = equal_rows(old, &fresh).map_err(failed())?;
                let counts = sums.counts(&fresh)?;
                let mut verdicts = Vec::with_capacity(keys.len());
                for (row, key) in keys.iter().enumerate() {
                    // Rows are added to the first of two groups of one key, which should not be.
                    verdicts.push(match (meet(*key), counts.value(row)) {
                        (false, _) => Verdict::Stays,
                        (true, ..0) => return Err(sums.below_nothing(&fresh, row, counts.value(row))),
                        (true, 0) => Verdict::Goes,
                        (true, _) if same[row] => Verdict::Stays,
                        (true, _) => Verdict::Becomes,
                    });
                }
                Ok(Settled { verdicts, fresh })
            }
        }
    }

    /// Whether rows take the place of others without a look at which is newer.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Newest { measure: None, .. })
    }

    /// As [`Self::settle`] where it is plain, and known which rows of the table are the same.
    pub(super) fn settle_plainly(&self, keys: &[u32], same: &[bool]) -> Vec<Verdict> {
        let Kind::Newest { gone, .. } = &self.kind else {
            return vec![Verdict::Goes; keys.len()];
        };
        let verdict = |(key, same): (&u32, &bool)| {
            let first = self.met[*key as usize].swap(MET, Ordering::Relaxed) == NEW;
            if gone.value(*key as usize) || !first {
                Verdict::Goes
            } else if *same {
                Verdict::Stays
            } else {
                Verdict::Becomes
            }
        };
        keys.iter().zip(same).map(verdict).collect()
    }

    /// The keys that the table has no row of, and whose rows are to be added.
    pub(super) fn unplaced(&self) -> Result<Vec<u32>, DeltaError> {
        let mut new = Vec::new();
        let counts = match (&self.kind, &self.rows) {
            (Kind::Sums(sums), Some(rows)) => Some((sums, sums.counts(rows)?, rows)),
            _ => None,
        };
        for (at, met) in self.met.iter().enumerate() {
            let added = met.load(Ordering::Relaxed) == NEW
                && match (&self.kind, &counts) {
                    (Kind::Newest { gone, .. }, _) => !gone.value(at),
                    (Kind::Sums(_), Some((sums, counts, rows))) => match counts.value(at) {
                        ..0 => return Err(sums.below_nothing(rows, at, counts.value(at))),
                        count => count > 0,
                    },
                    _ => false,
                };
            if added {
                // Fewer than 2^32 keys are numbered.
                new.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        Ok(new)
    }
}

/// Row by row whether both have the same values. Null is a value like any other.
fn equal_rows(a: &RecordBatch, b: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
    let mut same = vec![true; a.num_rows()];
    for (a, b) in a.columns().iter().zip(b.columns()) {
        for (same, equal) in same.iter_mut().zip(equal_values(a, b)?) {
            *same = *same && equal;
        }
    }
    Ok(same)
}

/// Row by row whether both have the same value.
pub(super) fn equal_values(a: &ArrayRef, b: &ArrayRef) -> Result<Vec<bool>, ArrowError> {
    if a.data_type().is_nested() {
        let (a, b) = encoded(a, b)?;
        return Ok((0..a.num_rows()).map(|row| a.row(row) == b.row(row)).collect());
    }
    Ok(not_distinct(a, b)?.iter().map(|equal| equal == Some(true)).collect())
}

fn encoded(a: &ArrayRef, b: &ArrayRef) -> Result<(Rows, Rows), ArrowError> {
    let converter = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
    Ok((converter.convert_columns(&[Arc::clone(a)])?, converter.convert_columns(&[Arc::clone(b)])?))
}
