//! A table's changes: told while they are made and read back from its files, the same either way.

use sluicebox_delta::DeltaError;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use proptest::prelude::*;
use sluicebox_core::plan::{DeleteWhen, TableSpec, WriteMode};
use sluicebox_delta::{Added, Changes, Committed, Table};

use super::support::{Sandbox, at, lines, marked, put, put_some, rows, sorted, spec, upsert};
use crate::harness::duckdb;

fn changing(name: &str, mode: WriteMode) -> TableSpec {
    TableSpec { changes: true, ..spec(name, mode) }
}

/// What a table says has changed: rows as text, and `-- <version>` where one ends.
async fn changes(table: &Table, after: Option<u64>) -> Result<Vec<String>, DeltaError> {
    let steps: Vec<Added> = table.changes_since(after).await?.try_collect().await?;
    Ok(steps
        .into_iter()
        .flat_map(|step| match step {
            Added::Rows { rows, .. } => lines(&rows),
            Added::End { version } => vec![format!("-- {version}")],
        })
        .collect())
}

/// What the commit said, against what is read of its version.
async fn told(table: &Table, committed: &Committed) -> Vec<String> {
    let mut read = changes(table, Some(committed.version - 1)).await.expect("changes");
    assert_eq!(read.pop(), Some(format!("-- {}", committed.version)));
    match &committed.changes {
        Changes::InMemory(batches) => assert_eq!(batches.iter().flat_map(lines).collect::<Vec<_>>(), read),
        Changes::Stored => {}
        Changes::None => panic!("the table records its changes"),
    }
    read
}

