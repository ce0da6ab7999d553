//! Deletion-vector rewrite: marks rows of a data file as deleted, and writes their replacements elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::UInt32Array;
use arrow_schema::SchemaRef;
use roaring::RoaringTreemap;

use super::file::OpenFile;
use super::lane::{Halt, Lane};
use super::pass::{Verdict, equal_values};
use super::rewrite::{Match, Rewriter, selection};
use crate::error::DeltaError;
use crate::read::DataRef;

impl Rewriter<'_> {
    /// Marks the rows of `file` that are replaced or deleted, and writes the replacements.
    pub(super) fn mark(
        &self,
        file: &DataRef,
        marked: Option<&Arc<RoaringTreemap>>,
        mut lane: Lane<'_, '_, '_>,
    ) -> Result<(), Halt> {
        let failed = || DeltaError::arrow("replace rows", &self.context.table);
        let open = OpenFile::open(self.context, file, self.runtime, marked)?;
        self.target.encodings.learn(&self.data_schema, open.footer());
        let mut deleted: Option<RoaringTreemap> = None;
        for group in 0..open.footer().num_row_groups() {
            if !self.pruner.may_hold_group(open.footer(), group) {
                continue;
            }
            let matches = self.matches(&open, group)?;
            if matches.is_empty() {
                continue;
            }
            if self.pass.is_plain() && !lane.feeds() {
                let verdicts = self.settle_by_columns(&open, group, &matches)?;
                self.count(&verdicts, &mut lane);
                self.mark_rows(&open, group, &matches, &verdicts, &mut deleted);
                let fresh = matches.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Becomes);
                let fresh: UInt32Array = fresh.map(|(found, _)| Some(found.key)).collect();
                if let Some(rows) = self.pass.rows.as_ref().filter(|_| !fresh.is_empty()) {
                    lane.write(arrow_select::take::take_record_batch(rows, &fresh).map_err(failed())?)?;
                }
                continue;
            }
            let mut rest = matches.as_slice();
            for old in open.read_some(group, self.schema, Some(selection(&matches, open.rows(group))))? {
                let old = old?;
                let (found, later) = rest.split_at(old.num_rows());
                rest = later;
                let keys: Vec<u32> = found.iter().map(|found| found.key).collect();
                let Some(settled) = self.settle(&old, &keys, &mut lane)? else {
                    continue;
                };
                self.mark_rows(&open, group, found, &settled.verdicts, &mut deleted);
                let fresh = settled.verdicts.iter().zip(0_u32..).filter(|(verdict, _)| **verdict == Verdict::Becomes);
                let fresh: UInt32Array = fresh.map(|(_, index)| Some(index)).collect();
                if !fresh.is_empty() {
                    lane.write(arrow_select::take::take_record_batch(&settled.fresh, &fresh).map_err(failed())?)?;
                }
            }
        }
        let rows = u64::try_from(open.footer().file_metadata().num_rows()).unwrap_or_default();
        lane.finish_marked(file, deleted, rows)
    }

    /// Adds the rows that are replaced or deleted to the deletion vector.
    fn mark_rows(
        &self,
        open: &OpenFile<'_>,
        group: usize,
        found: &[Match],
        verdicts: &[Verdict],
        deleted: &mut Option<RoaringTreemap>,
    ) {
        let start = open.first(group);
        for (found, _) in found.iter().zip(verdicts).filter(|(_, verdict)| **verdict != Verdict::Stays) {
            let deleted = deleted.get_or_insert_with(|| open.deleted().cloned().unwrap_or_default());
            deleted.insert(start + found.row as u64);
        }
    }

    /// Decides about rows of the table by one column after the other: most rows differ in the first one read, so that
    /// the others need not be read.
    fn settle_by_columns(
        &self,
        open: &OpenFile<'_>,
        group: usize,
        matches: &[Match],
    ) -> Result<Vec<Verdict>, DeltaError> {
        let failed = || DeltaError::arrow("compare rows", &self.context.table);
        let Some(rows) = &self.pass.rows else {
            return Ok(vec![Verdict::Goes; matches.len()]);
        };
        let keys: Vec<u32> = matches.iter().map(|found| found.key).collect();
        let fresh = arrow_select::take::take_record_batch(rows, &UInt32Array::from(keys.clone())).map_err(failed())?;
        let mut same: Vec<usize> = (0..keys.len()).filter(|row| !self.roams(&fresh, *row, open.file())).collect();
        let first = self.telling.load(Ordering::Relaxed);
        let columns = self.data_columns.iter().copied().filter(|column| *column != first);
        for column in std::iter::once(first).chain(columns) {
            if same.is_empty() {
                break;
            }
            let schema: SchemaRef = Arc::new(self.schema.project(&[column]).map_err(failed())?);
            let some: Vec<Match> = same.iter().map(|row| matches[*row]).collect();
            let was = open.read_some(group, &schema, Some(selection(&some, open.rows(group))))?;
            let was = was.collect::<Result<Vec<_>, _>>()?;
            let was = arrow_select::concat::concat_batches(&schema, &was).map_err(failed())?;
            let at = UInt32Array::from_iter_values(same.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
            let is = arrow_select::take::take(fresh.column(column), &at, None).map_err(failed())?;
            let equal = equal_values(was.column(0), &is).map_err(failed())?;
            let before = same.len();
            let mut equal = equal.into_iter();
            same.retain(|_| equal.next() == Some(true));
            if same.len() < before {
                self.telling.store(column, Ordering::Relaxed);
            }
        }
        let mut is_same = vec![false; keys.len()];
        same.into_iter().for_each(|row| is_same[row] = true);
        Ok(self.pass.settle_plainly(&keys, &is_same))
    }
}
