//! Putting rows in the place of rows: which data files hold a key, and their rewriting.
//!
//! The keys of the new rows lie in memory; the table is read one row group at a time. Files are
//! chosen by partition and by the bounds in the log, then by reading their key columns alone,
//! and only a file with a row that changes is rewritten.

mod accumulate;
mod file;
mod keys;
mod pass;
mod prune;
mod rewrite;
mod source;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use tokio::runtime::Handle;

pub(super) use accumulate::{Sums, accumulated};
pub(super) use keys::Keys;
pub(super) use prune::Pruner;
pub(super) use source::{Fold, Source};

use super::data::{Target, Written};
use super::error::LakeError;
use super::feed::Feed;
use super::files::Files;
use super::marks;
use super::partition;
use super::read::{DataRef, Shelf, open, select};
use futures::TryStreamExt;
use pass::Pass;
use rewrite::Rewriter;

/// New rows that are poured out at once.
const POUR_ROWS: usize = 8192;

/// What has to change for the new rows to take their places.
#[derive(Default)]
pub(super) struct Change {
    /// Files with the rows that stay, and with the new rows.
    pub(super) written: Vec<Written>,
    /// Files whose rows are all in `written` or gone.
    pub(super) removed: Vec<DataRef>,
    /// Change data, where rows were changed one by one.
    pub(super) feed: Vec<Written>,
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

/// A table as of one version, and where its rewritten rows go.
pub(super) struct Rewrite<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) files: Vec<DataRef>,
    pub(super) schema: &'a SchemaRef,
    pub(super) runtime: &'a Handle,
    pub(super) target: &'a Target,
    /// The commit records which rows it changes.
    pub(super) feeds: bool,
}

