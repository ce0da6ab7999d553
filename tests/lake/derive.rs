//! Columns that the host derives, partitions made of them, and rows sorted as they are written.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use serde_json::{Value, json};
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{Contract, Derivation, Derived, Drift, Layout, TableSpec, WriteMode};
use sluicebox_delta::Provenance;

use super::support::{Sandbox, at, lines, put, put_some, rows, scanned, sorted, spec};
use crate::harness::duckdb;

fn derived(column: &str, from: &str, by: Derivation) -> Derived {
    Derived { column: column.into(), from: from.into(), by }
}

fn by_day(mode: WriteMode) -> TableSpec {
    TableSpec {
        partition_by: vec!["day".into()],
        derive: vec![derived("day", "at", Derivation::Date), derived("part", "id", Derivation::Bucket(4))],
        ..spec("days", mode)
    }
}

/// Rows of a number and an instant, given in hours since the epoch.
fn moments(ids: &[i64], hours: &[Option<i64>]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let hours = hours.iter().map(|hour| hour.map(|hour| hour * 3_600_000_000));
    let moment: ArrayRef = Arc::new(hours.collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    RecordBatch::try_from_iter_with_nullable([("id", id, true), ("at", moment, true)]).expect("columns of one length")
}

#[tokio::test]
async fn a_table_by_day_of_a_timestamp() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&by_day(WriteMode::Append)).await.expect("table");
    let done = put(&mut table, &[moments(&[1, 2, 3, 4], &[Some(-1), Some(5), None, Some(30)])], at("f", 1)).await;
    assert_eq!(done.expect("commit").files_added, 4);
    let days: Vec<String> = sorted(&table).await;
    assert_eq!(
        days,
        [
            "1|1969-12-31T23:00:00Z|1969-12-31|0",
            "2|1970-01-01T05:00:00Z|1970-01-01|0",
            "3|null|null|3",
            "4|1970-01-02T06:00:00Z|1970-01-02|2"
        ],
        "the buckets of these numbers are for ever"
    );
    let lake = sandbox.folder.path().join("lake");
    let statement = "select id, day, part from delta_scan('{lake}/silver/days') where day = date '1970-01-02'";
    if let Some(rows) = duckdb::rows(&lake, statement) {
        assert_eq!(rows, [json!({ "id": 4, "day": "1970-01-02", "part": 2 })]);
        let plan = duckdb::rows(&lake, &format!("explain analyze {statement}")).expect("DuckDB is at hand");
        let plan = plan[0]["explain_value"].as_str().expect("a plan").to_owned();
        assert!(plan.contains("1/4"), "it reads one file of four:\n{plan}");
    }
}

#[tokio::test]
async fn a_derived_column_is_neither_missing_nor_new() {
    let frozen = Contract { new_column: Drift::Freeze, missing_column: Drift::Freeze, type_change: Drift::Freeze };
    let sandbox = Sandbox::new();
    let strict = TableSpec { contract: frozen, ..by_day(WriteMode::Append) };
    let mut table = sandbox.lake.table(&strict).await.expect("table");
    put(&mut table, &[moments(&[1], &[Some(0)])], at("f", 1)).await.expect("commit");
    put(&mut table, &[moments(&[2], &[Some(24)])], at("f", 2)).await.expect("commit");
    assert_eq!(scanned(&table).await.len(), 2);

    // Rows that bring it themselves would be overruled in silence.
    let bad = moments(&[1], &[Some(0)]);
    let mut columns: Vec<(&str, ArrayRef)> = vec![("id", bad.column(0).clone()), ("at", bad.column(1).clone())];
    columns.push(("Day", Arc::new(StringArray::from(vec!["x"]))));
    let bad = RecordBatch::try_from_iter(columns).expect("batch");
    let error = put_some(&mut table, &[bad], at("f", 3)).await.expect_err("brought");
    assert!(matches!(&error, DeltaError::DerivedColumn { column, .. } if column == "Day"), "{error}");
    assert!(error.hint().is_some());

    // A value that is refused takes its derived value with it.
    let reject = Contract { type_change: Drift::RejectRow, ..Contract::default() };
    let mut table =
        sandbox.lake.table(&TableSpec { contract: reject, ..by_day(WriteMode::Append) }).await.expect("table");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1970-01-03T01:00:00Z", "never"]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![3, 4]));
    let batch = RecordBatch::try_from_iter([("id", id), ("at", text)]).expect("batch");
    let (_, refused) = put_some(&mut table, &[batch], at("f", 4)).await.expect("commit");
    assert_eq!(refused.iter().map(|refused| refused.row).collect::<Vec<_>>(), [1], "text that is no instant");
    let lines = sorted(&table).await;
    assert_eq!(lines[2], "3|1970-01-03T01:00:00Z|1970-01-03|3");
}

