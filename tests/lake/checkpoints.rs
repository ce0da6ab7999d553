//! Checkpoints of the log: all that a table is, laid out so that opening it does not cost what it was.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use sluicebox_core::plan::WriteMode;

use super::support::{Sandbox, at, put, rows, sorted, spec, upsert};
use crate::harness::duckdb;

fn log(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("words").join("_delta_log")
}

fn checkpoint(folder: &Path) -> PathBuf {
    folder.join("00000000000000000020.checkpoint.parquet")
}

/// The actions that each row group of a checkpoint holds, with its rows.
fn layers(path: &Path) -> Vec<(Vec<&'static str>, i64)> {
    let reader = SerializedFileReader::new(File::open(path).expect("open")).expect("Parquet");
    let groups = reader.metadata().row_groups().iter();
    let witnesses = [("metaData.id", "metaData"), ("txn.appId", "txn"), ("add.path", "add"), ("remove.path", "remove")];
    groups
        .map(|group| {
            let held = witnesses.iter().filter(|(witness, _)| {
                let column = group.columns().iter().find(|column| column.column_path().string() == *witness);
                let nulls = column.and_then(|column| column.statistics()?.null_count_opt()).expect("a null count");
                nulls < group.num_rows() as u64
            });
            (held.map(|(_, action)| *action).collect(), group.num_rows())
        })
        .collect()
}

/// Twenty-two commits, each of which replaces the file before it.
async fn replaced(sandbox: &Sandbox) {
    let mut table = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    for round in 1..=22 {
        put(&mut table, &[rows(&[1, 2], &[&format!("a{round}"), "b"])], at("f", round)).await.expect("commit");
    }
}

#[tokio::test]
async fn each_kind_of_action_has_row_groups_of_its_own() {
    let sandbox = Sandbox::new();
    replaced(&sandbox).await;
    let found = layers(&checkpoint(&log(&sandbox)));
    // Protocol, metadata and one lane; the file that is; the files that were.
    assert_eq!(found, [(vec!["metaData", "txn"], 3), (vec!["add"], 1), (vec!["remove"], 19)]);
    let hint = fs::read_to_string(log(&sandbox).join("_last_checkpoint")).expect("a hint");
    let hint: Value = serde_json::from_str(&hint).expect("JSON");
    let size = fs::metadata(checkpoint(&log(&sandbox))).expect("a file").len();
    assert_eq!(hint, json!({ "version": 20, "size": 23, "sizeInBytes": size, "numOfAddFiles": 1 }));
    for version in 0..20 {
        fs::remove_file(log(&sandbox).join(format!("{version:020}.json"))).expect("remove");
    }
    let again = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    assert_eq!(sorted(&again).await, ["1|a22", "2|b"]);
    assert_eq!(again.positions("shop/hop/").await.expect("positions").get("f"), Some(22));
    let words = "select id, word from delta_scan('{lake}/silver/words') order by id";
    if let Some(found) = duckdb::rows(sandbox.path("words").ancestors().nth(2).expect("a lake"), words) {
        assert_eq!(found, [json!({ "id": 1, "word": "a22" }), json!({ "id": 2, "word": "b" })]);
    }
}

#[tokio::test]
async fn a_table_of_only_transactions_has_one() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    for round in 1..=22 {
        put(&mut table, &[rows(&[], &[])], at("f", round)).await.expect("commit");
    }
    assert_eq!(layers(&checkpoint(&log(&sandbox))), [(vec!["metaData", "txn"], 3)]);
    let again = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    assert_eq!(again.positions("shop/hop/").await.expect("positions").get("f"), Some(22));
}

#[tokio::test]
async fn two_writers_make_one_and_leave_no_draft() {
    let sandbox = Sandbox::new();
    let spec = spec("words", upsert("id", None));
    let mut one = sandbox.lake.table(&spec).await.expect("table");
    let mut two = sandbox.lake.table(&spec).await.expect("table");
    for round in 1..=22 {
        let words = [rows(&[1], &["a"]), rows(&[2], &["b"])];
        put(&mut one, &words[..1], at("f", round)).await.expect("commit");
        put(&mut two, &words[1..], at("g", round)).await.expect("commit");
    }
    let names = fs::read_dir(log(&sandbox)).expect("log").map(|entry| entry.expect("entry").file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let checkpoints = names.iter().filter(|name| name.ends_with(".checkpoint.parquet")).count();
    assert_eq!((checkpoints, names.iter().any(|name| name.ends_with(".tmp"))), (2, false), "{names:?}");
    let again = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!(sorted(&again).await, ["1|a", "2|b"]);
}
