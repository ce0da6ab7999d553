//! The Delta log as files: single commits, and the `txn` actions of the whole log.
//!
//! deltalake keeps the state of the table; it does not give all application transactions
//! in one pass, and a hop may have thousands of lanes.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, StructArray};
use bytes::Bytes;
use deltalake::kernel::{Add, AddCDCFile, CommitInfo, Remove};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use serde_json::Value;

use super::error::DeltaError;
use super::object::Object;
use sluicebox_stores::checkpoint_name;

/// How many log entries are fetched at once: enough to hide latency, few enough to be polite.
const CONCURRENT_READS: usize = 16;

/// What one commit did, as far as this program looks at it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) info: Option<CommitInfo>,
    pub(super) adds: Vec<Add>,
    pub(super) removes: Vec<Remove>,
    pub(super) changes: Vec<AddCDCFile>,
    pub(super) transactions: Vec<(String, i64)>,
}

/// The path of a version's log entry, from the table's root.
pub(super) fn entry_path(version: u64) -> Path {
    Path::from_iter(["_delta_log".to_owned(), format!("{version:020}.json")])
}

/// The path of a version's checkpoint, from the table's root, as this program makes them.
pub(super) fn checkpoint_path(version: u64) -> Path {
    Path::from_iter(["_delta_log".to_owned(), format!("{version:020}.checkpoint.parquet")])
}

/// Whether there is a log, as far as two names tell that nearly every log has. Listing a long one to
/// find out takes longer than reading its end; who gets `false` has to list.
pub(super) async fn is_there(store: &dyn ObjectStore, table: &str) -> Result<bool, DeltaError> {
    for path in [Path::from("_delta_log/_last_checkpoint"), entry_path(0)] {
        match store.head(&path).await {
            Ok(_) => return Ok(true),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(DeltaError::store("look for", format!("{table}/{path}"))(error)),
        }
    }
    Ok(false)
}

/// A version's log entry, or `None` if there is none (any more).
pub(super) async fn read(store: &dyn ObjectStore, table: &str, version: u64) -> Result<Option<Entry>, DeltaError> {
    let path = entry_path(version);
    let fetched = match store.get(&path).await {
        Ok(found) => found.bytes().await,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => Err(error),
    };
    let bytes = fetched.map_err(DeltaError::store("read log entry", format!("{table}/{path}")))?;
    parse(&bytes).map(Some).map_err(|source| DeltaError::Log { table: table.to_owned(), version, source })
}

fn parse(bytes: &Bytes) -> Result<Entry, serde_json::Error> {
    if bytes.trim_ascii().is_empty() {
        // No commit is empty: the entry was damaged, and what it said of files is lost. Reading it says so.
        return serde_json::from_slice(bytes).map(|_: Value| Entry::default());
    }
    let mut entry = Entry::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let Value::Object(action) = serde_json::from_slice(line)? else {
            continue;
        };
        // Every line is one action; actions of kinds that we do not know change nothing here.
        for (kind, body) in action {
            match kind.as_str() {
                "add" => entry.adds.push(serde_json::from_value(body)?),
                "remove" => entry.removes.push(serde_json::from_value(body)?),
                "cdc" => entry.changes.push(serde_json::from_value(body)?),
                "commitInfo" => entry.info = Some(serde_json::from_value(body)?),
                "txn" => entry.transactions.extend(transaction(&body)),
                _ => {}
            }
        }
    }
    Ok(entry)
}

fn transaction(body: &Value) -> Option<(String, i64)> {
    Some((body.get("appId")?.as_str()?.to_owned(), body.get("version")?.as_i64()?))
}

