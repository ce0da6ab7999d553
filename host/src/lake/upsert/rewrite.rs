//! One data file with some of its rows replaced or removed.

use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use tokio::runtime::Handle;

use super::Work;
use super::file::OpenFile;
use super::pass::{Pass, Settled, Verdict};
use super::prune::Pruner;
use crate::lake::error::LakeError;
use crate::lake::feed::with_changes;
use crate::lake::marks;
use crate::lake::partition;
use crate::lake::read::{DataRef, Shelf, select};
use crate::lake::schema::find;

/// Decoded rows that may wait for the first change of their row group.
const WAITING_BYTES: usize = 32 << 20;

/// Takes the rows of a pass to data files.
pub(super) struct Rewriter<'a> {
    shelf: &'a Shelf,
    schema: &'a SchemaRef,
    runtime: &'a Handle,
    pass: &'a Pass<'a>,
    pruner: Pruner,
    key_schema: SchemaRef,
    /// Partition columns that are no part of the key, so that a row can change its partition.
    roaming: Vec<(usize, String)>,
}

/// A row of a row group that has one of the keys.
#[derive(Clone, Copy)]
struct Match {
    row: usize,
    key: u32,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        shelf: &'a Shelf,
        schema: &'a SchemaRef,
        runtime: &'a Handle,
        pass: &'a Pass<'a>,
    ) -> Result<Self, LakeError> {
        let failed = || LakeError::arrow("compare keys", &shelf.table);
        let columns = &pass.keys.columns;
        let pruner = Pruner::new(&pass.keys, &shelf.partition_by).map_err(failed())?;
        let key_schema = select(&shelf.table, schema, Some(columns))?;
        let roams = |column: &&String| !columns.iter().any(|key| key.eq_ignore_ascii_case(column));
        let roaming = shelf.partition_by.iter().filter(roams);
        let roaming = roaming.filter_map(|column| Some((find(schema, column)?, column.clone()))).collect();
        Ok(Self { shelf, schema, runtime, pass, pruner, key_schema, roaming })
    }

    /// Writes what `file` becomes to `work`; `false` if none of its rows changes.
    pub(super) fn rewrite(&self, file: &DataRef, work: &mut Work<'_>) -> Result<bool, LakeError> {
        if !self.pruner.may_hold(file) {
            return Ok(false);
        }
        let open = OpenFile::open(self.shelf, file, self.runtime)?;
        // Row groups before the first change.
        let mut before = Vec::new();
        let mut begun = false;
        for group in 0..open.footer().num_row_groups() {
            let matches = self.matches(&open, group)?;
            if matches.is_empty() {
                if begun {
                    self.copy(&open, group, work)?;
                } else {
                    before.push(group);
                }
                continue;
            }
            let (mut waiting, mut waiting_bytes) = (Vec::new(), 0);
            let (mut first, mut rest) = (0, matches.as_slice());
            for rows in open.read(group, self.schema)? {
                let rows = rows?;
                let here = rest.partition_point(|found| found.row < first + rows.num_rows());
                let (found, later) = rest.split_at(here);
                let edited = self.edit(&rows, first, found, file, work)?;
                (first, rest) = (first + rows.num_rows(), later);
                if !begun && (edited.is_some() || waiting_bytes > WAITING_BYTES) {
                    begun = true;
                    work.rearranges();
                    before.drain(..).try_for_each(|group| self.copy(&open, group, work))?;
                    waiting.drain(..).try_for_each(|rows: RecordBatch| work.write(&rows))?;
                }
                let rows = edited.unwrap_or(rows);
                if begun {
                    work.write(&rows)?;
                } else {
                    waiting_bytes += rows.get_array_memory_size();
                    waiting.push(rows);
                }
            }
            if !begun {
                before.push(group);
            }
        }
        Ok(begun)
    }

    /// The rows of a row group that have one of the keys.
    fn matches(&self, open: &OpenFile<'_>, group: usize) -> Result<Vec<Match>, LakeError> {
        let failed = || LakeError::arrow("compare keys", &self.shelf.table);
        let mut matches = Vec::new();
        let mut first = 0;
        for rows in open.read(group, &self.key_schema)? {
            let rows = rows?;
            let keys = self.pass.keys.encode(&rows).map_err(failed())?;
            for (row, key) in keys.iter().enumerate() {
                if let Some(key) = self.pass.keys.find(key.as_ref()) {
                    matches.push(Match { row: first + row, key });
                }
            }
            first += rows.num_rows();
        }
        Ok(matches)
    }

    fn copy(&self, open: &OpenFile<'_>, group: usize, work: &mut Work<'_>) -> Result<(), LakeError> {
        open.read(group, self.schema)?.try_for_each(|rows| work.write(&rows?))
    }

    /// What becomes of some rows, the first of which is row `first` of its row group; `None` if
    /// they stay as they are.
    fn edit(
        &self,
        rows: &RecordBatch,
        first: usize,
        found: &[Match],
        file: &DataRef,
        work: &mut Work<'_>,
    ) -> Result<Option<RecordBatch>, LakeError> {
        if found.is_empty() {
            return Ok(None);
        }
        let failed = || LakeError::arrow("replace rows", &self.shelf.table);
        // A batch has fewer than 2^32 rows.
        let at = found.iter().map(|found| u32::try_from(found.row - first).unwrap_or(u32::MAX));
        let old = arrow_select::take::take_record_batch(rows, &UInt32Array::from_iter_values(at)).map_err(failed())?;
        let keys: Vec<u32> = found.iter().map(|found| found.key).collect();
        let settled = self.pass.settle(&self.shelf.table, &old, &keys)?;
        for verdict in &settled.verdicts {
            match verdict {
                Verdict::Stays => work.counts.unchanged += 1,
                Verdict::Goes => work.counts.deleted += 1,
                Verdict::Becomes => work.counts.updated += 1,
            }
        }
        if settled.verdicts.iter().all(|verdict| *verdict == Verdict::Stays) {
            return Ok(None);
        }
        if work.feed.is_some() {
            self.tell(&old, &settled, work)?;
        }
        let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(rows.num_rows());
        let mut row = 0;
        for (index, (found, verdict)) in found.iter().zip(&settled.verdicts).enumerate() {
            chosen.extend((row..found.row - first).map(|row| (0, row)));
            row = found.row - first + 1;
            match verdict {
                Verdict::Stays => chosen.push((0, row - 1)),
                Verdict::Goes => {}
                Verdict::Becomes if self.roams(&settled.fresh, index, file) => self.pass.moves(found.key),
                Verdict::Becomes => chosen.push((1, index)),
            }
        }
        chosen.extend((row..rows.num_rows()).map(|row| (0, row)));
        mix(rows, &settled.fresh, &chosen).map(Some).map_err(failed())
    }

    /// Whether a row belongs to another partition than `file`.
    fn roams(&self, fresh: &RecordBatch, row: usize, file: &DataRef) -> bool {
        self.roaming.iter().any(|(index, column)| {
            let own = file.partition.get(column).cloned().flatten().filter(|text| !text.is_empty());
            let column = fresh.column(*index);
            // Texts may differ for one value when another program wrote the file.
            let same = partition::column(column.data_type(), own.as_deref(), 1)
                .is_some_and(|own| partition::value(&own, 0) == partition::value(column, row));
            !same
        })
    }

    fn tell(&self, old: &RecordBatch, settled: &Settled, work: &mut Work<'_>) -> Result<(), LakeError> {
        let (mut chosen, mut words) = (Vec::new(), Vec::new());
        for (row, verdict) in settled.verdicts.iter().enumerate() {
            match verdict {
                Verdict::Stays => {}
                Verdict::Goes => {
                    chosen.push((0, row));
                    words.push(marks::DELETE);
                }
                Verdict::Becomes => {
                    chosen.extend([(0, row), (1, row)]);
                    words.extend([marks::BEFORE, marks::AFTER]);
                }
            }
        }
        let table = &self.shelf.table;
        let rows = mix(old, &settled.fresh, &chosen).map_err(LakeError::arrow("describe changes", table))?;
        match &mut work.feed {
            Some(feed) => feed.write(&with_changes(table, &rows, StringArray::from(words))?),
            None => Ok(()),
        }
    }
}

/// Rows of two batches, each named by batch and row, in that order.
fn mix(a: &RecordBatch, b: &RecordBatch, chosen: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    if chosen.is_empty() {
        return Ok(RecordBatch::new_empty(a.schema()));
    }
    let columns = a
        .columns()
        .iter()
        .zip(b.columns())
        .map(|(a, b)| arrow_select::interleave::interleave(&[a.as_ref() as &dyn Array, b.as_ref()], chosen))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(a.schema(), columns)
}
