//! Putting rows in the place of rows: which data files hold a key, and their rewriting.
//!
//! The keys of the new rows lie in memory; the table is read one row group at a time. Files are
//! chosen by partition and by the bounds in the log, then by reading their key columns alone,
//! and only a file with a row that changes is rewritten.

mod accumulate;
mod bloom_filter;
mod deletion_vector_rewrite;
mod file;
mod file_rewriter;
mod keys;
mod lane;
mod order;
mod pass;
mod prune;
mod rewrite;
mod source;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use deltalake::kernel::{Add, DeletionVectorDescriptor};
use futures::TryStreamExt;
use roaring::RoaringTreemap;
use serde_json::Value;
use tokio::runtime::Handle;

pub(super) use accumulate::{Sums, accumulated};
pub(super) use keys::Keys;
pub(super) use order::without_order;
pub(super) use prune::Pruner;
pub(super) use source::{Fold, Source};

use super::change_data::ChangeDataWriter;
use super::data_file::{Target, Written};
use super::error::DeltaError;
use super::file_set::FileSet;
use super::partition;
use super::partitioned_writer::PartitionedWriter;
use super::read::{DataRef, ReadContext, open, select};
use super::row_changes;
use super::vectors::Vectors;
use lane::{Halt, Lane, Turns};
use pass::Pass;
use rewrite::Rewriter;
use sluicebox_core::columns::same_column;

/// New rows that are poured out at once.
const POUR_ROWS: usize = 8192;
/// What rewriting a file takes at most.
const ROOM_BYTES: u64 = 64 << 20;

/// What has to change for the new rows to take their places.
#[derive(Default)]
pub(super) struct Change {
    /// Files with the rows that stay, and with the new rows.
    pub(super) written: Vec<Written>,
    /// Files whose rows are all in `written` or gone.
    pub(super) removed: Vec<DataRef>,
    /// Change data, where rows were changed one by one.
    pub(super) feed: Vec<Written>,
    /// Files that stay, with the rows of them that are deleted from now on; they are in `removed` as they were.
    pub(super) marked: Vec<Add>,
    /// The file that says which rows are.
    pub(super) vectors: Option<String>,
    /// What happened to the table's rows.
    pub(super) counts: Counts,
}

/// How many rows a commit changed in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) unchanged: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.unchanged += other.unchanged;
    }
}

/// A table as of one version, and where its rewritten rows go.
pub(super) struct Rewrite<'a> {
    pub(super) context: &'a ReadContext,
    pub(super) files: FileSet,
    pub(super) schema: &'a SchemaRef,
    pub(super) runtime: &'a Handle,
    pub(super) target: &'a Target,
    /// The commit records which rows it changes.
    pub(super) feeds: bool,
    /// The budget in bytes.
    pub(super) memory: u64,
    /// Rows are marked as deleted, so that no file is rewritten.
    pub(super) marks: bool,
}