#[tokio::test]
async fn an_upsert_tells_what_it_did() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&changing("words", upsert("id", None))).await.expect("table");
    let first = put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f", 1)).await.expect("commit");
    assert_eq!(told(&table, &first).await, ["1|a|insert|1", "2|b|insert|1"]);
    assert!(matches!(first.changes, Changes::InMemory(_)));
    let second = put(&mut table, &[rows(&[2, 3, 1], &["c", "d", "a"])], at("f", 2)).await.expect("commit");
    assert_eq!(told(&table, &second).await, ["2|b|update_preimage|-1", "2|c|update_postimage|1", "3|d|insert|1"]);
    assert!(matches!(second.changes, Changes::InMemory(_)));
    assert_eq!((second.inserted, second.updated, second.deleted, second.unchanged), (1, 1, 0, 1));
    let third = put(&mut table, &[rows(&[3], &["d"])], at("f", 3)).await.expect("commit");
    assert!(told(&table, &third).await.is_empty());
    assert_eq!((third.files_added, third.files_removed, third.unchanged), (0, 0, 1), "the same row is left out");
    assert_eq!(changes(&table, None).await.expect("all").len(), 2 + 3 + 4);
    let folder = sandbox.path("words").join("_change_data");
    assert_eq!(super::support::data_files(&folder), 1, "versions that only insert need no change data");
    let log = std::fs::read_to_string(sandbox.path("words").join("_delta_log/00000000000000000000.json")).expect("log");
    assert!(log.contains(r#""minReaderVersion":1,"minWriterVersion":4"#), "{log}");
    assert!(log.contains(r#""delta.enableChangeDataFeed":"true""#), "{log}");
}

#[tokio::test]
async fn changes_are_turned_on_only_when_asked() {
    let sandbox = Sandbox::new();
    let plain = spec("words", upsert("id", None));
    let mut table = sandbox.lake.table(&plain).await.expect("table");
    put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f", 1)).await.expect("commit");
    let quiet = put(&mut table, &[rows(&[1], &["c"])], at("f", 2)).await.expect("commit");
    assert!(matches!(quiet.changes, Changes::None));
    // Without change data a rewritten file looks like rows that came and went.
    assert_eq!(
        changes(&table, Some(1)).await.expect("changes"),
        ["1|a|delete|-1", "2|b|delete|-1", "1|c|insert|1", "2|b|insert|1", "-- 2"]
    );
    let mut table = sandbox.lake.table(&TableSpec { changes: true, ..plain.clone() }).await.expect("table");
    let told_now = put(&mut table, &[rows(&[2], &["d"])], at("f", 3)).await.expect("commit");
    assert_eq!(told(&table, &told_now).await, ["2|b|update_preimage|-1", "2|d|update_postimage|1"]);
    // From now on every writer has to.
    let mut table = sandbox.lake.table(&plain).await.expect("table");
    let told_still = put(&mut table, &[rows(&[2], &["e"])], at("f", 4)).await.expect("commit");
    assert_eq!(told(&table, &told_still).await, ["2|d|update_preimage|-1", "2|e|update_postimage|1"]);
}

#[tokio::test]
async fn rows_can_delete() {
    let sandbox = Sandbox::new();
    let delete_when = Some(DeleteWhen { column: "word".into(), is: vec!["gone".into(), "lost".into()] });
    let mode = WriteMode::Upsert { key: vec!["id".into()], order_by: None, delete_when };
    let mut table = sandbox.lake.table(&changing("words", mode)).await.expect("table");
    put(&mut table, &[rows(&[1, 2, 3, 4], &["a", "b", "c", "gone"])], at("f", 1)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1|a", "2|b", "3|c"]);
    let done =
        put(&mut table, &[rows(&[1, 9, 3, 3], &["gone", "lost", "gone", "back"])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["2|b", "3|back"]);
    assert_eq!((done.updated, done.deleted, done.inserted), (1, 1, 0));
    assert_eq!(told(&table, &done).await, ["1|a|delete|-1", "3|c|update_preimage|-1", "3|back|update_postimage|1"]);
    // Changes of an upstream table: what was before goes, what is now comes.
    let weight: ArrayRef = Arc::new(Int64Array::from(vec![-1, 1, -1]));
    let word: ArrayRef = Arc::new(StringArray::from(vec!["update_preimage", "update_postimage", "delete"]));
    let mut columns = rows(&[2, 5, 3], &["b", "b", "back"]).columns().to_vec();
    columns.extend([word, weight]);
    let names = ["id", "word", "_change_type", "_weight"];
    let batch = marked(&RecordBatch::try_from_iter(names.into_iter().zip(columns)).expect("batch"));
    let (done, refused) = put_some(&mut table, &[batch], at("f", 3)).await.expect("commit");
    assert_eq!(refused, []);
    assert_eq!(sorted(&table).await, ["5|b"]);
    assert_eq!(table.schema().expect("schema").fields().len(), 2, "words about a change are not stored");
    assert_eq!(told(&table, &done).await, ["2|b|delete|-1", "3|back|delete|-1", "5|b|insert|1"]);
}

#[tokio::test]
async fn groups_can_be_emptied() {
    for partition_by in [vec![], vec!["word".to_owned()]] {
        let sandbox = Sandbox::new();
        let mode = WriteMode::Replace { by: vec!["word".to_owned()] };
        let spec = TableSpec { partition_by, ..changing("words", mode) };
        let mut table = sandbox.lake.table(&spec).await.expect("table");
        put(&mut table, &[rows(&[1, 2, 3], &["a", "a", "b"])], at("f", 1)).await.expect("commit");
        let mut writer = table.begin().await.expect("writer");
        writer.replace_groups(&rows(&[0, 0], &["a", "x"])).expect("groups");
        let done = table.commit(writer, super::support::commit(at("f", 2))).await.expect("commit");
        assert_eq!(sorted(&table).await, ["3|b"]);
        assert_eq!(done.deleted, 2);
        assert_eq!(told(&table, &done).await, ["1|a|delete|-1", "2|a|delete|-1"]);
        let both = put(&mut table, &[rows(&[4, 5], &["b", "c"])], at("f", 3)).await.expect("commit");
        let mut lines = told(&table, &both).await;
        lines.sort();
        assert_eq!(lines, ["3|b|delete|-1", "4|b|insert|1", "5|c|insert|1"]);
    }
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    table.create(&rows(&[], &[]).schema(), Default::default()).await.expect("create");
    let mut writer = table.begin().await.expect("writer");
    let error = writer.replace_groups(&rows(&[0], &["a"])).expect_err("no groups");
    assert!(matches!(error, DeltaError::NoGroups { .. }), "{error}");
}

#[tokio::test]
async fn a_log_that_lost_its_beginning() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&changing("words", upsert("id", None))).await.expect("table");
    for id in 0..22 {
        put(&mut table, &[rows(&[id % 3, 9], &["a", &format!("w{id}")])], at("f", id + 1)).await.expect("commit");
    }
    for version in 0..3 {
        std::fs::remove_file(sandbox.path("words").join(format!("_delta_log/{version:020}.json"))).expect("remove");
    }
    let mut now = changes(&table, None).await.expect("what is there now");
    assert_eq!(now.pop().as_deref(), Some("-- 22"));
    now.sort();
    assert_eq!(now, ["0|a|insert|1", "1|a|insert|1", "2|a|insert|1", "9|w21|insert|1"]);
    let error = changes(&table, Some(1)).await.expect_err("gone");
    assert!(matches!(error, DeltaError::LogGone { version: 2, .. }), "{error}");
    assert_eq!(changes(&table, Some(21)).await.expect("the rest").len(), 3);
}

#[tokio::test]
async fn another_reader_sees_the_same_rows() {
    let sandbox = Sandbox::new();
    let spec = TableSpec { partition_by: vec!["word".into()], ..changing("words", upsert("id", None)) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1, 2, 3], &["a", "b", "b"])], at("f", 1)).await.expect("commit");
    let done = put(&mut table, &[rows(&[2, 4], &["c", "a"])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1|a", "2|c", "3|b", "4|a"]);
    let mut lines = told(&table, &done).await;
    lines.sort();
    assert_eq!(lines, ["2|b|update_preimage|-1", "2|c|update_postimage|1", "4|a|insert|1"]);
    let lake = sandbox.folder.path().join("lake");
    let statement = "select id, word from delta_scan('{lake}/silver/words') order by id";
    let Some(found) = duckdb::rows(&lake, statement) else { return };
    assert_eq!(
        serde_json::Value::from(found),
        serde_json::json!([
            { "id": 1, "word": "a" }, { "id": 2, "word": "c" }, { "id": 3, "word": "b" }, { "id": 4, "word": "a" }
        ])
    );
}

type Row = (i64, Option<String>, u8);

fn batch(rows: &[Row]) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(rows.iter().map(|row| row.0).collect::<Vec<_>>()));
    let part: ArrayRef = Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>());
    let word: ArrayRef = Arc::new(StringArray::from(rows.iter().map(|row| format!("w{}", row.2)).collect::<Vec<_>>()));
    RecordBatch::try_from_iter_with_nullable([("id", id, true), ("part", part, true), ("word", word, true)])
        .expect("columns of one length")
}

