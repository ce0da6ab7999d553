//! The changes of a table: which rows each version inserted, updated and deleted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use deltalake::kernel::Remove;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use roaring::RoaringTreemap;

use super::change_data::feed_schema;
use super::data_file::Written;
use super::error::DeltaError;
use super::follow::{Added, rows_of};
use super::log::{self, Entry};
use super::net_changes;
use super::read::{Arrangement, DataRef, ReadContext, path_of};
use super::row_changes;
use super::table::Table;
use super::vectors;
use sluicebox_core::columns::SystemColumn;

/// The rows that a commit changed.
#[derive(Clone, Debug)]
pub enum Changes {
    /// The table does not record its changes.
    None,
    /// All changes, as [`Table::changes_since`] returns them for this version: the same rows in the same order.
    InMemory(Vec<RecordBatch>),
    /// Too many to hold, or never in memory: [`Table::changes_since`] reads them.
    Stored,
}

impl Table {
    /// The changes of the commits after version `after`, or of all, up to the version of this handle: rows in the
    /// table's present schema with `_change_type` as in Delta and `_weight`, 1 for a row that is there now and -1 for
    /// one that was.
    ///
    /// Tables of any mode can be followed. Without `after`, and if the beginning of the log is gone, the rows of the
    /// present version are inserts of that version.
    pub async fn changes_since(
        &self,
        after: Option<u64>,
    ) -> Result<BoxStream<'static, Result<Added, DeltaError>>, DeltaError> {
        self.changes_by(after, Told::ByFile).await
    }

    /// As [`Self::changes_since`], without the rows that a version took away and put in place again.
    pub(super) async fn net_changes_since(
        &self,
        after: Option<u64>,
    ) -> Result<BoxStream<'static, Result<Added, DeltaError>>, DeltaError> {
        self.changes_by(after, Told::ByRow).await
    }

    async fn changes_by(&self, after: Option<u64>, told: Told) -> Result<Steps, DeltaError> {
        let Some(last) = self.version() else {
            return Ok(stream::empty().boxed());
        };
        let (context, schema) = (self.context()?, self.known_schema()?.clone());
        if after.is_none() && log::read(context.store.as_ref(), &context.table, 0).await?.is_none() {
            let files = self.files()?;
            let inserts = all_as(Arc::new(context), files, &schema, row_changes::INSERT, last);
            return Ok(inserts.chain(ended(last)).boxed());
        }
        let first = after.map_or(0, |after| after.saturating_add(1));
        Ok(stream::iter(first..=last)
            .then(move |version| changes_in(context.clone(), schema.clone(), version, told))
            .try_flatten()
            .boxed())
    }
}

/// What is told of a version that says only which files it rewrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// All rows of the files, as taken away and as put in place.
    ByFile,
    /// The rows that are not in both.
    ByRow,
}

type Steps = BoxStream<'static, Result<Added, DeltaError>>;

fn ended(version: u64) -> Steps {
    stream::once(std::future::ready(Ok(Added::End { version }))).boxed()
}

