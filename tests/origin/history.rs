//! The history of a table is what its log says, whoever wrote it, and nothing else.

use std::fs;

use futures::TryStreamExt;
use serde_json::{Value, json};
use sluicebox_core::plan::WriteMode;
use sluicebox_delta::{CommitRecord, Step, Table};

use crate::harness::{sluice, text};
use crate::lake::support::{Sandbox, at, put, rows, spec, upsert};

async fn steps(table: &Table) -> Vec<Step> {
    table.history().await.expect("a history").try_collect().await.expect("readable entries")
}

fn commits(steps: &[Step]) -> Vec<&CommitRecord> {
    steps.iter().filter_map(|step| if let Step::Commit(commit) = step { Some(&**commit) } else { None }).collect()
}

#[tokio::test]
async fn commits_are_told_newest_first_with_their_maker() {
    let sandbox = Sandbox::new();
    let spec = spec("words", upsert("id", None));
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f", 2)).await.expect("commit");
    put(&mut table, &[rows(&[2], &["c"])], at("f", 3)).await.expect("commit");

    let steps = steps(&table).await;
    let commits = commits(&steps);
    assert_eq!(commits.iter().map(|commit| commit.version).collect::<Vec<_>>(), [2, 1, 0]);
    let newest = commits[0];
    assert_eq!((newest.made("pipeline"), newest.made("hop")), (Some("shop"), Some("hop")));
    assert_eq!(newest.transactions, [("shop/hop/f".to_owned(), 3)]);
    assert_eq!(newest.operation.as_deref(), Some("MERGE"));
    assert_eq!(newest.files_removed, 1, "the file that held row 2 gave way");
    assert!(newest.bytes_removed > 0 && newest.data_change);
    assert_eq!((commits[1].files_added, commits[1].rows_added), (1, Some(2)));
    assert!(!commits[2].data_change, "creating a table brings no rows");
}

#[tokio::test]
async fn commits_of_others_are_shown_as_what_they_call_themselves() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let entry = json!({ "commitInfo": { "timestamp": 1, "operation": "OPTIMIZE", "engineInfo": "\u{1b}[31mother" } });
    let log = sandbox.path("words").join("_delta_log");
    fs::write(log.join("00000000000000000002.json"), entry.to_string()).expect("a temporary folder is writable");
    // Not even an operation has to be there.
    fs::write(log.join("00000000000000000003.json"), r#"{"txn":{"appId":"else","version":7}}"#)
        .expect("a temporary folder is writable");

    let lake = sandbox.folder.path().join("lake");
    let shown = sluice::run(&["history", "silver.words", "--lake", text(&lake)]).ok().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines[1].contains("(nobody says)") && lines[1].contains("else 7"), "{shown}");
    assert!(lines[2].contains("OPTIMIZE") && lines[2].contains(r"\u{1b}[31mother"), "{shown}");
    assert!(lines[3].contains("shop/hop") && lines[3].contains("f 1"), "{shown}");

    let limited = sluice::run(&["history", "silver.words", "--lake", text(&lake), "--json", "-n", "2"]).ok();
    let events = limited.events();
    assert_eq!(events.len(), 2, "{limited}");
    assert_eq!((&events[0]["version"], &events[0]["hop"]), (&json!(3), &Value::Null));
    assert_eq!(events[0]["positions"]["else"], 7);
}

#[tokio::test]
async fn what_was_cleaned_is_said_and_not_guessed() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    for position in 1..=23 {
        put(&mut table, &[rows(&[position], &["a"])], at("f", position)).await.expect("commit");
    }
    let log = sandbox.path("words").join("_delta_log");
    assert!(log.join("00000000000000000020.checkpoint.parquet").is_file(), "a checkpoint is due every 20 versions");
    for version in 0..=17 {
        fs::remove_file(log.join(format!("{version:020}.json"))).expect("the entry is there");
    }
    let again = sandbox.lake.table(&spec).await.expect("table");
    let steps = steps(&again).await;
    assert_eq!(steps.len(), 7, "versions 23 to 18, and all that is gone");
    assert_eq!(steps.last(), Some(&Step::Gone { first: 0, last: 17 }));

    let lake = sandbox.folder.path().join("lake");
    let shown = sluice::run(&["history", "silver.words", "--lake", text(&lake), "-n", "0"]).ok().stdout;
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains("0–17") && last.contains("no longer in the log"), "{shown}");
}

#[test]
fn a_table_that_is_not_there_is_an_error_and_a_word_that_is_no_table_wrong_usage() {
    let sandbox = Sandbox::new();
    let lake = sandbox.folder.path().join("lake");
    let absent = sluice::run(&["history", "silver.nothing", "--lake", text(&lake)]).failed(1);
    assert!(absent.stderr.contains("does not exist yet"), "{absent}");
    let wrong = sluice::run(&["history", "nothing", "--lake", text(&lake)]).failed(2);
    assert!(wrong.stderr.contains("layer.table"), "{wrong}");
}