#[tokio::test]
async fn what_cannot_be_derived() {
    let sandbox = Sandbox::new();
    let of_text = TableSpec { derive: vec![derived("day", "word", Derivation::Date)], ..spec("t", WriteMode::Append) };
    let mut table = sandbox.lake.table(&of_text).await.expect("table");
    let error = table.create(&rows(&[1], &["a"]).schema(), Provenance::default()).await.expect_err("text has no day");
    assert!(matches!(error, DeltaError::DeriveType { .. }) && error.hint().is_some(), "{error}");
    let of_nothing =
        TableSpec { derive: vec![derived("day", "when", Derivation::Date)], ..spec("t", WriteMode::Append) };
    let mut table = sandbox.lake.table(&of_nothing).await.expect("table");
    let error = table.create(&rows(&[1], &["a"]).schema(), Provenance::default()).await.expect_err("no such column");
    assert!(matches!(error, DeltaError::NoSuchColumn { role: "derive", .. }), "{error}");
}

#[tokio::test]
async fn derived_columns_as_key_and_group() {
    let sandbox = Sandbox::new();
    let mode = WriteMode::Upsert { key: vec!["id".into(), "day".into()], order_by: None, delete_when: None };
    let mut table = sandbox
        .lake
        .table(&TableSpec { derive: vec![derived("day", "at", Derivation::Date)], ..spec("u", mode) })
        .await
        .expect("table");
    put(&mut table, &[moments(&[1, 1], &[Some(1), Some(30)])], at("f", 1)).await.expect("commit");
    put(&mut table, &[moments(&[1], &[Some(2)])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1|1970-01-01T02:00:00Z|1970-01-01", "1|1970-01-02T06:00:00Z|1970-01-02"]);

    let mut table = sandbox.lake.table(&by_day(WriteMode::Replace { by: vec!["day".into()] })).await.expect("table");
    put(&mut table, &[moments(&[1, 2], &[Some(1), Some(30)])], at("f", 1)).await.expect("commit");
    put(&mut table, &[moments(&[3], &[Some(2)])], at("f", 2)).await.expect("commit");
    let ids: Vec<String> = sorted(&table).await.iter().map(|line| line[..1].to_owned()).collect();
    assert_eq!(ids, ["2", "3"]);
}

#[tokio::test]
async fn sums_by_a_day_that_only_their_rows_have() {
    let sandbox = Sandbox::new();
    let mode = WriteMode::Accumulate { key: vec!["day".into()], sum: vec!["id".into()], count: "rows".into() };
    let derive = vec![derived("day", "at", Derivation::Date)];
    let mut table = sandbox.lake.table(&TableSpec { derive, ..spec("sums", mode) }).await.expect("table");
    put(&mut table, &[moments(&[1, 2, 3], &[Some(1), Some(30), Some(2)])], at("f", 1)).await.expect("commit");
    put(&mut table, &[moments(&[10], &[Some(26)])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1970-01-01|4|2", "1970-01-02|12|2"]);
}

/// The bounds of the column `id` in each file, in the order of the files.
fn bounds(entry: &std::path::Path) -> Vec<(i64, i64)> {
    let entry = std::fs::read_to_string(entry).expect("entry");
    let adds = entry.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("add").cloned());
    let stats = adds.filter_map(|add| serde_json::from_str::<Value>(add["stats"].as_str()?).ok());
    stats.filter_map(|stats| Some((stats["minValues"]["id"].as_i64()?, stats["maxValues"]["id"].as_i64()?))).collect()
}

#[tokio::test]
async fn a_sorted_commit_of_several_files_can_be_skipped_through() {
    let sandbox = Sandbox::new();
    let layout = Layout { sort_by: vec!["id".into()], file_bytes: 64 << 10, ..Layout::default() };
    let mut table = sandbox.lake.table(&TableSpec { layout, ..spec("s", WriteMode::Append) }).await.expect("table");
    // 300,000 numbers in an order that has nothing to do with their size.
    let ids: Vec<i64> = (0..300_000_i64).map(|row| (row * 7_919) % 300_000).collect();
    let batches: Vec<RecordBatch> = ids
        .chunks(8_192)
        .map(|ids| {
            // Text that does not shrink, so that the files have a size.
            let words: Vec<String> =
                ids.iter().map(|id| format!("{:x}", (*id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
            rows(ids, &words.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let done = put(&mut table, &batches, at("f", 1)).await.expect("commit");
    assert!(done.files_added > 2, "{} files", done.files_added);
    let bounds = bounds(&sandbox.path("s").join("_delta_log/00000000000000000001.json"));
    assert_eq!(bounds.len(), done.files_added);
    assert!(bounds.windows(2).all(|pair| pair[0].1 < pair[1].0), "files overlap: {bounds:?}");
    let back = scanned(&table).await;
    assert!(
        back.iter().map(|line| line.split('|').next().and_then(|id| id.parse::<i64>().ok())).eq((0..300_000).map(Some))
    );

    let lake = sandbox.folder.path().join("lake");
    let statement = "select count(*) as n from delta_scan('{lake}/silver/s') where id between 10 and 20";
    if let Some(row) = duckdb::row(&lake, statement) {
        assert_eq!(row["n"], 11);
        let plan = duckdb::rows(&lake, &format!("explain analyze {statement}")).expect("DuckDB is at hand");
        let plan = plan[0]["explain_value"].as_str().expect("a plan").to_owned();
        assert!(plan.contains(&format!("1/{}", done.files_added)), "it reads one file:\n{plan}");
    }
}

#[tokio::test]
async fn more_than_the_memory_takes_is_sorted_in_runs() {
    let sandbox = Sandbox::new();
    let layout = Layout { sort_by: vec!["word".into()], memory: 1 << 20, ..Layout::default() };
    let mut table = sandbox.lake.table(&TableSpec { layout, ..spec("s", WriteMode::Append) }).await.expect("table");
    let words: Vec<String> = (0..60_000_i64).map(|row| format!("{:06}", (row * 7_919) % 60_000)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ids: Vec<i64> = (0..60_000).collect();
    let batches: Vec<RecordBatch> =
        (0..8).map(|part| rows(&ids[part * 7_500..][..7_500], &words[part * 7_500..][..7_500])).collect();
    put(&mut table, &batches, at("f", 1)).await.expect("commit");
    let back = scanned(&table).await;
    assert_eq!(back.len(), 60_000);
    let words: Vec<&str> = back.iter().filter_map(|line| line.split('|').nth(1)).collect();
    let runs = 1 + words.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!((2..=8).contains(&runs), "{runs} runs");
}

#[tokio::test]
async fn bounds_of_the_columns_that_are_looked_up() {
    let sandbox = Sandbox::new();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let mut columns: Vec<(String, ArrayRef)> = (0..40).map(|at| (format!("c{at}"), ids.clone())).collect();
    columns.push(("id".to_owned(), ids));
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    let mut table = sandbox.lake.table(&spec("wide", super::support::upsert("id", None))).await.expect("table");
    put(&mut table, std::slice::from_ref(&batch), at("f", 1)).await.expect("commit");
    assert_eq!(bounds(&sandbox.path("wide").join("_delta_log/00000000000000000001.json")), [(1, 2)]);
    let metadata = std::fs::read_to_string(sandbox.path("wide").join("_delta_log/00000000000000000000.json"));
    let metadata = metadata.expect("entry");
    assert!(
        metadata.contains("\"delta.dataSkippingStatsColumns\":\"`c0`,") && metadata.contains("`id`\""),
        "{metadata}"
    );
    assert_eq!(lines(&batch).len(), 2);
    let lake = sandbox.folder.path().join("lake");
    if let Some(row) = duckdb::row(&lake, "select sum(id) as n from delta_scan('{lake}/silver/wide') where id > 1") {
        assert_eq!(row["n"], 2);
    }
}
