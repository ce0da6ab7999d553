//! Putting rows in the place of rows: which data files hold a key, and their rewriting.
//!
//! The keys of the new rows lie in memory; the table is read in streams. Files are chosen
//! by partition and by the bounds in the log, then by reading their key columns alone, and
//! only a file that holds a key is rewritten, one row group in memory at a time.

mod keys;
mod prune;
mod source;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::SchemaRef;
use futures::TryStreamExt;
use tokio::runtime::Handle;

pub(super) use keys::Keys;
pub(super) use source::Source;

use super::data::Written;
use super::error::LakeError;
use super::files::Files;
use super::partition;
use super::read::{DataRef, Shelf, open, select};
use prune::Pruner;

/// What has to change for the new rows to take their places.
pub(super) struct Change {
    /// Files with the rows that stay, and with the new rows that `Files` was given.
    pub(super) written: Vec<Written>,
    /// Files whose rows are all in `written` or gone.
    pub(super) removed: Vec<DataRef>,
}

/// A table as of one version, and where its rewritten rows go.
pub(super) struct Rewrite<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) files: &'a [DataRef],
    pub(super) schema: &'a SchemaRef,
    pub(super) runtime: &'a Handle,
}

impl Rewrite<'_> {
    /// Puts the newest row of each key of `source` in place of the table's, unless that one is newer.
    ///
    /// Runs on a thread that may block.
    pub(super) fn upsert(&self, source: &Source, mut out: Files) -> Result<Change, LakeError> {
        let mut current = source.current().to_vec();
        let removed = match self.replace_matching(
            &source.keys,
            &mut out,
            |rows, keys, stays| {
                let orders = source.encode_order(rows)?;
                for (row, key) in keys.iter().enumerate() {
                    let Some(at) = source.keys.find(key.as_ref()) else {
                        continue;
                    };
                    let number = source.winner(at);
                    if source.is_older(number, orders.as_ref().map(|orders| orders.row(row))) {
                        current[number as usize] = false;
                    } else {
                        stays.set_bit(row, false);
                    }
                }
                Ok(())
            },
            source.order_column(),
        ) {
            Ok(removed) => removed,
            Err(error) => return Err(self.abandon(out, error)),
        };
        let poured = source.for_each(|first, rows| {
            let wanted = &current[first..first + rows.num_rows()];
            let failed = || LakeError::arrow("choose rows", &self.shelf.table);
            let rows = match wanted.iter().all(|wanted| *wanted) {
                true => rows.clone(),
                false => {
                    let wanted = BooleanArray::from(wanted.to_vec());
                    arrow_select::filter::filter_record_batch(rows, &wanted).map_err(failed())?
                }
            };
            // Rows that came before a column was added do not have it.
            out.write(&super::read::to_schema(&rows, self.schema).map_err(failed())?)
        });
        match poured {
            Ok(()) => out.finish().map(|written| Change { written, removed }),
            Err(error) => Err(self.abandon(out, error)),
        }
    }

    /// Removes every row whose key is one of `keys`; the new rows are already in files of their own.
    pub(super) fn remove(&self, keys: &Keys, mut out: Files) -> Result<Change, LakeError> {
        let by_partition =
            |column: &String| self.shelf.partition_by.iter().any(|other| other.eq_ignore_ascii_case(column));
        if keys.columns.iter().all(by_partition) {
            return self.remove_partitions(keys);
        }
        let removed = self.replace_matching(
            keys,
            &mut out,
            |_, found, stays| {
                for (row, key) in found.iter().enumerate() {
                    if keys.find(key.as_ref()).is_some() {
                        stays.set_bit(row, false);
                    }
                }
                Ok(())
            },
            None,
        );
        match removed {
            Ok(removed) => out.finish().map(|written| Change { written, removed }),
            Err(error) => Err(self.abandon(out, error)),
        }
    }

    /// As `remove`, where the keys are partition values: whole files go, and none is read.
    fn remove_partitions(&self, keys: &Keys) -> Result<Change, LakeError> {
        let schema = select(&self.shelf.table, self.schema, Some(&keys.columns))?;
        let failed = || LakeError::arrow("compare partitions", &self.shelf.table);
        let mut removed = Vec::new();
        for file in self.files {
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
                removed.push(file.clone());
            }
        }
        Ok(Change { written: Vec::new(), removed })
    }

    fn abandon(&self, out: Files, error: LakeError) -> LakeError {
        let paths = out.complete_paths();
        drop(out);
        self.discard(paths);
        error
    }

    fn discard(&self, paths: Vec<String>) {
        let shelf = self.shelf;
        self.runtime.block_on(super::data::discard(&shelf.location, paths));
    }

    /// Rewrites each file of which `judge` lets not all rows stay, and returns those files.
    fn replace_matching(
        &self,
        keys: &Keys,
        out: &mut Files,
        mut judge: impl FnMut(
            &RecordBatch,
            &arrow_row::Rows,
            &mut BooleanBufferBuilder,
        ) -> Result<(), arrow_schema::ArrowError>,
        order: Option<&str>,
    ) -> Result<Vec<DataRef>, LakeError> {
        let failed = || LakeError::arrow("compare keys", &self.shelf.table);
        let pruner = Pruner::new(keys, &self.shelf.partition_by).map_err(failed())?;
        let mut looked_at = keys.columns.clone();
        looked_at.extend(order.map(str::to_owned));
        let key_schema = select(&self.shelf.table, self.schema, Some(&looked_at))?;
        let mut removed = Vec::new();
        for file in self.files.iter().filter(|file| pruner.may_hold(file)) {
            // One bit a row of this file.
            let mut stays = BooleanBufferBuilder::new(0);
            let mut batches = self.runtime.block_on(open(self.shelf, file, key_schema.clone()))?;
            while let Some(rows) = self.runtime.block_on(batches.try_next())? {
                let found = keys.encode(&rows).map_err(failed())?;
                let mut verdict = BooleanBufferBuilder::new(rows.num_rows());
                verdict.append_n(rows.num_rows(), true);
                judge(&rows, &found, &mut verdict).map_err(failed())?;
                stays.append_buffer(&verdict.finish());
            }
            drop(batches);
            let stays = stays.finish();
            let staying = stays.count_set_bits();
            if staying == stays.len() {
                continue;
            }
            removed.push(file.clone());
            if staying == 0 {
                continue;
            }
            let mut batches = self.runtime.block_on(open(self.shelf, file, self.schema.clone()))?;
            let mut row = 0;
            while let Some(rows) = self.runtime.block_on(batches.try_next())? {
                let verdict = BooleanArray::from(stays.slice(row, rows.num_rows()));
                row += rows.num_rows();
                if verdict.true_count() > 0 {
                    let rows = arrow_select::filter::filter_record_batch(&rows, &verdict).map_err(failed())?;
                    out.write(&rows)?;
                }
            }
        }
        Ok(removed)
    }
}
