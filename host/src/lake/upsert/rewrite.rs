//! One data file with some of its rows replaced or removed.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use roaring::RoaringTreemap;
use tokio::runtime::Handle;

use super::file::OpenFile;
use super::lane::{Halt, Lane};
use super::pass::{Pass, Settled, Verdict};
use super::prune::Pruner;
use crate::lake::data::{DataFile, Target, Written};
use crate::lake::error::LakeError;
use crate::lake::feed::with_changes;
use crate::lake::marks;
use crate::lake::partition;
use crate::lake::read::{DataRef, Shelf, select};
use crate::lake::schema::find;

/// Decoded rows that may wait for the first change of their row group.
const WAITING_BYTES: usize = 32 << 20;
/// Files below this size are not worth being kept apart: their rows are written together.
const POUR_BYTES: u64 = 4 << 20;
/// A row group of fewer rows is filled up with those of the next.
const SMALL_GROUP: usize = 8 << 10;

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
    /// The columns that files have: all but those of partitions.
    data_columns: Vec<usize>,
    data_schema: SchemaRef,
    target: Target,
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
        target: Target,
    ) -> Result<Self, LakeError> {
        let failed = || LakeError::arrow("compare keys", &shelf.table);
        let columns = &pass.keys.columns;
        let pruner = Pruner::new(&pass.keys, &shelf.partition_by).map_err(failed())?;
        let key_schema = select(&shelf.table, schema, Some(columns))?;
        let roams = |column: &&String| !columns.iter().any(|key| key.eq_ignore_ascii_case(column));
        let roaming = shelf.partition_by.iter().filter(roams);
        let roaming = roaming.filter_map(|column| Some((find(schema, column)?, column.clone()))).collect();
        let partitions =
            |name: &str| shelf.partition_by.iter().any(|column| column.eq_ignore_ascii_case(name));
        let data_columns: Vec<usize> =
            (0..schema.fields().len()).filter(|index| !partitions(schema.field(*index).name())).collect();
        let data_schema = Arc::new(schema.project(&data_columns).map_err(failed())?);
        Ok(Self { shelf, schema, runtime, pass, pruner, key_schema, roaming, data_columns, data_schema, target })
    }

    fn data_of(&self, rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
        rows.project(&self.data_columns).map_err(LakeError::arrow("choose columns", &self.shelf.table))
    }

    /// Whether `file` can hold one of the keys.
    pub(super) fn may_hold(&self, file: &DataRef) -> bool {
        self.pruner.may_hold(file)
    }

    /// Writes what `file` becomes, if one of its rows changes.
    pub(super) fn rewrite(&self, file: &DataRef, mut lane: Lane<'_, '_, '_>) -> Result<(), Halt> {
        let open = OpenFile::open(self.shelf, file, self.runtime, None)?;
        let mut heir = Heir { of: self, file, open: &open, before: Vec::new(), begun: false, own: None, rows: 0 };
        for group in 0..open.footer().num_row_groups() {
            let matches = match self.pruner.may_hold_group(open.footer(), group) {
                true => self.matches(&open, group)?,
                false => Vec::new(),
            };
            if matches.is_empty() {
                heir.copy(group, &mut lane)?;
                continue;
            }
            let (mut edited, mut bytes, mut changed, mut poured) = (Vec::new(), 0, false, false);
            let (mut first, mut rest) = (0, matches.as_slice());
            let start = open.first(group);
            for rows in open.read(group, self.schema)? {
                let rows = rows?;
                let here = rest.partition_point(|found| found.row < first + rows.num_rows());
                let (found, later) = rest.split_at(here);
                let now = self.edit(&rows, first, found, &open, group, &mut lane)?;
                let number = start + first as u64;
                (first, rest) = (first + rows.num_rows(), later);
                changed |= now.is_some();
                let now = match now {
                    Some(now) => now,
                    None => open.live(rows, number)?,
                };
                bytes += now.get_array_memory_size();
                edited.push(now);
                if bytes > WAITING_BYTES {
                    // A row group of another writer may be too large to wait for its end.
                    heir.write(std::mem::take(&mut edited), &mut lane)?;
                    (bytes, poured) = (0, true);
                }
            }
            match changed || poured {
                true => heir.write(edited, &mut lane)?,
                false => heir.copy(group, &mut lane)?,
            }
            heir.end_group()?;
        }
        let (changed, written) = heir.finish()?;
        lane.finish(file, changed, written)
    }

    /// The rows of a row group that have one of the keys.
    fn matches(&self, open: &OpenFile<'_>, group: usize) -> Result<Vec<Match>, LakeError> {
        let failed = || LakeError::arrow("compare keys", &self.shelf.table);
        let mut matches = Vec::new();
        let (mut first, start) = (0, open.first(group));
        for rows in open.read(group, &self.key_schema)? {
            let rows = rows?;
            let found = self.pass.keys.matches(&rows).map_err(failed())?;
            let found = found.into_iter().map(|(row, key)| Match { row: first + row, key });
            let gone = |row: usize| open.deleted().is_some_and(|deleted| deleted.contains(start + row as u64));
            matches.extend(found.filter(|found| !gone(found.row)));
            first += rows.num_rows();
        }
        Ok(matches)
    }

    /// What becomes of some rows, the first of which is row `first` of its row group; `None` if
    /// they stay as they are.
    fn edit(
        &self,
        rows: &RecordBatch,
        first: usize,
        found: &[Match],
        open: &OpenFile<'_>,
        group: usize,
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<Option<RecordBatch>, Halt> {
        if found.is_empty() {
            return Ok(None);
        }
        let failed = || LakeError::arrow("replace rows", &self.shelf.table);
        // A batch has fewer than 2^32 rows.
        let at = found.iter().map(|found| u32::try_from(found.row - first).unwrap_or(u32::MAX));
        let old = arrow_select::take::take_record_batch(rows, &UInt32Array::from_iter_values(at)).map_err(failed())?;
        let keys: Vec<u32> = found.iter().map(|found| found.key).collect();
        let Some(settled) = self.settle(&old, &keys, lane)? else {
            return Ok(None);
        };
        let start = open.first(group) + first as u64;
        let there = |row: &usize| open.deleted().is_none_or(|deleted| !deleted.contains(start + *row as u64));
        let mut roaming: Vec<u32> = Vec::new();
        let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(rows.num_rows());
        let mut row = 0;
        for (index, (found, verdict)) in found.iter().zip(&settled.verdicts).enumerate() {
            chosen.extend((row..found.row - first).filter(there).map(|row| (0, row)));
            row = found.row - first + 1;
            match verdict {
                Verdict::Stays => chosen.push((0, row - 1)),
                Verdict::Goes => {}
                Verdict::Becomes if self.roams(&settled.fresh, index, open.file()) => {
                    roaming.push(u32::try_from(index).unwrap_or(u32::MAX));
                }
                Verdict::Becomes => chosen.push((1, index)),
            }
        }
        chosen.extend((row..rows.num_rows()).filter(there).map(|row| (0, row)));
        if !roaming.is_empty() {
            let roaming = UInt32Array::from(roaming);
            lane.write(arrow_select::take::take_record_batch(&settled.fresh, &roaming).map_err(failed())?)?;
        }
        Ok(Some(mix(rows, &settled.fresh, &chosen).map_err(failed())?))
    }

    /// Decides about rows of the table and records what changes; `None` if nothing does.
    fn settle(
        &self,
        old: &RecordBatch,
        keys: &[u32],
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<Option<Settled>, Halt> {
        let settled = self.pass.settle(&self.shelf.table, old, keys)?;
        for verdict in &settled.verdicts {
            match verdict {
                Verdict::Stays => lane.counts().unchanged += 1,
                Verdict::Goes => lane.counts().deleted += 1,
                Verdict::Becomes => lane.counts().updated += 1,
            }
        }
        if settled.verdicts.iter().all(|verdict| *verdict == Verdict::Stays) {
            return Ok(None);
        }
        if lane.feeds() {
            self.tell(old, &settled, lane)?;
        }
        Ok(Some(settled))
    }

    /// Marks the rows of `file` that are replaced or go, and writes those that take their places.
    pub(super) fn mark(
        &self,
        file: &DataRef,
        marked: Option<&Arc<RoaringTreemap>>,
        mut lane: Lane<'_, '_, '_>,
    ) -> Result<(), Halt> {
        let failed = || LakeError::arrow("replace rows", &self.shelf.table);
        let open = OpenFile::open(self.shelf, file, self.runtime, marked)?;
        let mut deleted: Option<RoaringTreemap> = None;
        for group in 0..open.footer().num_row_groups() {
            if !self.pruner.may_hold_group(open.footer(), group) {
                continue;
            }
            let matches = self.matches(&open, group)?;
            if matches.is_empty() {
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
                let deleted = deleted.get_or_insert_with(|| open.deleted().cloned().unwrap_or_default());
                let start = open.first(group);
                let mut fresh: Vec<u32> = Vec::new();
                for (index, (found, verdict)) in found.iter().zip(&settled.verdicts).enumerate() {
                    if *verdict != Verdict::Stays {
                        deleted.insert(start + found.row as u64);
                    }
                    if *verdict == Verdict::Becomes {
                        fresh.push(u32::try_from(index).unwrap_or(u32::MAX));
                    }
                }
                if !fresh.is_empty() {
                    let fresh = UInt32Array::from(fresh);
                    lane.write(arrow_select::take::take_record_batch(&settled.fresh, &fresh).map_err(failed())?)?;
                }
            }
        }
        let rows = u64::try_from(open.footer().file_metadata().num_rows()).unwrap_or_default();
        lane.finish_marked(file, deleted, rows)
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

    fn tell(&self, old: &RecordBatch, settled: &Settled, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
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
        lane.tell(with_changes(table, &rows, StringArray::from(words))?)
    }
}

/// The matching rows of a row group.
fn selection(matches: &[Match], rows: usize) -> RowSelection {
    let mut selectors = Vec::with_capacity(2 * matches.len() + 1);
    let mut row = 0;
    for found in matches {
        selectors.push(RowSelector::skip(found.row - row));
        selectors.push(RowSelector::select(1));
        row = found.row + 1;
    }
    selectors.push(RowSelector::skip(rows - row));
    selectors.retain(|selector| selector.row_count > 0);
    RowSelection::from(selectors)
}

/// What a file becomes.
struct Heir<'a> {
    of: &'a Rewriter<'a>,
    file: &'a DataRef,
    open: &'a OpenFile<'a>,
    /// Row groups before the first change.
    before: Vec<usize>,
    begun: bool,
    /// Its file, unless it is so small that its rows go where others go.
    own: Option<DataFile>,
    rows: usize,
}

impl Heir<'_> {
    /// Begins the file, with rows that show what its columns are like.
    fn begin(&mut self, sample: &[RecordBatch], lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        self.begun = true;
        if self.file.size >= POUR_BYTES {
            let sample = sample.iter().map(|rows| self.of.data_of(rows)).collect::<Result<Vec<_>, _>>()?;
            let partition = self.of.shelf.partition_by.iter();
            let partition = partition.map(|column| self.file.partition.get(column).cloned().flatten()).collect();
            let schema = self.of.data_schema.clone();
            self.own = Some(DataFile::create(&self.of.target, schema, partition, &sample)?);
        }
        for group in std::mem::take(&mut self.before) {
            self.copy(group, lane)?;
        }
        Ok(())
    }

    /// A row group stays as it is.
    fn copy(&mut self, group: usize, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if !self.begun {
            self.before.push(group);
            return Ok(());
        }
        let (open, footer) = (self.open, self.open.footer());
        match &mut self.own {
            Some(own) if open.is_whole(group) && own.takes(footer) => {
                let chunks: Vec<_> =
                    (0..footer.row_group(group).num_columns()).map(|leaf| open.range(group, leaf)).collect();
                self.rows += open.rows(group);
                Ok(own.splice(&open.fetch(&chunks)?, footer, group)?)
            }
            _ => {
                let mut first = open.first(group);
                for rows in open.read(group, self.of.schema)? {
                    let rows = rows?;
                    let here = first;
                    first += rows.num_rows() as u64;
                    self.put(open.live(rows, here)?, lane)?;
                }
                self.end_group()
            }
        }
    }

    /// Rows of a row group that changes.
    fn write(&mut self, batches: Vec<RecordBatch>, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if !self.begun {
            self.begin(&batches, lane)?;
        }
        batches.into_iter().try_for_each(|rows| self.put(rows, lane))
    }

    fn put(&mut self, rows: RecordBatch, lane: &mut Lane<'_, '_, '_>) -> Result<(), Halt> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.rows += rows.num_rows();
        match &mut self.own {
            Some(own) => Ok(own.write(&self.of.data_of(&rows)?)?),
            None => lane.write(rows),
        }
    }

    /// Row groups stay what they were, so that the next change touches as few; very small ones grow together.
    fn end_group(&mut self) -> Result<(), Halt> {
        match &mut self.own {
            Some(own) if own.rows_buffered() >= SMALL_GROUP => Ok(own.flush()?),
            _ => Ok(()),
        }
    }

    /// Whether any row changed, and the complete file, if there is one.
    fn finish(self) -> Result<(bool, Option<Written>), Halt> {
        let written = match self.own {
            Some(own) if self.rows > 0 => Some(own.finish()?),
            // A file without rows is removed as it is dropped.
            _ => None,
        };
        Ok((self.begun, written))
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