async fn changes_in(context: ReadContext, schema: SchemaRef, version: u64, by: Told) -> Result<Steps, DeltaError> {
    let table = context.table.clone();
    let entry = log::read(context.store.as_ref(), &table, version).await?;
    let entry = entry.ok_or_else(|| DeltaError::LogGone { table: table.clone(), version })?;
    let context = Arc::new(context);
    // If a version has change data, that is the complete change.
    if !entry.changes.is_empty() {
        let files: Vec<DataRef> = entry.changes.iter().map(|file| context.named(DataRef::of_changes(file))).collect();
        let feed = feed_schema(&schema);
        let pass = |removals: bool| {
            let table = table.clone();
            let rows = rows_of(Arc::clone(&context), files.clone(), feed.clone()).and_then(move |rows| {
                let chosen = weighed(&rows).and_then(|rows| of_kind(&rows, removals));
                std::future::ready(chosen.map_err(DeltaError::arrow("weigh changes", &table)))
            });
            let rows = rows.try_filter(|rows| std::future::ready(rows.num_rows() > 0));
            rows.map_ok(move |rows| Added::Rows { version, rows })
        };
        return Ok(pass(true).chain(pass(false)).chain(ended(version)).boxed());
    }
    let Entry { adds, removes, .. } = entry;
    let mut removed = Vec::new();
    for remove in removes.iter().filter(|remove| remove.data_change) {
        removed.push(context.named(removed_file(&context, remove).await?));
    }
    let mut added: Vec<DataRef> =
        adds.iter().filter(|add| add.data_change).map(|add| context.named(DataRef::of(add))).collect();
    for was in &mut removed {
        let Some(now) = added.iter_mut().find(|now| now.path == was.path) else {
            continue;
        };
        // The file remained, with other rows deleted than before.
        let (before, after) = (deleted_of(&context, was).await?, deleted_of(&context, now).await?);
        was.only = Some(Arc::new(&after - &before));
        now.only = Some(Arc::new(before - after));
    }
    let some = |file: &DataRef| file.only.as_ref().is_none_or(|only| !only.is_empty());
    removed.retain(some);
    added.retain(some);
    if by == Told::ByRow && !removed.is_empty() && !added.is_empty() && net_changes::is_comparable(&schema) {
        let only = |these: &[DataRef], others: &[DataRef], change| {
            let rows = net_changes::rows_only_in(&context, these, others, &schema);
            as_changes(rows, table.clone(), change, version)
        };
        let deletes = only(&removed, &added, row_changes::DELETE);
        let inserts = only(&added, &removed, row_changes::INSERT);
        return Ok(deletes.chain(inserts).chain(ended(version)).boxed());
    }
    let deletes = all_as(Arc::clone(&context), removed, &schema, row_changes::DELETE, version);
    let inserts = all_as(context, added, &schema, row_changes::INSERT, version);
    Ok(deletes.chain(inserts).chain(ended(version)).boxed())
}

async fn deleted_of(context: &ReadContext, file: &DataRef) -> Result<RoaringTreemap, DeltaError> {
    match &file.vector {
        Some(vector) => vectors::load(context, &file.path, vector).await,
        None => Ok(RoaringTreemap::new()),
    }
}

/// A removed file, as far as its log entry describes it.
async fn removed_file(context: &ReadContext, remove: &Remove) -> Result<DataRef, DeltaError> {
    let lacks = |what: &str| DeltaError::Feature { table: context.table.clone(), feature: what.to_owned() };
    let partition = match (&remove.partition_values, context.partition_by.is_empty()) {
        (Some(partition), _) => partition.clone(),
        (None, true) => HashMap::new(),
        (None, false) => return Err(lacks("removed files without their partition values")),
    };
    let (path, vector) = (remove.path.clone(), remove.deletion_vector.clone());
    let mut file = DataRef { path, size: 0, partition, stats: None, modified: 0, vector, only: None };
    file.size = match remove.size.and_then(|size| u64::try_from(size).ok()) {
        Some(size) => size,
        None => {
            let path = path_of(context, &file)?;
            let failed = DeltaError::store("read data file", format!("{}/{path}", context.table));
            context.store.head(&path).await.map_err(failed)?.size
        }
    };
    Ok(file)
}

/// All rows of some files, with the same change type.
fn all_as(
    context: Arc<ReadContext>,
    files: Vec<DataRef>,
    schema: &SchemaRef,
    change: &'static str,
    version: u64,
) -> impl futures::Stream<Item = Result<Added, DeltaError>> + Send + use<> {
    let table = context.table.clone();
    as_changes(rows_of(context, files, schema.clone()), table, change, version)
}

