//! The rows of the batch being pushed: who names them, and what continues them.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::FilterBuilder;

use super::binding::{From, Same};
use super::error::RowProblem;

/// A set of rows of one batch.
#[derive(Debug)]
pub(super) struct RowSet {
    words: Vec<u64>,
    rows: usize,
    len: usize,
}

impl RowSet {
    /// No row of a batch of `rows`.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            words: vec![0; rows.div_ceil(64)],
            rows,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a row that must exist and not have been added.
    pub(super) fn insert(&mut self, row: u32) -> Result<(), RowProblem> {
        let at = row as usize;
        if at >= self.rows {
            return Err(RowProblem::OutOfRange { rows: self.rows });
        }
        let bit = 1 << (at % 64);
        let word = &mut self.words[at / 64];
        if *word & bit != 0 {
            return Err(RowProblem::Twice);
        }
        *word |= bit;
        self.len += 1;
        Ok(())
    }

    /// Adds rows that must exist, rise, and not have been added; tells the first that
    /// is wrong by its place in `rows`.
    pub(super) fn insert_rising(&mut self, rows: &[u32]) -> Result<(), (usize, RowProblem)> {
        let mut previous = None;
        for (at, row) in rows.iter().enumerate() {
            if previous >= Some(*row) {
                let problem = if previous == Some(*row) {
                    RowProblem::Twice
                } else {
                    RowProblem::OutOfOrder
                };
                return Err((at, problem));
            }
            self.insert(*row).map_err(|problem| (at, problem))?;
            previous = Some(*row);
        }
        Ok(())
    }
}

/// The rows that one emitted batch continues, in a form that is cheap to select by.
///
/// The indices rise, so they are a subset in order: the output keeps the order of its
/// lane, and selecting is a filter, which copies runs of rows at once.
pub(super) struct Selection {
    kind: Kind,
    rows: usize,
}

enum Kind {
    All,
    Run { first: usize },
    Some(BooleanArray),
}

impl Selection {
    /// Of rising `kept` indices below `rows`, as [`RowSet::insert_rising`] has checked.
    pub(super) fn new(kept: &[u32], rows: usize) -> Self {
        let kind = match (kept.first(), kept.last()) {
            (Some(first), Some(last)) if (last - first) as usize + 1 == kept.len() => {
                if kept.len() == rows {
                    Kind::All
                } else {
                    Kind::Run {
                        first: *first as usize,
                    }
                }
            }
            (None, _) | (_, None) => Kind::Run { first: 0 },
            _ => {
                let mut words = vec![0u64; rows.div_ceil(64)];
                for row in kept {
                    words[*row as usize / 64] |= 1 << (row % 64);
                }
                Kind::Some(BooleanArray::new(
                    BooleanBuffer::new(words.into(), 0, rows),
                    None,
                ))
            }
        };
        Self {
            kind,
            rows: kept.len(),
        }
    }

    /// Puts a pass-through batch together.
    pub(super) fn assemble(
        &self,
        same: &Same,
        full: &SchemaRef,
        upstream: &RecordBatch,
        emitted: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let filter = match &self.kind {
            // Worth preparing once when several columns go through it.
            Kind::Some(mask) => Some(FilterBuilder::new(mask).optimize().build()),
            _ => None,
        };
        let select = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
            match (&self.kind, &filter) {
                (Kind::Run { first }, _) => Ok(column.slice(*first, self.rows)),
                (Kind::Some(_), Some(filter)) => filter.filter(column),
                _ => Ok(Arc::clone(column)),
            }
        };
        let columns = same
            .columns
            .iter()
            .map(|from| match from {
                From::Upstream(index) => select(upstream.column(*index)),
                From::Emitted(index) => Ok(emitted.column(*index).clone()),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(full.clone(), columns, &options)
    }
}

/// The row indices in the first column of an emitted pass-through batch.
pub(super) fn indices(emitted: &RecordBatch) -> Option<&UInt32Array> {
    emitted.columns().first()?.as_any().downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_once_and_in_order() {
        let mut set = RowSet::new(100);
        assert_eq!(set.insert_rising(&[0, 5, 99]), Ok(()));
        assert_eq!(set.insert_rising(&[1, 5]), Err((1, RowProblem::Twice)));
        assert_eq!(set.insert_rising(&[7, 6]), Err((1, RowProblem::OutOfOrder)));
        assert_eq!(set.insert_rising(&[8, 8]), Err((1, RowProblem::Twice)));
        assert_eq!(
            set.insert_rising(&[100]),
            Err((0, RowProblem::OutOfRange { rows: 100 }))
        );
        assert_eq!(
            RowSet::new(0).insert(0),
            Err(RowProblem::OutOfRange { rows: 0 })
        );
    }
}
