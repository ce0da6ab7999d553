//! Partition values of every kind, and as many as there may be.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{TableSpec, WriteMode};
use sluicebox_delta::Provenance;

use super::support::{Sandbox, at, data_files, followed, put, rows, scanned, sorted, spec, upsert};

const ODD: [&str; 9] = ["plain", "a b", "a/b", "100%", "ü€😀", "x=y&z", "..", "#?*:\"<>|", "\\"];

fn partitioned(mode: WriteMode, by: &str) -> TableSpec {
    TableSpec { partition_by: vec![by.to_owned()], ..spec("parts", mode) }
}

#[tokio::test]
async fn odd_values_come_back() {
    let sandbox = Sandbox::new();
    let spec = partitioned(WriteMode::Append, "word");
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..ODD.len() as i64).collect();
    put(&mut table, &[rows(&ids, &ODD)], at("f", 1)).await.expect("commit");
    let mut expected: Vec<String> = ODD.iter().enumerate().map(|(id, word)| format!("{id}|{word}")).collect();
    expected.sort();
    assert_eq!(sorted(&table).await, expected);
    let mut again = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!(sorted(&again).await, expected);
    let mut seen = followed(&again, Some(0)).await.expect("follow");
    seen.retain(|line| !line.starts_with("--"));
    seen.sort();
    assert_eq!(seen, expected);

    // Rewriting finds and removes those very files.
    let replace = partitioned(WriteMode::Replace { by: vec!["word".into()] }, "word");
    let mut replacing = sandbox.lake.table(&replace).await.expect("table");
    let done = put(&mut replacing, &[rows(&[50, 51], &["a/b", "100%"])], at("g", 1)).await.expect("replace");
    assert_eq!((done.files_removed, done.files_added), (2, 2));
    again.refresh().await.expect("refresh");
    assert_eq!(sorted(&again).await.len(), ODD.len());
    assert!(sorted(&again).await.contains(&"50|a/b".to_owned()));
}

#[tokio::test]
async fn null_and_the_empty_string_are_null() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, "word")).await.expect("table");
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let word: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", id, true), ("word", word, true)]).expect("batch");
    let done = put(&mut table, &[batch], at("f", 1)).await.expect("commit");
    assert_eq!(done.files_added, 2);
    assert_eq!(sorted(&table).await, ["1|a", "2|null", "3|null"]);
}

#[tokio::test]
async fn every_type_that_can_partition() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), Some(20_000), None]))),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![Some(-105), Some(7), None])
                    .with_precision_and_scale(10, 2)
                    .expect("decimal"),
            ),
        ),
        (
            "moment",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1), Some(1_700_000_000_123_456), None]).with_timezone("UTC"),
            ),
        ),
    ];
    let expected = [
        ["1|true", "2|false", "3|null"],
        ["1|1969-12-31", "2|2024-10-04", "3|null"],
        ["1|-1.05", "2|0.07", "3|null"],
        ["1|1969-12-31T23:59:59.999999Z", "2|2023-11-14T22:13:20.123456Z", "3|null"],
    ];
    for ((name, column), expected) in columns.into_iter().zip(expected) {
        let sandbox = Sandbox::new();
        let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, name)).await.expect("table");
        let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", id, true), (name, column, true)]).expect("batch");
        put(&mut table, &[batch], at("f", 1)).await.expect("commit");
        assert_eq!(sorted(&table).await, expected);
    }
}

#[tokio::test]
async fn columns_that_cannot_partition() {
    let sandbox = Sandbox::new();
    let float: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1.0]));
    let batch = RecordBatch::try_from_iter([("x", float.clone()), ("y", float)]).expect("batch");
    let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, "x")).await.expect("table");
    let error = table.create(&batch.schema(), Provenance::default()).await.expect_err("float");
    assert!(matches!(error, DeltaError::PartitionType { .. }) && error.hint().is_some(), "{error}");
    let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, "z")).await.expect("table");
    let error = table.create(&batch.schema(), Provenance::default()).await.expect_err("missing");
    assert!(matches!(error, DeltaError::NoSuchColumn { role: "partition_by", .. }), "{error}");
    // The plan must agree with the table that is there.
    let mut table = sandbox.lake.table(&spec("parts", WriteMode::Append)).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let mut other = sandbox.lake.table(&partitioned(WriteMode::Append, "word")).await.expect("table");
    let Err(error) = other.begin().await else { panic!("began") };
    assert!(matches!(error, DeltaError::PartitionsDiffer { .. }), "{error}");
}

#[tokio::test]
async fn three_hundred_partitions_in_any_order() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, "word")).await.expect("table");
    let batches: Vec<RecordBatch> = (0..20_i64)
        .map(|round| {
            let ids: Vec<i64> = (0..3_000).map(|row| round * 3_000 + row).collect();
            let words: Vec<String> = ids.iter().map(|id| format!("w{}", (id * 7_919) % 300)).collect();
            rows(&ids, &words.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let done = put(&mut table, &batches, at("f", 1)).await.expect("commit");
    assert_eq!(done.rows, 60_000);
    assert!(done.files_added <= 600, "{} files for 300 partitions", done.files_added);
    assert_eq!(data_files(&sandbox.path("parts")), done.files_added);
    assert_eq!(scanned(&table).await.len(), 60_000);
}

#[tokio::test]
async fn a_row_may_move_to_another_partition() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&partitioned(upsert("id", None), "word")).await.expect("table");
    put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[1], &["b"])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1|b", "2|b"]);
    // A key that names its partition looks nowhere else.
    let mode = WriteMode::Upsert { key: vec!["id".into(), "word".into()], order_by: None, delete_when: None };
    let mut narrow = sandbox.lake.table(&partitioned(mode, "word")).await.expect("table");
    let done = put(&mut narrow, &[rows(&[1], &["c"])], at("g", 1)).await.expect("commit");
    assert_eq!(done.files_removed, 0);
    assert_eq!(sorted(&narrow).await, ["1|b", "1|c", "2|b"]);
}