fn row() -> impl Strategy<Value = Row> {
    let part = prop::option::weighted(0.8, prop::sample::select(vec![" ", "p", "q"]).prop_map(str::to_owned));
    (0..12_i64, part, 0..6_u8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Adding up the changes by weight gives the table, whatever its mode; and what a commit told
    /// from memory is what is read back.
    #[test]
    fn changes_add_up_to_the_table(
        history in prop::collection::vec(prop::collection::vec(row(), 0..15), 1..7),
        mode in 0..3_u8,
        partitioned in any::<bool>(),
        vectors in any::<bool>(),
        memory in prop::sample::select(vec![256 << 20, 1_000_u64]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let sandbox = Sandbox::new();
            let mode = match mode {
                0 => WriteMode::Upsert {
                    key: vec!["id".into(), "part".into()],
                    order_by: None,
                    delete_when: Some(DeleteWhen { column: "word".into(), is: vec!["w0".into()] }),
                },
                1 => upsert("id", Some("word")),
                _ => WriteMode::Replace { by: vec!["part".into(), "word".into()] },
            };
            let mut spec = changing("words", mode);
            if partitioned {
                spec.partition_by = vec!["part".to_owned()];
            }
            (spec.layout.deletion_vectors, spec.layout.memory) = (vectors, memory);
            let mut table = sandbox.lake.table(&spec).await.expect("table");
            for (step, rows) in history.iter().enumerate() {
                let middle = rows.len() / 2;
                let batches = [batch(&rows[..middle]), batch(&rows[middle..])];
                let done = put(&mut table, &batches, at("f", step as i64 + 1)).await.expect("commit");
                told(&table, &done).await;
                let mut present: BTreeMap<String, i64> = BTreeMap::new();
                for line in changes(&table, None).await.expect("changes") {
                    if let Some((row, weight)) = line.rsplit_once('|') {
                        let (row, _) = row.rsplit_once('|').expect("a change type");
                        *present.entry(row.to_owned()).or_default() += weight.parse::<i64>().expect("a weight");
                    }
                }
                let lines: Vec<String> = present
                    .iter()
                    .flat_map(|(row, count)| std::iter::repeat_n(row.clone(), usize::try_from(*count).expect("not negative")))
                    .collect();
                assert_eq!(sorted(&table).await, lines);
            }
        });
    }
}
