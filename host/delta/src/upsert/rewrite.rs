//! Rewrites one data file with some of its rows replaced or deleted.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use tokio::runtime::Handle;

use super::file::OpenFile;
use super::file_rewriter::FileRewriter;
use super::lane::{Halt, Lane};
use super::pass::{Pass, Settled, Verdict, equal_values};
use super::prune::Pruner;
use crate::change_data::with_changes;
use crate::data_file::Target;
use crate::error::DeltaError;
use crate::partition;
use crate::read::{DataRef, ReadContext, select};
use crate::row_changes;
use crate::schema::find;
use sluicebox_core::columns::same_column;

/// Bytes of decoded rows that may wait for the first change of their row group.
const WAITING_BYTES: usize = 32 << 20;
/// If fewer than one row in this many changes, the changed rows are read before the others.
const DENSE: usize = 8;

/// Merges the rows of a pass with data files.
pub(super) struct Rewriter<'a> {
    pub(super) context: &'a ReadContext,
    pub(super) schema: &'a SchemaRef,
    pub(super) runtime: &'a Handle,
    pub(super) pass: &'a Pass<'a>,
    pub(super) pruner: Pruner,
    key_schema: SchemaRef,
    /// Partition columns that are not part of the key, so that a row can change its partition.
    roaming: Vec<(usize, String)>,
    /// The columns in files: all but the partition columns.
    pub(super) data_columns: Vec<usize>,
    pub(super) data_schema: SchemaRef,
    pub(super) target: Target,
    /// The column in which rows differed last.
    pub(super) telling: AtomicUsize,
}