impl Rewrite<'_> {
    /// Puts the row of each key of `source` in place of the table's, or adds it to that.
    ///
    /// Runs on a thread that may block.
    pub(super) fn merge(self, source: &Source) -> Result<Change, LakeError> {
        let passes = source.passes()?;
        // Rows of several passes are in several groups of files, so none can speak for the commit.
        let feeds_all = passes.len() > 1;
        let mut work = self.begin(!feeds_all)?;
        let done = passes.iter().try_for_each(|buckets| {
            let pass = source.load(buckets.as_deref(), work.schema)?;
            work.replace(&pass)?;
            let (new, moving) = pass.unplaced()?;
            let Some(rows) = &pass.rows else {
                return Ok(());
            };
            work.pour(rows, &moving, false)?;
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
    pub(super) fn remove(self, keys: &Keys, own: &[Written]) -> Result<Change, LakeError> {
        let by_partition =
            |column: &String| self.shelf.partition_by.iter().any(|other| other.eq_ignore_ascii_case(column));
        if keys.columns.iter().all(by_partition) {
            return self.remove_partitions(keys);
        }
        let (shelf, schema, runtime) = (self.shelf, self.schema, self.runtime);
        let mut work = self.begin(false)?;
        let done = work.replace(&Pass::groups(keys)).and_then(|()| {
            // Where some changes are told, all are.
            let told = if work.feed_is_empty() { &[] } else { own };
            told.iter().try_for_each(|written| {
                let file = DataRef::of(&written.add);
                let mut batches = runtime.block_on(open(shelf, &file, schema.clone()))?;
                while let Some(rows) = runtime.block_on(batches.try_next())? {
                    work.tell(&rows, marks::INSERT)?;
                }
                Ok(())
            })
        });
        match done.and_then(|()| work.complete()) {
            Ok(change) => Ok(change),
            Err(error) => Err(work.abandon(error)),
        }
    }

    fn begin(&self, kept: bool) -> Result<Work<'_>, LakeError> {
        let mut target = self.target.clone();
        let feed = if self.feeds { Some(Feed::new(&target, self.schema)?) } else { None };
        if !kept {
            target.keeping = None;
        }
        Ok(Work {
            shelf: self.shelf,
            schema: self.schema,
            runtime: self.runtime,
            files: self.files.clone(),
            made: Vec::new(),
            out: None,
            target,
            feed,
            removed: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// As `remove`, where the keys are partition values: whole files go, and none is read.
    fn remove_partitions(&self, keys: &Keys) -> Result<Change, LakeError> {
        let schema = select(&self.shelf.table, self.schema, Some(&keys.columns))?;
        let failed = || LakeError::arrow("compare partitions", &self.shelf.table);
        let mut change = Change::default();
        for file in &self.files {
            let mut columns = Vec::with_capacity(keys.columns.len());
            for field in schema.fields() {
                let own = file.partition.iter().find(|(column, _)| column.eq_ignore_ascii_case(field.name()));
                let value = own.and_then(|(_, value)| value.as_deref());
                columns.push(partition::column(field.data_type(), value, 1).ok_or_else(|| {
                    LakeError::PartitionValue {
                        path: file.path.clone(),
                        column: field.name().clone(),
                        value: value.unwrap_or_default().to_owned(),
                    }
                })?);
            }
            let row = RecordBatch::try_new(schema.clone(), columns).map_err(failed())?;
            let key = keys.encode(&row).map_err(failed())?;
            if keys.find(key.row(0).as_ref()).is_some() {
                change.counts.deleted += file.rows().unwrap_or(0);
                change.removed.push(file.clone());
            }
        }
        Ok(change)
    }
}

/// The change in the making.
struct Work<'a> {
    shelf: &'a Shelf,
    schema: &'a SchemaRef,
    runtime: &'a Handle,
    target: Target,
    /// The table's files as they are after the passes so far.
    files: Vec<DataRef>,
    /// Files that were written so far.
    made: Vec<Written>,
    out: Option<Files>,
    feed: Option<Feed>,
    removed: Vec<DataRef>,
    counts: Counts,
}

impl Work<'_> {
    /// Takes the rows of `pass` to those of the table that have the same keys.
    fn replace(&mut self, pass: &Pass<'_>) -> Result<(), LakeError> {
        // What the pass before this one wrote is the table's by now.
        self.turn_over()?;
        let rewriter = Rewriter::new(self.shelf, self.schema, self.runtime, pass)?;
        let mut staying = Vec::with_capacity(self.files.len());
        for file in std::mem::take(&mut self.files) {
            if !rewriter.rewrite(&file, self)? {
                staying.push(file);
                continue;
            }
            // A file of an earlier pass never was the table's.
            match self.made.iter().position(|written| written.add.path == file.path) {
                Some(at) => {
                    self.made.swap_remove(at);
                    self.discard(vec![file.path]);
                }
                None => self.removed.push(file),
            }
        }
        self.files = staying;
        Ok(())
    }

    /// From now on files hold rows that did not change, so that the change data alone tells what did.
    fn rearranges(&mut self) {
        self.target.keeping = None;
    }

    /// Writes a row that stays as it is or is new.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        if self.out.is_none() {
            self.out = Some(Files::new(self.target.clone(), self.schema)?);
        }
        match &mut self.out {
            Some(out) => out.write(rows),
            None => Ok(()),
        }
    }

    fn feed_is_empty(&self) -> bool {
        self.feed.as_ref().is_none_or(Feed::is_empty)
    }

    /// Records rows that are all the same change.
    fn tell(&mut self, rows: &RecordBatch, change: &str) -> Result<(), LakeError> {
        match &mut self.feed {
            Some(feed) => feed.write_all(&self.shelf.table, rows, change),
            None => Ok(()),
        }
    }

    /// Writes the rows of some keys, and records them as new if `told`.
    fn pour(&mut self, rows: &RecordBatch, keys: &[u32], told: bool) -> Result<(), LakeError> {
        for keys in keys.chunks(POUR_ROWS) {
            let chosen = arrow_select::take::take_record_batch(rows, &UInt32Array::from(keys.to_vec()))
                .map_err(LakeError::arrow("choose rows", &self.shelf.table))?;
            self.write(&chosen)?;
            if told {
                self.tell(&chosen, marks::INSERT)?;
            }
        }
        Ok(())
    }

    /// Completes the files that were begun.
    fn turn_over(&mut self) -> Result<(), LakeError> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        for written in out.finish()? {
            self.files.push(DataRef::of(&written.add));
            self.made.push(written);
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<Change, LakeError> {
        self.turn_over()?;
        let feed = match self.feed.take() {
            Some(feed) => feed.finish()?,
            None => Vec::new(),
        };
        Ok(Change {
            written: std::mem::take(&mut self.made),
            removed: std::mem::take(&mut self.removed),
            feed,
            counts: self.counts,
        })
    }

    fn abandon(self, error: LakeError) -> LakeError {
        let mut paths: Vec<String> = self.made.iter().map(|written| written.add.path.clone()).collect();
        paths.extend(self.out.iter().flat_map(Files::complete_paths));
        paths.extend(self.feed.iter().flat_map(Feed::complete_paths));
        let Self { shelf, runtime, .. } = self;
        runtime.block_on(super::data::discard(&shelf.location, paths));
        error
    }

    fn discard(&self, paths: Vec<String>) {
        self.runtime.block_on(super::data::discard(&self.shelf.location, paths));
    }
}