/// The newest version of a log, or `None` where there is none.
pub(super) async fn newest_version(store: &Arc<dyn ObjectStore>, table: &str) -> Result<Option<u64>, DeltaError> {
    let folder = Path::from("_delta_log");
    let hint = last_checkpoint(store).await.unwrap_or(0);
    for from in [hint, 0] {
        let before = Path::from_iter(["_delta_log".to_owned(), format!("{from:020}")]);
        let mut listing = store.list_with_offset(Some(&folder), &before);
        let mut newest = None;
        let failed = || DeltaError::store("list", format!("{table}/{folder}"));
        while let Some(object) = listing.try_next().await.map_err(failed())? {
            let name = object.location.filename();
            let version = name.and_then(|name| name.strip_suffix(".json")?.parse().ok());
            newest = newest.max(version);
        }
        // A hint may be wrong.
        if newest.is_some() || from == 0 {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// Every application transaction of the table at `version`.
pub(super) async fn transactions(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    version: u64,
) -> Result<HashMap<String, i64>, DeltaError> {
    let mut found = HashMap::new();
    let mut from = 0;
    if let Some((checkpoint, files)) = newest_checkpoint(store, table, version).await? {
        for file in files {
            checkpoint_transactions(store, table, file, &mut found).await?;
        }
        from = checkpoint + 1;
    }
    if from <= version {
        transactions_of(store, table, from..=version, &mut found).await?;
    }
    Ok(found)
}

/// Brings `found` forward over the commits of `versions`.
pub(super) async fn transactions_of(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    versions: RangeInclusive<u64>,
    found: &mut HashMap<String, i64>,
) -> Result<(), DeltaError> {
    let mut entries = stream::iter(versions.map(|version| async move {
        let entry = read(store.as_ref(), table, version).await?;
        entry.ok_or_else(|| DeltaError::LogGone { table: table.to_owned(), version })
    }))
    .buffered(CONCURRENT_READS);
    while let Some(entry) = entries.try_next().await? {
        found.extend(entry.transactions);
    }
    Ok(())
}

/// The files of the newest complete checkpoint that is not newer than `version`.
async fn newest_checkpoint(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    version: u64,
) -> Result<Option<(u64, Vec<ObjectMeta>)>, DeltaError> {
    let folder = Path::from("_delta_log");
    // The log says where its newest checkpoint is, so that not all of it has to be listed.
    if let Some(hint) = last_checkpoint(store).await.filter(|hint| *hint <= version) {
        let offset = Path::from_iter(["_delta_log".to_owned(), format!("{hint:020}")]);
        let newer = checkpoint_of(store.list_with_offset(Some(&folder), &offset), table, version).await?;
        if newer.is_some() {
            return Ok(newer);
        }
    }
    checkpoint_of(store.list(Some(&folder)), table, version).await
}

/// What the log itself says to be its newest checkpoint: a hint, which may be missing or wrong.
async fn last_checkpoint(store: &Arc<dyn ObjectStore>) -> Option<u64> {
    let found = store.get(&Path::from("_delta_log/_last_checkpoint")).await.ok()?;
    let hint: Value = serde_json::from_slice(&found.bytes().await.ok()?).ok()?;
    hint.get("version")?.as_u64()
}

/// The files of the newest complete checkpoint of a listing that is not newer than `version`.
async fn checkpoint_of(
    mut listing: BoxStream<'static, object_store::Result<ObjectMeta>>,
    table: &str,
    version: u64,
) -> Result<Option<(u64, Vec<ObjectMeta>)>, DeltaError> {
    let folder = "_delta_log";
    let mut found: HashMap<(u64, Option<usize>), Vec<ObjectMeta>> = HashMap::new();
    while let Some(object) = listing.try_next().await.map_err(DeltaError::store("list", format!("{table}/{folder}")))? {
        let Some(name) = object.location.filename() else {
            continue;
        };
        if let Some((at, parts)) = checkpoint_name(name)
            && at <= version
        {
            found.entry((at, parts)).or_default().push(object);
        }
    }
    let newest = found
        .into_iter()
        .filter(|((_, parts), files)| parts.is_none_or(|parts| parts == files.len()))
        .max_by_key(|((at, _), _)| *at);
    // Of several unpartitioned checkpoints of one version any will do: they say the same.
    Ok(newest.map(|((at, parts), files)| (at, files.into_iter().take(parts.unwrap_or(1)).collect())))
}

async fn checkpoint_transactions(
    store: &Arc<dyn ObjectStore>,
    table: &str,
    file: ObjectMeta,
    found: &mut HashMap<String, i64>,
) -> Result<(), DeltaError> {
    let name = format!("{table}/{}", file.location);
    if file.location.extension() == Some("json") {
        let fetched = match store.get(&file.location).await {
            Ok(object) => object.bytes().await,
            Err(error) => Err(error),
        };
        let bytes = fetched.map_err(DeltaError::store("read checkpoint", &name))?;
        let entry = parse(&bytes).map_err(|source| DeltaError::Log { table: table.to_owned(), version: 0, source })?;
        found.extend(entry.transactions);
        return Ok(());
    }
    let failed = || DeltaError::parquet("read checkpoint in", &name);
    let reader = Object { store: Arc::clone(store), path: file.location, size: file.size };
    // What another writer says of its Arrow types does not matter here.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await.map_err(failed())?;
    let columns = builder.parquet_schema();
    let wanted: Vec<usize> = (0..columns.num_columns())
        .filter(|leaf| matches!(columns.column(*leaf).path().parts(), [root, ..] if root == "txn"))
        .collect();
    // Most of a checkpoint is about files.
    let app = wanted.iter().copied().find(|leaf| columns.column(*leaf).name() == "appId");
    let holds = |group: &RowGroupMetaData| {
        let nulls = app.and_then(|app| group.column(app).statistics()?.null_count_opt());
        nulls.is_none_or(|nulls| i64::try_from(nulls) != Ok(group.num_rows()))
    };
    let groups = builder.metadata().row_groups().iter().enumerate();
    let groups = groups.filter(|(_, group)| holds(group)).map(|(index, _)| index).collect();
    let mask = ProjectionMask::leaves(columns, wanted);
    let mut batches = builder.with_row_groups(groups).with_projection(mask).build().map_err(failed())?;
    while let Some(batch) = batches.try_next().await.map_err(failed())? {
        if let Some(transactions) = batch.column_by_name("txn").and_then(|column| column.as_struct_opt()) {
            collect_transactions(transactions, found).map_err(failed())?;
        }
    }
    Ok(())
}

/// Without them rows would be taken again, so that a column that is not as it must be is an error.
fn collect_transactions(transactions: &StructArray, found: &mut HashMap<String, i64>) -> Result<(), ParquetError> {
    let strange = |column: &str| ParquetError::General(format!("txn.{column} is missing or of another type"));
    let apps = transactions.column_by_name("appId").and_then(|column| column.as_string_opt::<i32>());
    let apps = apps.ok_or_else(|| strange("appId"))?;
    let versions = transactions.column_by_name("version").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let versions = versions.ok_or_else(|| strange("version"))?;
    for row in 0..transactions.len() {
        if transactions.is_valid(row) && apps.is_valid(row) && versions.is_valid(row) {
            found.insert(apps.value(row).to_owned(), versions.value(row));
        }
    }
    Ok(())
}
