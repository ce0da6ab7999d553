//! A lake in a temporary folder, and rows for it.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{FieldRef, Schema};
use futures::TryStreamExt;
use sluicebox_core::batch::Positions;
use sluicebox_core::columns::{SystemNames, relabelled};
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Added, Commit, Committed, Provenance, Refused, Table};
use sluicebox_lake::Lake;
use tempfile::TempDir;

/// A lake that goes away with this value.
pub struct Sandbox {
    pub folder: TempDir,
    pub lake: Lake,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open(folder.path().join("lake").to_str().expect("a path in UTF-8")).expect("a lake");
        Self { folder, lake }
    }

    /// The folder of a silver table.
    pub fn path(&self, table: &str) -> std::path::PathBuf {
        self.folder.path().join("lake/silver").join(table)
    }
}

pub fn spec(name: &str, mode: WriteMode) -> TableSpec {
    TableSpec::new(TableName { layer: Layer::Silver, name: name.to_owned() }, mode)
}

pub fn upsert(key: &str, order_by: Option<&str>) -> WriteMode {
    WriteMode::Upsert { key: vec![key.to_owned()], order_by: order_by.map(str::to_owned), delete_when: None }
}

/// Rows of a number and a word.
pub fn rows(ids: &[i64], words: &[&str]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let word: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
    RecordBatch::try_from_iter([("id", id), ("word", word)]).expect("columns of one length")
}

/// The same rows, in which columns with the standard names of the host's are the host's.
pub fn marked(rows: &RecordBatch) -> RecordBatch {
    let names = SystemNames::default();
    let field = |field: &FieldRef| match names.named(field.name()) {
        Some(column) => Arc::new(column.mark(field.as_ref().clone())),
        None => field.clone(),
    };
    let fields: Vec<FieldRef> = rows.schema().fields().iter().map(field).collect();
    relabelled(rows, Arc::new(Schema::new(fields)))
}

pub fn at(lane: &str, position: i64) -> Positions {
    Positions::of(lane.into(), position)
}

pub fn commit(positions: Positions) -> Commit {
    let provenance = Provenance { hop: "hop".into(), pipeline: "shop".into(), ..Provenance::default() };
    Commit { app: "shop/hop".into(), positions, begun: None, provenance, whole: false }
}

/// Creates the table if need be, writes the batches and commits them.
pub async fn put(table: &mut Table, batches: &[RecordBatch], positions: Positions) -> Result<Committed, DeltaError> {
    let (committed, refused) = put_some(table, batches, positions).await?;
    assert_eq!(refused, []);
    Ok(committed)
}

pub async fn put_some(
    table: &mut Table,
    batches: &[RecordBatch],
    positions: Positions,
) -> Result<(Committed, Vec<Refused>), DeltaError> {
    if let Some(first) = batches.first() {
        table.create(&first.schema(), Provenance::default()).await?;
    }
    let mut writer = table.begin().await?;
    let batches = batches.to_vec();
    // Writing may block, as the pipeline's threads do.
    let (writer, refused) = tokio::task::spawn_blocking(move || {
        let mut refused = Vec::new();
        for batch in &batches {
            match writer.write(batch) {
                Ok(some) => refused.extend(some.refused),
                Err(error) => return (writer, Err(error)),
            }
        }
        (writer, Ok(refused))
    })
    .await
    .expect("the writing thread does not panic");
    match refused {
        Ok(refused) => Ok((table.commit(writer, commit(positions)).await?, refused)),
        Err(error) => {
            writer.abandon().await;
            Err(error)
        }
    }
}

/// All rows as text, sorted.
pub async fn sorted(table: &Table) -> Vec<String> {
    let mut lines = scanned(table).await;
    lines.sort();
    lines
}

pub async fn scanned(table: &Table) -> Vec<String> {
    let batches: Vec<RecordBatch> = table.scan(None).await.expect("scan").try_collect().await.expect("rows");
    batches.iter().flat_map(lines).collect()
}

/// Rows as text, `null` for nulls.
pub fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::new().with_null("null");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| arrow_cast::display::ArrayFormatter::try_new(column.as_ref(), &options).expect("printable"))
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}

/// What is to be followed after a version: rows as text, and `-- <version>` where one ends.
pub async fn followed(table: &Table, after: Option<u64>) -> Result<Vec<String>, DeltaError> {
    let steps: Vec<Added> = table.added_since(after).await?.try_collect().await?;
    Ok(steps
        .into_iter()
        .flat_map(|step| match step {
            Added::Rows { rows, .. } => lines(&rows),
            Added::End { version } => vec![format!("-- {version}")],
        })
        .collect())
}

/// The data files in a folder, at any depth.
pub fn data_files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with("_delta_log"))
        .map(|entry| if entry.path().is_dir() { data_files(&entry.path()) } else { 1 })
        .sum()
}