impl Rewrite<'_> {
    /// Puts the row of each key of `source` in place of the table's, or adds it to that.
    ///
    /// Runs on a thread that may block.
    pub(super) fn merge(self, source: &Source) -> Result<Change, DeltaError> {
        let passes = source.passes()?;
        // Rows of several passes are in several groups of files, so none can speak for the commit.
        let feeds_all = passes.len() > 1;
        let mut work = self.begin(!feeds_all)?;
        let done = passes.iter().try_for_each(|buckets| {
            let pass = source.load(buckets.as_deref(), work.schema)?;
            work.replace(&pass)?;
            let new = pass.unplaced()?;
            let Some(rows) = &pass.rows else {
                return Ok(());
            };
            work.counts.inserted += new.len() as u64;
            let fed = feeds_all || !work.feed_is_empty();
            work.pour(rows, &new, fed)
        });
        match done.and_then(|()| work.complete()) {
            Ok(change) => Ok(change),
            Err(error) => Err(work.abandon(error)),
        }
    }

    /// Removes every row whose key is one of `keys`; the new rows are already in files of their own.
    pub(super) fn remove(self, keys: &Keys, own: &[Written]) -> Result<Change, DeltaError> {
        let by_partition = |column: &String| self.context.partition_by.iter().any(|other| same_column(other, column));
        if keys.columns.iter().all(by_partition) {
            return self.remove_partitions(keys);
        }
        let (context, schema, runtime) = (self.context, self.schema, self.runtime);
        let mut work = self.begin(false)?;
        let done = work.replace(&Pass::groups(keys)).and_then(|()| {
            // Where some changes are told, all are.
            let told = if work.feed_is_empty() { &[] } else { own };
            told.iter().try_for_each(|written| {
                let file = DataRef::of(&written.add);
                let mut batches = runtime.block_on(open(context, &file, schema.clone()))?;
                while let Some(rows) = runtime.block_on(batches.try_next())? {
                    work.tell(&rows, row_changes::INSERT)?;
                }
                Ok(())
            })
        });
        match done.and_then(|()| work.complete()) {
            Ok(change) => Ok(change),
            Err(error) => Err(work.abandon(error)),
        }
    }

    fn begin(&self, kept: bool) -> Result<Work<'_>, DeltaError> {
        let mut target = self.target.clone();
        let feed = if self.feeds { Some(ChangeDataWriter::new(&target, self.schema)?) } else { None };
        if !kept {
            target.keeping = None;
        }
        Ok(Work {
            context: self.context,
            schema: self.schema,
            runtime: self.runtime,
            threads: self.threads(),
            files: self.files.clone(),
            made: Vec::new(),
            out: None,
            target,
            feed,
            removed: Vec::new(),
            gone: HashSet::new(),
            marks: self.marks.then(BTreeMap::new),
            counts: Counts::default(),
        })
    }

    /// Files that are rewritten at once: each has a row group in memory, decoded and encoded.
    fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let room = usize::try_from(self.memory / ROOM_BYTES).unwrap_or(usize::MAX);
        processors.min(room).clamp(1, 8)
    }

    /// As `remove`, where the keys are partition values: whole files go, and none is read.
    fn remove_partitions(&self, keys: &Keys) -> Result<Change, DeltaError> {
        let schema = select(&self.context.table, self.schema, Some(&keys.columns))?;
        let failed = || DeltaError::arrow("compare partitions", &self.context.table);
        let is_named = |file: &DataRef| -> Result<bool, DeltaError> {
            let mut columns = Vec::with_capacity(keys.columns.len());
            for field in schema.fields() {
                let own = file.partition.iter().find(|(column, _)| same_column(column, field.name()));
                let value = own.and_then(|(_, value)| value.as_deref());
                columns.push(partition::column(field.data_type(), value, 1).ok_or_else(|| {
                    DeltaError::PartitionValue {
                        path: file.path.clone(),
                        column: field.name().clone(),
                        value: value.unwrap_or_default().to_owned(),
                    }
                })?);
            }
            let row = RecordBatch::try_new(schema.clone(), columns).map_err(failed())?;
            let key = keys.encode(&row).map_err(failed())?;
            Ok(keys.find(key.row(0).as_ref()).is_some())
        };
        let failure = RefCell::new(None);
        let removed = self.files.select(|file| {
            is_named(file).unwrap_or_else(|error| {
                failure.borrow_mut().get_or_insert(error);
                false
            })
        });
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        let deleted = removed.iter().filter_map(DataRef::rows).sum();
        let change = Change { removed, counts: Counts { deleted, ..Counts::default() }, ..Change::default() };
        Ok(change)
    }
}

/// A file of which rows are deleted.
#[derive(Clone)]
struct Marked {
    file: DataRef,
    deleted: Arc<RoaringTreemap>,
    /// Rows in all.
    rows: u64,
}

/// The change in the making.
struct Work<'a> {
    context: &'a ReadContext,
    schema: &'a SchemaRef,
    runtime: &'a Handle,
    /// Files that are rewritten at once.
    threads: usize,
    target: Target,
    /// The table's files as they are after the passes so far.
    files: FileSet,
    /// Files that were written so far.
    made: Vec<Written>,
    out: Option<PartitionedWriter>,
    feed: Option<ChangeDataWriter>,
    removed: Vec<DataRef>,
    /// By path, where rows are only marked.
    marks: Option<BTreeMap<String, Marked>>,
    /// Paths of the files of which this pass left nothing.
    gone: HashSet<String>,
    counts: Counts,
}

