//! Upserts against a map, over random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;
use sluicebox_core::plan::WriteMode;

use super::support::{Sandbox, at, put, rows, sorted, spec, upsert};

type Row = (Option<i64>, Option<i64>, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(rows.iter().map(|row| row.0).collect::<Vec<_>>()));
    let seen: ArrayRef = Arc::new(Int64Array::from(rows.iter().map(|row| row.1).collect::<Vec<_>>()));
    let part: ArrayRef =
        Arc::new(StringArray::from(rows.iter().map(|row| format!("p{}", row.2 % 3)).collect::<Vec<_>>()));
    let value: ArrayRef = Arc::new(Int64Array::from(rows.iter().map(|row| row.2).collect::<Vec<_>>()));
    RecordBatch::try_from_iter_with_nullable([
        ("id", id, true),
        ("seen", seen, true),
        ("part", part, true),
        ("value", value, true),
    ])
    .expect("columns of one length")
}

fn text(number: Option<i64>) -> String {
    number.map_or("null".to_owned(), |number| number.to_string())
}

/// What the table must hold: the newest row of each key, the later of equals, null oldest.
fn model(history: &[Vec<Row>], ordered: bool) -> Vec<String> {
    let mut table: BTreeMap<Option<i64>, Row> = BTreeMap::new();
    for row in history.iter().flatten() {
        let stays = ordered && table.get(&row.0).is_some_and(|present| present.1 > row.1);
        if !stays {
            table.insert(row.0, *row);
        }
    }
    let mut lines: Vec<String> =
        table.values().map(|row| format!("{}|{}|p{}|{}", text(row.0), text(row.1), row.2 % 3, row.2)).collect();
    lines.sort();
    lines
}

fn row() -> impl Strategy<Value = Row> {
    (prop::option::weighted(0.95, 0..40_i64), prop::option::weighted(0.9, 0..6_i64), 0..1_000_i64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_end_like_the_map(
        history in prop::collection::vec(prop::collection::vec(row(), 0..25), 1..8),
        ordered in any::<bool>(),
        partitioned in any::<bool>(),
        vectors in any::<bool>(),
        // So little that rows are set aside and worked off in passes.
        memory in prop::sample::select(vec![256 << 20, 1_000_u64]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let sandbox = Sandbox::new();
            let mut spec = spec("people", upsert("id", ordered.then_some("seen")));
            if partitioned {
                spec.partition_by = vec!["part".to_owned()];
            }
            (spec.layout.deletion_vectors, spec.layout.memory) = (vectors, memory);
            let mut table = sandbox.lake.table(&spec).await.expect("table");
            for (step, rows) in history.iter().enumerate() {
                // In two batches, so that keys repeat within one and between them.
                let middle = rows.len() / 2;
                let batches = [batch(&rows[..middle]), batch(&rows[middle..])];
                put(&mut table, &batches, at("f", step as i64 + 1)).await.expect("commit");
            }
            assert_eq!(sorted(&table).await, model(&history, ordered));
        });
    }
}

#[tokio::test]
async fn rows_in_many_row_groups_and_files() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("big", upsert("id", None))).await.expect("table");
    let all: Vec<i64> = (0..200_000).collect();
    for part in all.chunks(100_000) {
        put(&mut table, &[rows(part, &vec!["old"; part.len()])], at("f", part[0] + 1)).await.expect("commit");
    }
    // One key in the middle of the first file's second row group, one new.
    let change = put(&mut table, &[rows(&[70_000, 200_000], &["new", "new"])], at("g", 1)).await.expect("commit");
    assert_eq!((change.files_removed, change.files_added), (1, 1), "the other file holds none of the keys");
    let lines = sorted(&table).await;
    assert_eq!(lines.len(), 200_001);
    assert_eq!(lines.iter().filter(|line| line.ends_with("|new")).count(), 2);
    let again = put(&mut table, &[rows(&[200_001], &["newer"])], at("g", 2)).await.expect("commit");
    assert_eq!(again.files_removed, 0, "a key beyond all bounds touches no file");
}

#[tokio::test]
async fn more_rows_than_are_held_in_memory() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("big", upsert("id", None))).await.expect("table");
    let long = "x".repeat(2_000);
    let batches: Vec<RecordBatch> = (0..6_i64)
        .map(|round| {
            let ids: Vec<i64> = (0..5_000).map(|id| id + 2_500 * round).collect();
            rows(&ids, &vec![long.as_str(); ids.len()])
        })
        .collect();
    put(&mut table, &batches, at("f", 1)).await.expect("commit");
    assert_eq!(table.info().await.expect("info").rows, Some(17_500));
    assert_eq!(sorted(&table).await.len(), 17_500);
}

#[tokio::test]
async fn null_order_is_oldest_and_text_keys_work() {
    let sandbox = Sandbox::new();
    let spec =
        spec("words", WriteMode::Upsert { key: vec!["word".into()], order_by: Some("id".into()), delete_when: None });
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[5, 3], &["ä", "b"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[4, 4], &["ä", "b"])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["4|b", "5|ä"]);
}
