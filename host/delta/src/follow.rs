//! Reads a table's rows: all of them, or those added since a version.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::error::DeltaError;
use super::log;
use super::read::{DataRef, ReadContext, open, select};
use super::table::Table;
use sluicebox_core::plan::OnDeletes;

/// A step of following a table.
#[derive(Clone, Debug)]
pub enum Added {
    /// Rows that a version added, in the table's present schema.
    Rows {
        /// The version.
        version: u64,
        /// At most 8,192 rows.
        rows: RecordBatch,
    },
    /// The end of this version's rows, if it added any.
    End {
        /// The version.
        version: u64,
    },
}

impl Table {
    /// The rows of the commits after version `after`, or of all, up to the version of this handle: in the order of
    /// commits, then of files, then of rows.
    ///
    /// A commit that removed rows is an error; one that only rearranged files adds nothing.
    pub async fn added_since(
        &self,
        after: Option<u64>,
    ) -> Result<BoxStream<'static, Result<Added, DeltaError>>, DeltaError> {
        self.followed_since(after, OnDeletes::Stop).await
    }

    /// As [`Self::added_since`], with an answer to commits that removed rows: they are an error, or they add
    /// nothing, or what comes are changes as those of [`Self::changes_since`], without the rows that a commit only
    /// wrote again.
    pub async fn followed_since(
        &self,
        after: Option<u64>,
        on_deletes: OnDeletes,
    ) -> Result<BoxStream<'static, Result<Added, DeltaError>>, DeltaError> {
        let skips = match on_deletes {
            OnDeletes::Follow => return self.net_changes_since(after).await,
            OnDeletes::Skip => true,
            OnDeletes::Stop => false,
        };
        let Some(last) = self.version() else {
            return Ok(stream::empty().boxed());
        };
        let (context, schema) = (self.context()?, self.known_schema()?.clone());
        let first = after.map_or(0, |after| after.saturating_add(1));
        Ok(stream::iter(first..=last)
            .then(move |version| added_in(context.clone(), schema.clone(), version, skips))
            .try_flatten()
            .boxed())
    }

    /// Every row of this handle's version, in batches of at most 8,192, with all columns or those named, in that
    /// order. One row group is in memory at a time.
    pub async fn scan(
        &self,
        columns: Option<&[String]>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, DeltaError>>, DeltaError> {
        if self.version().is_none() {
            return Ok(stream::empty().boxed());
        }
        let schema = select(&self.options.name, self.known_schema()?, columns)?;
        Ok(rows_of(Arc::new(self.context()?), self.files()?, schema))
    }
}

async fn added_in(
    context: ReadContext,
    schema: SchemaRef,
    version: u64,
    skips: bool,
) -> Result<BoxStream<'static, Result<Added, DeltaError>>, DeltaError> {
    let table = context.table.clone();
    let entry = log::read(context.store.as_ref(), &table, version).await?;
    let entry = entry.ok_or_else(|| DeltaError::LogGone { table: table.clone(), version })?;
    let end = stream::once(std::future::ready(Ok(Added::End { version })));
    if entry.removes.iter().any(|remove| remove.data_change) {
        if !skips {
            return Err(DeltaError::Removed { table, version });
        }
        tracing::warn!(table, version, "it removed rows, and is left out");
        return Ok(end.boxed());
    }
    let mut files = Vec::new();
    for add in entry.adds.into_iter().filter(|add| add.data_change) {
        files.push(context.named(DataRef::of(&add)));
    }
    let rows = rows_of(Arc::new(context), files, schema).map_ok(move |rows| Added::Rows { version, rows });
    Ok(rows.chain(end).boxed())
}

/// The rows of some files with the columns of `schema`, file by file.
pub(super) fn rows_of(
    context: Arc<ReadContext>,
    files: Vec<DataRef>,
    schema: SchemaRef,
) -> BoxStream<'static, Result<RecordBatch, DeltaError>> {
    stream::iter(files)
        .then(move |file| {
            let (context, schema) = (Arc::clone(&context), schema.clone());
            async move { open(&context, &file, schema).await }
        })
        .try_flatten()
        .boxed()
}