impl Work<'_> {
    /// Takes the rows of `pass` to those of the table that have the same keys, several files at once.
    fn replace(&mut self, pass: &Pass<'_>) -> Result<(), DeltaError> {
        // What the pass before this one wrote is the table's by now.
        self.turn_over()?;
        let target = Target { keeping: None, ..self.target.clone() };
        let rewriter = Rewriter::new(self.context, self.schema, self.runtime, pass, target)?;
        let candidates = self.files.select(|file| rewriter.may_hold(file));
        let marks = self.marks.clone();
        let (turns, next, feeds) = (Turns::new(), AtomicUsize::new(0), self.feed.is_some());
        let threads = self.threads.min(candidates.len());
        let (work, failure) = (Mutex::new(&mut *self), Mutex::new(None));
        let worker = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = candidates.get(number) else {
                    return;
                };
                let lane = Lane::new(number, &turns, &work, feeds);
                let done = match &marks {
                    None => rewriter.rewrite(file, lane),
                    Some(marks) => rewriter.mark(file, marks.get(&file.path).map(|marked| &marked.deleted), lane),
                };
                match done {
                    Ok(()) => {}
                    Err(halt) => {
                        turns.give_up();
                        if let Halt::Failed(error) = halt {
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                        return;
                    }
                }
            }
        };
        match threads {
            0 | 1 => worker(),
            threads => std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(worker);
                }
            }),
        }
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let gone = std::mem::take(&mut self.gone);
        self.files.remove(gone);
        Ok(())
    }

    /// Writes rows of a file that is rewritten.
    fn move_rows(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        // Files with rows that did not change do not tell what did.
        self.target.keeping = None;
        self.write(rows)
    }

    /// More rows of a file are deleted.
    fn mark(&mut self, file: &DataRef, deleted: RoaringTreemap, rows: u64) {
        if let Some(marks) = &mut self.marks {
            let marked = Marked { file: file.clone(), deleted: Arc::new(deleted), rows };
            marks.insert(file.path.clone(), marked);
        }
    }

    /// A file's rows are elsewhere by now.
    fn replaced(&mut self, file: &DataRef, written: Option<Written>) {
        self.gone.insert(file.path.clone());
        // A file of an earlier pass never was the table's.
        match self.made.iter().position(|made| made.add.path == file.path) {
            Some(at) => {
                self.made.remove(at);
                self.discard(vec![file.path.clone()]);
            }
            None => self.removed.push(file.clone()),
        }
        if let Some(written) = written {
            self.files.add(DataRef::of(&written.add));
            self.made.push(written);
        }
    }

    /// Writes rows that stay as they are or are new.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        if self.out.is_none() {
            self.out = Some(PartitionedWriter::new(self.target.clone(), self.schema)?);
        }
        match &mut self.out {
            Some(out) => out.write(rows),
            None => Ok(()),
        }
    }

    fn feed_is_empty(&self) -> bool {
        self.feed.as_ref().is_none_or(ChangeDataWriter::is_empty)
    }

    /// Records changed rows.
    fn feed(&mut self, rows: &RecordBatch) -> Result<(), DeltaError> {
        match &mut self.feed {
            Some(feed) => feed.write(rows),
            None => Ok(()),
        }
    }

    /// Records rows that are all the same change.
    fn tell(&mut self, rows: &RecordBatch, change: &str) -> Result<(), DeltaError> {
        match &mut self.feed {
            Some(feed) => feed.write_all(&self.context.table, rows, change),
            None => Ok(()),
        }
    }

    /// Writes the rows of some keys, and records them as new if `told`.
    fn pour(&mut self, rows: &RecordBatch, keys: &[u32], told: bool) -> Result<(), DeltaError> {
        for keys in keys.chunks(POUR_ROWS) {
            let chosen = arrow_select::take::take_record_batch(rows, &UInt32Array::from(keys.to_vec()))
                .map_err(DeltaError::arrow("choose rows", &self.context.table))?;
            self.write(&chosen)?;
            if told {
                self.tell(&chosen, row_changes::INSERT)?;
            }
        }
        Ok(())
    }

    /// Completes the files that were begun.
    fn turn_over(&mut self) -> Result<(), DeltaError> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        for written in out.finish()? {
            self.files.add(DataRef::of(&written.add));
            self.made.push(written);
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<Change, DeltaError> {
        self.turn_over()?;
        let (mut marked, mut vectors) = (Vec::new(), Vectors::new(&self.target));
        for Marked { file, deleted, rows } in self.marks.take().unwrap_or_default().into_values() {
            if deleted.len() < rows {
                let failed = |source| DeltaError::Vector { path: file.path.clone(), source };
                marked.push(marked_add(&file, vectors.add(&deleted).map_err(failed)?));
            }
            self.removed.push(file);
        }
        let feed = match self.feed.take() {
            Some(feed) => feed.finish()?,
            None => Vec::new(),
        };
        let vectors = vectors.finish()?;
        Ok(Change {
            written: std::mem::take(&mut self.made),
            removed: std::mem::take(&mut self.removed),
            marked,
            vectors,
            feed,
            counts: self.counts,
        })
    }

    fn abandon(self, error: DeltaError) -> DeltaError {
        let mut paths: Vec<String> = self.made.iter().map(|written| written.add.path.clone()).collect();
        paths.extend(self.out.iter().flat_map(PartitionedWriter::complete_paths));
        paths.extend(self.feed.iter().flat_map(ChangeDataWriter::complete_paths));
        let Self { context, runtime, .. } = self;
        runtime.block_on(sluicebox_stores::discard(&context.location, paths));
        error
    }

    fn discard(&self, paths: Vec<String>) {
        self.runtime.block_on(sluicebox_stores::discard(&self.context.location, paths));
    }
}

/// The `add` action of a file of which other rows are deleted than before.
fn marked_add(file: &DataRef, vector: DeletionVectorDescriptor) -> Add {
    // Bounds of rows that are gone still bound, but need not be met.
    let stats = file.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok()).map(|stats: Value| {
        let mut stats = stats;
        stats["tightBounds"] = Value::Bool(false);
        stats.to_string()
    });
    Add {
        path: file.path.clone(),
        partition_values: file.partition.clone(),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: file.modified,
        data_change: true,
        stats,
        deletion_vector: Some(vector),
        ..Add::default()
    }
}
