//! Deletion vectors: rows that are marked instead of files that are rewritten.

use sluicebox_core::plan::{TableSpec, WriteMode};
use sluicebox_delta::DeltaError;

use super::support::{Sandbox, at, data_files, followed, put, rows, sorted, spec, upsert};
use crate::harness::{duckdb, spark};

fn marking(name: &str, mode: WriteMode) -> TableSpec {
    let mut spec = spec(name, mode);
    spec.layout.deletion_vectors = true;
    spec
}

#[tokio::test]
async fn an_upsert_writes_only_what_is_new() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&marking("words", upsert("id", None))).await.expect("table");
    let ids: Vec<i64> = (0..3_000).collect();
    put(&mut table, &[rows(&ids, &vec!["old"; 3_000])], at("f", 1)).await.expect("commit");
    // Few rows stand in the log, many in a file of their own.
    let few = put(&mut table, &[rows(&[5, 2_999, 3_000], &["new", "new", "new"])], at("f", 2)).await.expect("commit");
    assert_eq!((few.files_removed, few.files_added, few.updated, few.inserted), (0, 1, 2, 1));
    assert_eq!(data_files(&sandbox.path("words")), 2);
    let odd: Vec<i64> = (0..3_000).filter(|id| id % 2 == 1).collect();
    let many = put(&mut table, &[rows(&odd, &vec!["odd"; odd.len()])], at("f", 3)).await.expect("commit");
    // The rows of the second file were all replaced but one.
    assert_eq!((many.files_removed, many.files_added, many.updated), (0, 1, 1_500));
    assert_eq!(data_files(&sandbox.path("words")), 4, "three of rows and one of vectors");
    let word = |id: i64| match id {
        3_000 => "new",
        id if id % 2 == 1 => "odd",
        _ => "old",
    };
    let mut wanted: Vec<String> = (0..=3_000).map(|id| format!("{id}|{}", word(id))).collect();
    wanted.sort();
    assert_eq!(sorted(&table).await, wanted);
    assert_eq!(table.info().await.expect("info").rows, Some(3_001));
    let error = followed(&table, Some(0)).await.expect_err("rows were removed");
    assert!(matches!(error, DeltaError::Removed { version: 2, .. }), "{error}");

    // A table that marks rows is still a table to those that rewrite.
    let mut plain = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    let rewritten = put(&mut plain, &[rows(&[0, 1], &["z", "z"])], at("f", 4)).await.expect("commit");
    assert_eq!(rewritten.updated, 2);
    assert_eq!(plain.info().await.expect("info").rows, Some(3_001));

    let lake = sandbox.folder.path().join("lake");
    let statement = "select word, count(*) as n, sum(id)::bigint as ids from delta_scan('{lake}/silver/words') \
                     group by word order by word";
    let Some(found) = duckdb::rows(&lake, statement) else { return };
    let odds: i64 = odd.iter().sum::<i64>() - 1;
    assert_eq!(
        serde_json::Value::from(found),
        serde_json::json!([
            { "word": "new", "n": 1, "ids": 3_000 },
            { "word": "odd", "n": 1_499, "ids": odds },
            { "word": "old", "n": 1_499, "ids": (0..3_000).filter(|id| id % 2 == 0).sum::<i64>() },
            { "word": "z", "n": 2, "ids": 1 },
        ])
    );
}

#[tokio::test]
async fn another_reader_sees_marked_rows_go() {
    let sandbox = Sandbox::new();
    let spec = TableSpec { changes: true, partition_by: vec!["word".into()], ..marking("words", upsert("id", None)) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1, 2, 3], &["a", "b", "b"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[2], &["c"])], at("f", 2)).await.expect("commit");
    put(&mut table, &[rows(&[3], &["c"])], at("f", 3)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1|a", "2|c", "3|c"]);
    assert_eq!(table.info().await.expect("info").files, 3, "a file without a row left is removed");
    for id in 10..32 {
        // Beyond a checkpoint of the log.
        put(&mut table, &[rows(&[1, id], &["a", "d"])], at("f", id)).await.expect("commit");
    }
    let mut again = sandbox.lake.table(&spec).await.expect("table");
    put(&mut again, &[rows(&[31], &["e"])], at("f", 40)).await.expect("commit");
    assert_eq!(sorted(&again).await.len(), 25);
    let lake = sandbox.folder.path().join("lake");
    let statement = "select word, count(*) as n from delta_scan('{lake}/silver/words') group by word order by word";
    let wanted = serde_json::json!([
        { "word": "a", "n": 1 }, { "word": "c", "n": 2 }, { "word": "d", "n": 21 }, { "word": "e", "n": 1 }
    ]);
    if let Some(found) = duckdb::rows(&lake, statement) {
        assert_eq!(serde_json::Value::from(found), wanted);
    }
    let statement = statement.replace("delta_scan('{lake}/silver/words')", "delta.`{lake}/silver/words`");
    if let Some(found) = spark::rows(&lake, &[statement]) {
        assert_eq!(serde_json::Value::from(found[0].clone()), wanted);
    }
}
