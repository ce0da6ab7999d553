//! Partition values of every kind, and as many as there may be.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{DeleteWhen, TableSpec, WriteMode};
use sluicebox_delta::Provenance;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::support::{Sandbox, at, data_files, followed, put, put_some, rows, scanned, sorted, spec, upsert};
use crate::harness::duckdb;

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

fn optional(ids: &[i64], words: &[Option<&str>]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let word: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("id", id, true), ("word", word, true)]).expect("batch")
}

#[tokio::test]
async fn the_empty_text_is_not_stored_as_null() {
    for mode in [WriteMode::Append, WriteMode::Overwrite, upsert("id", None), upsert("word", None)] {
        let sandbox = Sandbox::new();
        let mut table = sandbox.lake.table(&partitioned(mode.clone(), "word")).await.expect("table");
        let batch = optional(&[1, 2, 3], &[Some("a"), None, Some("")]);
        let (done, refused) = put_some(&mut table, &[batch], at("f", 1)).await.expect("commit");
        assert_eq!(done.files_added, 2, "{mode:?}");
        assert_eq!(sorted(&table).await, ["1|a", "2|null"], "{mode:?}");
        assert_eq!(
            refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect::<Vec<_>>(),
            [(2, "partition.value")]
        );
        assert!(refused[0].message.contains("word"), "{}", refused[0].message);
    }
}

#[tokio::test]
async fn years_that_readers_do_not_agree_on_are_no_partitions() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&partitioned(WriteMode::Append, "day")).await.expect("table");
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let day: ArrayRef = Arc::new(Date32Array::from(vec![-719_163, -719_162, 2_932_896, 2_932_897]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", id, true), ("day", day, true)]).expect("batch");
    let (_, refused) = put_some(&mut table, &[batch], at("f", 1)).await.expect("commit");
    assert_eq!(refused.iter().map(|refused| refused.row).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(sorted(&table).await, ["2|0001-01-01", "3|9999-12-31"]);
}

#[tokio::test]
async fn a_deletion_by_the_key_does_not_need_the_partition() {
    let mode = WriteMode::Upsert {
        key: vec!["id".into()],
        order_by: None,
        delete_when: Some(DeleteWhen { column: "op".into(), is: vec!["d".into()] }),
    };
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&partitioned(mode, "word")).await.expect("table");
    let with_op = |rows: RecordBatch, op: &str| {
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec![op; rows.num_rows()])));
        let names = ["id", "word", "op"].into_iter().zip(columns).map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(names).expect("batch")
    };
    put(&mut table, &[with_op(optional(&[1, 2], &[Some("a"), None]), "i")], at("f", 1)).await.expect("commit");
    put(&mut table, &[with_op(optional(&[1], &[Some("")]), "d")], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["2|null|i"]);
}

/// Whatever text there is comes back from a partition, by our reader and by two others, also after every row was
/// changed and half of them moved.
#[tokio::test]
async fn random_texts_come_back_by_every_reader() {
    let mut random = ChaCha8Rng::seed_from_u64(rand::random());
    let pieces = [
        "a",
        "A",
        " ",
        "/",
        "%",
        "%20",
        "=",
        ".",
        "..",
        "ü",
        "u\u{308}",
        "'",
        "\"",
        "\\",
        ":",
        "#",
        "?",
        "&",
        "+",
        "\n",
        "\t",
        "\u{1}",
        "\u{7f}",
        "日本",
        "😀",
        "null",
        "NULL",
        "__HIVE_DEFAULT_PARTITION__",
        "~",
        "x".repeat(70).as_str(),
        "é".repeat(40).as_str(),
    ]
    .map(str::to_owned);
    let mut texts: Vec<String> = (0..60)
        .map(|_| {
            (0..random.random_range(1..6)).map(|_| pieces[random.random_range(0..pieces.len())].as_str()).collect()
        })
        .collect();
    texts.sort();
    texts.dedup();
    let sandbox = Sandbox::new();
    let spec = partitioned(upsert("id", None), "word");
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..texts.len() as i64).collect();
    for round in 0..2_usize {
        let words: Vec<&str> = ids
            .iter()
            .map(|id| &texts[if id % 2 == 0 { (*id as usize + round) % texts.len() } else { *id as usize }])
            .map(String::as_str)
            .collect();
        put(&mut table, &[rows(&ids, &words)], at("f", round as i64 + 1)).await.expect("commit");
        let mut expected: Vec<String> = ids.iter().zip(&words).map(|(id, word)| format!("{id}|{word}")).collect();
        expected.sort();
        assert_eq!(sorted(&table).await, expected);
        let lake = sandbox.folder.path().join("lake");
        let read = duckdb::rows(&lake, "select id, word from delta_scan('{lake}/silver/parts')");
        let theirs = super::oracle::read(&sandbox.path("parts"));
        for (reader, read) in [("DuckDB", read), ("delta-rs", theirs)] {
            let Some(read) = read else { continue };
            let mut found: Vec<String> =
                read.iter().map(|row| format!("{}|{}", row["id"], row["word"].as_str().unwrap_or("null"))).collect();
            found.sort();
            assert_eq!(found, expected, "by {reader}");
        }
    }
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