/// Rows of a table that are all the same change.
fn as_changes(
    rows: BoxStream<'static, Result<RecordBatch, DeltaError>>,
    table: String,
    change: &'static str,
    version: u64,
) -> impl futures::Stream<Item = Result<Added, DeltaError>> + Send + use<> {
    rows.and_then(move |rows| {
        let told = told(&rows, change).map_err(DeltaError::arrow("weigh changes", &table));
        std::future::ready(told.map(|rows| Added::Rows { version, rows }))
    })
}

/// Rows with the same change type, and their weight.
fn told(rows: &RecordBatch, change: &str) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec![change; rows.num_rows()])));
    columns.push(Arc::new(Int64Array::from_value(row_changes::weight_of(change), rows.num_rows())));
    RecordBatch::try_new(changes_schema(&feed_schema(&rows.schema())), columns)
}

/// Rows of change data with their weight.
fn weighed(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let absent =
        || ArrowError::SchemaError(format!("change data without column '{}'", SystemColumn::ChangeType.name()));
    let words = SystemColumn::ChangeType.values(rows).and_then(|words| words.as_string_opt::<i32>());
    let words = words.ok_or_else(absent)?;
    let weights: Int64Array = words.iter().map(|word| word.map(row_changes::weight_of)).collect();
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(weights));
    RecordBatch::try_new(changes_schema(rows.schema_ref()), columns)
}

/// The removals of a version's changes, or its insertions.
///
/// All removals of a version come before all its insertions: a row may move to another partition, and so to another
/// file of change data, and a follower by key would otherwise delete the row just inserted.
fn of_kind(rows: &RecordBatch, removals: bool) -> Result<RecordBatch, ArrowError> {
    let weights = SystemColumn::Weight.values(rows).and_then(|weights| weights.as_primitive_opt::<Int64Type>());
    let absent = || ArrowError::SchemaError(format!("changes without column '{}'", SystemColumn::Weight.name()));
    let chosen: BooleanArray = weights
        .ok_or_else(absent)?
        .iter()
        .map(|weight| Some(weight.is_some_and(|weight| weight < 0) == removals))
        .collect();
    if chosen.true_count() == rows.num_rows() { Ok(rows.clone()) } else { filter_record_batch(rows, &chosen) }
}

fn changes_schema(feed: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = feed.fields().iter().cloned().collect();
    fields.push(Arc::new(SystemColumn::Weight.field()));
    Arc::new(Schema::new(fields))
}

/// The rows of a commit's files as [`Table::changes_since`] will read them; `None` if some were not kept.
///
/// `change` is the change type of all rows, if the files do not record it.
pub(super) fn kept_changes(
    files: &[&Written],
    partition_by: &[String],
    schema: &SchemaRef,
    change: Option<&str>,
    table: &str,
) -> Result<Option<Vec<RecordBatch>>, DeltaError> {
    let failed = || DeltaError::arrow("weigh changes", table);
    let shape = match change {
        Some(_) => schema.clone(),
        None => feed_schema(schema),
    };
    let mut batches = Vec::new();
    for written in files {
        let Some(kept) = &written.kept else {
            return Ok(None);
        };
        for rows in kept {
            // The same steps as for rows read from the file, except for decoding.
            let add = &written.add;
            let arrangement =
                Arrangement::new(partition_by, &add.partition_values, rows.schema_ref(), &shape, &add.path)?;
            let rows = arrangement.apply(rows).map_err(failed())?;
            batches.push(match change {
                Some(change) => told(&rows, change).map_err(failed())?,
                None => weighed(&rows).map_err(failed())?,
            });
        }
    }
    if change.is_some() {
        return Ok(Some(batches));
    }
    let mut ordered = Vec::with_capacity(batches.len() * 2);
    for removals in [true, false] {
        for rows in &batches {
            ordered.push(of_kind(rows, removals).map_err(failed())?);
        }
    }
    ordered.retain(|rows| rows.num_rows() > 0);
    Ok(Some(ordered))
}