/// A row of a row group with one of the keys.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub(super) row: usize,
    pub(super) key: u32,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        context: &'a ReadContext,
        schema: &'a SchemaRef,
        runtime: &'a Handle,
        pass: &'a Pass<'a>,
        target: Target,
    ) -> Result<Self, DeltaError> {
        let failed = || DeltaError::arrow("compare keys", &context.table);
        let columns = &pass.keys.columns;
        let pruner = Pruner::new(&pass.keys, &context.partition_by).map_err(failed())?;
        let key_schema = select(&context.table, schema, Some(columns))?;
        let roams = |column: &&String| !columns.iter().any(|key| same_column(key, column));
        let roaming = context.partition_by.iter().filter(roams);
        let roaming = roaming.filter_map(|column| Some((find(schema, column)?, column.clone()))).collect();
        let partitions = |name: &str| context.partition_by.iter().any(|column| same_column(column, name));
        let data_columns: Vec<usize> =
            (0..schema.fields().len()).filter(|index| !partitions(schema.field(*index).name())).collect();
        let data_schema = Arc::new(schema.project(&data_columns).map_err(failed())?);
        let telling = AtomicUsize::new(data_columns.last().copied().unwrap_or(0));
        Ok(Self {
            context,
            schema,
            runtime,
            pass,
            pruner,
            key_schema,
            roaming,
            data_columns,
            data_schema,
            target,
            telling,
        })
    }

    pub(super) fn data_of(&self, rows: &RecordBatch) -> Result<RecordBatch, DeltaError> {
        rows.project(&self.data_columns).map_err(DeltaError::arrow("choose columns", &self.context.table))
    }

    /// Whether `file` may have one of the keys.
    pub(super) fn may_hold(&self, file: &DataRef) -> bool {
        self.pruner.may_hold(file)
    }

    /// Writes the replacement of `file`, if one of its rows changes.
    pub(super) fn rewrite(&self, file: &DataRef, mut lane: Lane<'_, '_, '_>) -> Result<(), Halt> {
        let open = OpenFile::open(self.context, file, self.runtime, None)?;
        self.target.encodings.learn(&self.data_schema, open.footer());
        let mut heir = FileRewriter::new(self, file, &open);
        for group in 0..open.footer().num_row_groups() {
            let matches = match self.pruner.may_hold_group(open.footer(), group) {
                true => self.matches(&open, group)?,
                false => Vec::new(),
            };
            if matches.is_empty() {
                heir.copy(group, &mut lane)?;
                continue;
            }
            if heir.spliceable && open.is_whole(group) && matches.len() * DENSE < open.rows(group) {
                self.patch(&mut heir, group, &matches, &mut lane)?;
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
                    // Another writer's row group may be too large to buffer.
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

    /// The rows of a row group with one of the keys.
    pub(super) fn matches(&self, open: &OpenFile<'_>, group: usize) -> Result<Vec<Match>, DeltaError> {
        let failed = || DeltaError::arrow("compare keys", &self.context.table);
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

    /// Rewrites a row group of which few rows change: these are read first, and if no row is deleted, columns without
    /// a difference are copied.
    fn patch(
        &self,
        heir: &mut FileRewriter<'_>,
        group: usize,
        matches: &[Match],
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<(), Halt> {
        let failed = || DeltaError::arrow("replace rows", &self.context.table);
        let open = heir.open;
        let old = open.read_some(group, self.schema, Some(selection(matches, open.rows(group))))?;
        let old = old.collect::<Result<Vec<_>, _>>()?;
        let old = arrow_select::concat::concat_batches(self.schema, &old).map_err(failed())?;
        let keys: Vec<u32> = matches.iter().map(|found| found.key).collect();
        let Some(settled) = self.settle(&old, &keys, lane)? else {
            return heir.copy(group, lane);
        };
        let becomes = |row: &usize| settled.verdicts[*row] == Verdict::Becomes;
        let in_place = (0..keys.len()).all(|row| match settled.verdicts[row] {
            Verdict::Stays => true,
            Verdict::Goes => false,
            Verdict::Becomes => !self.roams(&settled.fresh, row, heir.file),
        });
        if !in_place {
            let (mut first, mut at) = (0, 0);
            for rows in open.read(group, self.schema)? {
                let rows = rows?;
                let here = matches[at..].partition_point(|found| found.row < first + rows.num_rows());
                let now = self.apply(&rows, first, &matches[at..at + here], (&settled, at), open, group, lane)?;
                (first, at) = (first + rows.num_rows(), at + here);
                heir.write(vec![now], lane)?;
            }
            return heir.end_group();
        }
        let mut columns: Vec<Option<Vec<ArrayRef>>> = Vec::with_capacity(self.data_columns.len());
        for index in &self.data_columns {
            let (was, is) = (old.column(*index), settled.fresh.column(*index));
            let same = equal_values(was, is).map_err(failed())?;
            let changed: Vec<usize> = (0..keys.len()).filter(becomes).filter(|row| !same[*row]).collect();
            columns.push(match changed.is_empty() {
                true => None,
                false => Some(self.replaced(open, group, *index, matches, &changed, is)?),
            });
        }
        heir.patch(group, &columns, lane)
    }

    /// A column of a row group with some of its values replaced.
    fn replaced(
        &self,
        open: &OpenFile<'_>,
        group: usize,
        column: usize,
        matches: &[Match],
        changed: &[usize],
        fresh: &ArrayRef,
    ) -> Result<Vec<ArrayRef>, DeltaError> {
        let failed = || DeltaError::arrow("replace values", &self.context.table);
        let field = self.schema.field(column);
        let keyed = match self.target.encodings.keeps_dictionary(field.name()) {
            true => open.read_keyed(group, field)?,
            false => None,
        };
        let batches = match keyed {
            Some(batches) => batches,
            None => open.read(group, &Arc::new(Schema::new(vec![field.clone()])))?,
        };
        let (mut first, mut rest, mut values) = (0, changed, Vec::new());
        for rows in batches {
            let rows = rows?;
            let own = rows.column(0);
            let here = rest.partition_point(|at| matches[*at].row < first + own.len());
            let (now, later) = rest.split_at(here);
            let places = now.iter().map(|at| (matches[*at].row - first, *at));
            if now.is_empty() {
                values.push(Arc::clone(own));
            } else if matches!(own.data_type(), DataType::Dictionary(_, _)) {
                // Values between changes stay in their dictionary.
                let mut row = 0;
                for (place, at) in places {
                    values.push(own.slice(row, place - row));
                    values.push(fresh.slice(at, 1));
                    row = place + 1;
                }
                values.push(own.slice(row, own.len() - row));
            } else {
                let mut chosen: Vec<(usize, usize)> = (0..own.len()).map(|row| (0, row)).collect();
                places.for_each(|(row, at)| chosen[row] = (1, at));
                let mixed = arrow_select::interleave::interleave(&[own.as_ref(), fresh.as_ref()], &chosen);
                values.push(mixed.map_err(failed())?);
            }
            (first, rest) = (first + own.len(), later);
        }
        Ok(values)
    }

    /// Edits some rows, the first of which is row `first` of its row group; `None` if they do not change.
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
        let failed = || DeltaError::arrow("replace rows", &self.context.table);
        // A batch has fewer than 2^32 rows.
        let at = found.iter().map(|found| u32::try_from(found.row - first).unwrap_or(u32::MAX));
        let old = arrow_select::take::take_record_batch(rows, &UInt32Array::from_iter_values(at)).map_err(failed())?;
        let keys: Vec<u32> = found.iter().map(|found| found.key).collect();
        let Some(settled) = self.settle(&old, &keys, lane)? else {
            return Ok(None);
        };
        self.apply(rows, first, found, (&settled, 0), open, group, lane).map(Some)
    }

    /// The kept rows and replacements. `found` are those of `rows` that were decided about, the first of them at the
    /// given place in `settled`.
    #[expect(clippy::too_many_arguments, reason = "they are the rows, what was found of them, and where they are")]
    fn apply(
        &self,
        rows: &RecordBatch,
        first: usize,
        found: &[Match],
        (settled, offset): (&Settled, usize),
        open: &OpenFile<'_>,
        group: usize,
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<RecordBatch, Halt> {
        let failed = || DeltaError::arrow("replace rows", &self.context.table);
        let start = open.first(group) + first as u64;
        let there = |row: &usize| open.deleted().is_none_or(|deleted| !deleted.contains(start + *row as u64));
        let mut roaming: Vec<u32> = Vec::new();
        let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(rows.num_rows());
        let mut row = 0;
        for (index, found) in (offset..).zip(found) {
            chosen.extend((row..found.row - first).filter(there).map(|row| (0, row)));
            row = found.row - first + 1;
            match settled.verdicts[index] {
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
        Ok(mix(rows, &settled.fresh, &chosen).map_err(failed())?)
    }

    /// Decides about rows of the table and records the changes; `None` if there are none.
    pub(super) fn settle(
        &self,
        old: &RecordBatch,
        keys: &[u32],
        lane: &mut Lane<'_, '_, '_>,
    ) -> Result<Option<Settled>, Halt> {
        let settled = self.pass.settle(&self.context.table, old, keys)?;
        self.count(&settled.verdicts, lane);
        if settled.verdicts.iter().all(|verdict| *verdict == Verdict::Stays) {
            return Ok(None);
        }
        if lane.feeds() {
            self.tell(old, &settled, lane)?;
        }
        Ok(Some(settled))
    }

    pub(super) fn count(&self, verdicts: &[Verdict], lane: &mut Lane<'_, '_, '_>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Stays => lane.counts().unchanged += 1,
                Verdict::Goes => lane.counts().deleted += 1,
                Verdict::Becomes => lane.counts().updated += 1,
            }
        }
    }

    /// Whether a row belongs to another partition than `file`.
    pub(super) fn roams(&self, fresh: &RecordBatch, row: usize, file: &DataRef) -> bool {
        self.roaming.iter().any(|(index, column)| {
            let own = file.partition.get(column).cloned().flatten().filter(|text| !text.is_empty());
            let column = fresh.column(*index);
            // One value may have different texts if another program wrote the file.
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
                    words.push(row_changes::DELETE);
                }
                Verdict::Becomes => {
                    chosen.extend([(0, row), (1, row)]);
                    words.extend([row_changes::BEFORE, row_changes::AFTER]);
                }
            }
        }
        let table = &self.context.table;
        let rows = mix(old, &settled.fresh, &chosen).map_err(DeltaError::arrow("describe changes", table))?;
        lane.tell(with_changes(table, &rows, StringArray::from(words))?)
    }
}

/// The matching rows of a row group.
pub(super) fn selection(matches: &[Match], rows: usize) -> RowSelection {
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

/// Picks rows of two batches, by batch and row, in that order.
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
