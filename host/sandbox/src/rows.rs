//! Sets and selections of rows of the pushed batch.

use std::cell::LazyCell;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::FilterBuilder;
use arrow_select::take::take;

use super::binding::{From, Same};
use super::cause::RowProblem;
use super::gather::Runs;

/// A set of rows of one batch.
#[derive(Debug)]
pub(super) struct RowSet {
    words: Vec<u64>,
    rows: usize,
    len: usize,
}

impl RowSet {
    /// The empty set for a batch of `rows`.
    pub(super) fn new(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a row. It must exist and not be in the set.
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

    /// Adds a selection. Returns a row that was in the set before, as an error.
    pub(super) fn insert_all(&mut self, selection: &Selection) -> Result<(), u32> {
        for (at, (mine, more)) in self.words.iter_mut().zip(&selection.words).enumerate() {
            let both = *mine & *more;
            if both != 0 {
                // Row numbers have 32 bits, so the sum fits.
                return Err(at as u32 * 64 + both.trailing_zeros());
            }
            *mine |= *more;
        }
        self.len += selection.kept;
        Ok(())
    }
}

/// The input rows of one emitted pass-through batch, in a form that is cheap to filter by.
///
/// The indices ascend, so the output keeps the order of its lane, and selecting is a filter, which copies runs of
/// rows at once.
pub(super) struct Selection {
    /// One bit per row of the batch.
    words: Vec<u64>,
    rows: usize,
    kept: usize,
    /// The first row, if the rows are contiguous.
    run: Option<usize>,
    /// The rows as runs, if these are long enough to copy.
    runs: Option<Runs>,
}

impl Selection {
    /// A selection of the indices `kept`, which must ascend and be below `rows`; otherwise returns the place of the
    /// first invalid one.
    pub(super) fn new(kept: &[u32], rows: usize) -> Result<Self, (usize, RowProblem)> {
        // Without an early exit, the compiler compares several pairs at once.
        let rises = kept.windows(2).fold(true, |rises, pair| rises & (pair[0] < pair[1]));
        if !rises {
            let at = kept.windows(2).position(|pair| pair[0] >= pair[1]).unwrap_or_default();
            let problem = if kept[at] == kept[at + 1] { RowProblem::Twice } else { RowProblem::OutOfOrder };
            return Err((at + 1, problem));
        }
        // They ascend, so the last is the largest.
        if kept.last().is_some_and(|last| *last as usize >= rows) {
            let at = kept.partition_point(|row| (*row as usize) < rows);
            return Err((at, RowProblem::OutOfRange { rows }));
        }
        let mut words = vec![0u64; rows.div_ceil(64)];
        let runs = Runs::of(kept);
        match &runs {
            Some(runs) => runs.mark(&mut words),
            None => kept.iter().for_each(|row| words[*row as usize / 64] |= 1 << (row % 64)),
        }
        let run = match (kept.first(), kept.last()) {
            (Some(first), Some(last)) if (last - first) as usize + 1 == kept.len() => Some(*first as usize),
            (None, _) | (_, None) => Some(0),
            _ => None,
        };
        Ok(Self { words, rows, kept: kept.len(), run, runs })
    }

    /// Assembles a pass-through batch.
    pub(super) fn assemble(
        &self,
        same: &Same,
        full: &SchemaRef,
        upstream: &RecordBatch,
        emitted: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let indices = indices(emitted);
        let filter = LazyCell::new(|| {
            let mask = BooleanBuffer::new(self.words.clone().into(), 0, self.rows);
            // Preparing the filter pays if several columns use it.
            FilterBuilder::new(&BooleanArray::new(mask, None)).optimize().build()
        });
        let select = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
            if let Some(first) = self.run {
                return Ok(if self.kept < self.rows { column.slice(first, self.kept) } else { Arc::clone(column) });
            }
            if let Some(column) = self.runs.as_ref().and_then(|runs| runs.of_column(column)) {
                return Ok(column);
            }
            // If runs are short, gathering numbers one by one is faster than finding the runs.
            match indices.filter(|_| column.data_type().is_primitive()) {
                Some(indices) => take(column, indices, None),
                None => filter.filter(column),
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
        let options = RecordBatchOptions::new().with_row_count(Some(self.kept));
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
    fn rows_rise_and_exist() {
        let wrong = |kept: &[u32]| Selection::new(kept, 100).err();
        assert_eq!(wrong(&[0, 5, 99]), None);
        assert_eq!(wrong(&[]), None);
        assert_eq!(wrong(&[7, 6]), Some((1, RowProblem::OutOfOrder)));
        assert_eq!(wrong(&[8, 8]), Some((1, RowProblem::Twice)));
        assert_eq!(wrong(&[3, 100, u32::MAX]), Some((1, RowProblem::OutOfRange { rows: 100 })));
        assert_eq!(Selection::new(&[0], 0).err(), Some((0, RowProblem::OutOfRange { rows: 0 })));
    }

    #[test]
    fn a_row_is_named_once() {
        let of = |kept: &[u32]| Selection::new(kept, 200).unwrap();
        let mut set = RowSet::new(200);
        assert_eq!(set.insert_all(&of(&[0, 5, 199])), Ok(()));
        assert_eq!(set.insert_all(&of(&[1, 130, 199])), Err(199));
        assert_eq!(set.insert(5), Err(RowProblem::Twice));
        assert_eq!(set.insert(6), Ok(()));
        assert_eq!(set.insert(200), Err(RowProblem::OutOfRange { rows: 200 }));
        assert_eq!(set.len(), 4);
    }

    #[test]
    fn selecting_keeps_the_right_rows() {
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..300));
        let words: ArrayRef =
            Arc::new(arrow_array::StringArray::from_iter_values((0..300).map(|n: u32| n.to_string())));
        let upstream = RecordBatch::try_from_iter([("n", numbers), ("w", words)]).unwrap();
        let same = Same { input: 0, columns: vec![From::Upstream(0), From::Upstream(1)] };
        let all: Vec<u32> = (0..300).collect();
        let odd: Vec<u32> = (0..300).filter(|row| row % 2 == 1).collect();
        let most: Vec<u32> = (0..300).filter(|row| row % 50 != 7).collect();
        for kept in [&[][..], &[0], &[299], &[5, 6, 7], &[1, 3], &odd, &most, &all] {
            let selection = Selection::new(kept, 300).unwrap();
            let rows: ArrayRef = Arc::new(UInt32Array::from(kept.to_vec()));
            let emitted =
                RecordBatch::try_from_iter([(sluicebox_core::columns::SystemColumn::Row.name(), rows)]).unwrap();
            let batch = selection.assemble(&same, &upstream.schema(), &upstream, &emitted).unwrap();
            assert_eq!(indices(&batch).unwrap().values(), kept);
            let words: &arrow_array::StringArray = batch.column(1).as_any().downcast_ref().unwrap();
            assert!(words.iter().eq(kept.iter().map(|n| n.to_string()).collect::<Vec<_>>().iter().map(|n| Some(&**n))));
        }
    }
}
