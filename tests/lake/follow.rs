//! Following a table as a sequence of added rows.

use sluicebox_core::plan::WriteMode;
use sluicebox_delta::DeltaError;

use super::support::{Sandbox, at, followed, put, rows, spec, upsert};

#[tokio::test]
async fn rows_come_in_the_order_of_commits() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    assert!(followed(&table, None).await.expect("no table, no rows").is_empty());
    put(&mut table, &[rows(&[3, 1], &["c", "a"]), rows(&[2], &["b"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[], &[])], at("f", 2)).await.expect("commit");
    put(&mut table, &[rows(&[0], &["z"])], at("f", 3)).await.expect("commit");
    assert_eq!(
        followed(&table, None).await.expect("all"),
        ["-- 0", "3|c", "1|a", "2|b", "-- 1", "-- 2", "0|z", "-- 3"]
    );
    assert_eq!(followed(&table, Some(1)).await.expect("rest"), ["-- 2", "0|z", "-- 3"]);
    assert!(followed(&table, Some(3)).await.expect("none").is_empty());
    assert!(followed(&table, Some(u64::MAX)).await.expect("none").is_empty());
}

#[tokio::test]
async fn a_table_that_loses_rows_cannot_be_followed() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[2], &["b"])], at("f", 2)).await.expect("commit");
    assert_eq!(followed(&table, Some(0)).await.expect("only new keys so far"), ["1|a", "-- 1", "2|b", "-- 2"]);
    put(&mut table, &[rows(&[1], &["c"])], at("f", 3)).await.expect("commit");
    let error = followed(&table, Some(1)).await.expect_err("removed");
    assert!(matches!(error, DeltaError::Removed { version: 3, .. }), "{error}");
    assert!(followed(&table, Some(3)).await.expect("beyond it").is_empty());
}

#[tokio::test]
async fn versions_that_are_gone_are_told() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    for id in 0..22 {
        put(&mut table, &[rows(&[id], &["a"])], at("f", id + 1)).await.expect("commit");
    }
    std::fs::remove_file(sandbox.path("words").join("_delta_log/00000000000000000003.json")).expect("remove");
    let error = followed(&table, None).await.expect_err("gone");
    assert!(matches!(error, DeltaError::LogGone { version: 3, .. }), "{error}");
    assert_eq!(followed(&table, Some(21)).await.expect("the rest"), ["21|a", "-- 22"]);
}

#[tokio::test]
async fn rearranged_files_add_nothing() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    // As OPTIMIZE of any tool writes it.
    let log = sandbox.path("words").join("_delta_log");
    let entry = std::fs::read_to_string(log.join("00000000000000000001.json")).expect("entry");
    let add = entry
        .lines()
        .find(|line| line.starts_with("{\"add\""))
        .expect("add")
        .replace("\"dataChange\":true", "\"dataChange\":false");
    std::fs::write(log.join("00000000000000000002.json"), add).expect("write");
    table.refresh().await.expect("refresh");
    assert_eq!(followed(&table, Some(1)).await.expect("nothing new"), ["-- 2"]);
}
