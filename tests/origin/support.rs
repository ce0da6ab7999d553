//! What tests of whole lakes share: tables as text, and runs that are ended at a point.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use futures::TryStreamExt;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{CommitRecord, Step, Table};
use sluicebox_lake::Lake;

use crate::harness::{sluice, text};
use crate::lake::support::lines;

/// Columns that say when, which differ from run to run.
const WHEN: [&str; 2] = ["_ingested_at", "rejected_at"];

/// A table, or a quarantine, by its name.
pub async fn open(lake: &Path, name: &str) -> Table {
    let lake = Lake::open(text(lake)).expect("a lake");
    let (layer, name) = name.split_once('.').expect("tests write layer.table");
    let table = match [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|each| each.as_str() == layer) {
        Some(layer) => {
            let name = TableName { layer, name: name.to_owned() };
            lake.table(&TableSpec::new(name, WriteMode::Append)).await
        }
        None => lake.quarantine(name).await,
    };
    table.expect("the table can be opened")
}

/// Every row as text, sorted, without the columns that say when.
pub async fn rows(lake: &Path, name: &str) -> Vec<String> {
    let table = open(lake, name).await;
    let Some(schema) = table.schema() else { return Vec::new() };
    let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    columns.retain(|column| !WHEN.contains(&column.as_str()));
    columns.sort();
    let batches: Vec<_> = table.scan(Some(&columns)).await.expect("scan").try_collect().await.expect("readable rows");
    let mut rows: Vec<String> = batches.iter().flat_map(lines).collect();
    rows.sort();
    rows
}

/// Every commit of a table, oldest first.
pub async fn commits(lake: &Path, name: &str) -> Vec<CommitRecord> {
    let table = open(lake, name).await;
    if table.version().is_none() {
        return Vec::new();
    }
    let steps: Vec<Step> = table.history().await.expect("a history").try_collect().await.expect("readable entries");
    let commit = |step| match step {
        Step::Commit(commit) => *commit,
        Step::Gone { first, last } => panic!("versions {first} to {last} of {name} are gone"),
    };
    steps.into_iter().rev().map(commit).collect()
}

/// Runs the program so that it ends at a point. Whether it did; if it ended by itself, it
/// must have ended well.
pub fn crashes(arguments: &[String], point: &str, passing: usize) -> bool {
    let output = sluice::command()
        .args(arguments)
        .env(sluicebox_core::crash::VARIABLE, format!("{point}:{passing}"))
        .stdin(Stdio::null())
        .output()
        .expect("the program under test can be started");
    // A process that aborts leaves no exit code, only the signal.
    if output.status.signal().is_some() {
        return true;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// A copy of a folder and all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a temporary folder is writable");
    for entry in fs::read_dir(from).expect("the folder is readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a temporary folder is writable");
        }
    }
}
