//! Row groups without a changed row go from file to file as they are.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sluicebox_core::plan::{TableSpec, WriteMode};

use super::support::{Sandbox, at, put, scanned, spec, upsert};
use crate::harness::duckdb;

const ROWS: i64 = 300_000;

/// Numbers that do not compress, so that the file is large.
fn noise(id: i64, salt: i64) -> i64 {
    let mut bits = (id as u64).wrapping_add(salt as u64 * 1_000_000_007).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ (bits >> 31)) as i64
}

fn batch(ids: &[i64], salt: i64) -> RecordBatch {
    let column =
        |salt: i64| -> ArrayRef { Arc::new(ids.iter().map(|id| Some(noise(*id, salt))).collect::<Int64Array>()) };
    let id: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter_with_nullable([
        ("id", id, true),
        ("a", column(salt), true),
        ("b", column(salt + 1), true),
    ])
    .expect("columns of one length")
}

/// The one data file of a table, and its footer.
fn only_file(sandbox: &Sandbox, but: &[PathBuf]) -> (PathBuf, ParquetMetaData) {
    let files = std::fs::read_dir(sandbox.path("noise")).expect("a table").map(|entry| entry.expect("entry").path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet") && !but.contains(path))
        .collect();
    let file = files.pop().expect("a data file");
    assert!(files.is_empty(), "{files:?}");
    assert!(std::fs::metadata(&file).expect("a file").len() > 4 << 20, "smaller files are not kept apart");
    let reader = SerializedFileReader::new(File::open(&file).expect("a file")).expect("Parquet");
    (file, reader.metadata().clone())
}

fn chunk(path: &PathBuf, footer: &ParquetMetaData, group: usize, column: usize) -> Vec<u8> {
    let (from, length) = footer.row_group(group).column(column).byte_range();
    let bytes = std::fs::read(path).expect("a file");
    bytes[usize::try_from(from).expect("small")..usize::try_from(from + length).expect("small")].to_vec()
}

#[tokio::test]
async fn untouched_row_groups_are_copied_as_they_are() {
    let sandbox = Sandbox::new();
    let spec: TableSpec = spec("noise", upsert("id", None));
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..ROWS).collect();
    put(&mut table, &[batch(&ids, 0)], at("f", 1)).await.expect("commit");
    let (before, old) = only_file(&sandbox, &[]);
    assert!(old.num_row_groups() >= 4);

    let done = put(&mut table, &[batch(&[70_000, 70_001], 7)], at("f", 2)).await.expect("commit");
    assert_eq!((done.files_removed, done.files_added, done.updated), (1, 1, 2));
    let (after, new) = only_file(&sandbox, std::slice::from_ref(&before));
    assert_eq!(old.num_row_groups(), new.num_row_groups());
    for group in 0..old.num_row_groups() {
        assert_eq!(old.row_group(group).num_rows(), new.row_group(group).num_rows());
        for column in 0..3 {
            let same = chunk(&before, &old, group, column) == chunk(&after, &new, group, column);
            assert_eq!(same, group != 1 || column == 0, "row group {group}, column {column}");
            let pages =
                |footer: &ParquetMetaData| footer.row_group(group).column(column).page_encoding_stats_mask().cloned();
            assert!(
                pages(&old).is_some() && (!same || pages(&old) == pages(&new)),
                "what is said of pages is copied, too"
            );
            let bounds = |footer: &ParquetMetaData| footer.row_group(group).column(column).statistics().cloned();
            assert_eq!(bounds(&old).is_some(), bounds(&new).is_some());
        }
    }
    // The same row again changes nothing.
    let again = put(&mut table, &[batch(&[70_000], 7)], at("f", 3)).await.expect("commit");
    assert_eq!((again.files_removed, again.files_added, again.unchanged), (0, 0, 1));

    let rows = scanned(&table).await;
    assert_eq!(rows.len(), ROWS as usize);
    for (id, row) in rows.iter().enumerate() {
        let id = id as i64;
        let salt = if id == 70_000 || id == 70_001 { 7 } else { 0 };
        assert_eq!(row, &format!("{id}|{}|{}", noise(id, salt), noise(id, salt + 1)), "rows keep their places");
    }
    let lake = sandbox.folder.path().join("lake");
    let statement = "select count(*) as n, min(id) as low, max(id) as high, sum(a::hugeint)::varchar as a \
                     from delta_scan('{lake}/silver/noise') where id between 65536 and 131071";
    let Some(found) = duckdb::row(&lake, statement) else { return };
    let sum: i128 =
        (65_536..131_072).map(|id| i128::from(noise(id, if (70_000..=70_001).contains(&id) { 7 } else { 0 }))).sum();
    assert_eq!(found, serde_json::json!({ "n": 65_536, "low": 65_536, "high": 131_071, "a": sum.to_string() }));
}

/// Rows with text that repeats, with nulls among it, and with text of which each occurs once.
fn texts(ids: &[i64], salt: i64) -> RecordBatch {
    let word = |id: i64| match noise(id, salt).rem_euclid(50) {
        0 => None,
        1 => Some(String::new()),
        n if salt > 0 => Some(format!("new word {salt}-{n}")),
        n => Some(format!("word {n}")),
    };
    let words: ArrayRef = Arc::new(ids.iter().map(|id| word(*id)).collect::<StringArray>());
    let names = ids.iter().map(|id| Some(format!("{id} of {salt}")));
    let names: ArrayRef = Arc::new(names.collect::<StringArray>());
    let (ids, noise) = (batch(ids, salt).column(0).clone(), batch(ids, salt).column(1).clone());
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("word", words, true),
        ("name", names, true),
        ("a", noise, true),
    ])
    .expect("columns of one length")
}

#[tokio::test]
async fn text_of_some_rows_is_replaced_where_it_stands() {
    let sandbox = Sandbox::new();
    let spec: TableSpec = spec("noise", upsert("id", None));
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..ROWS).collect();
    put(&mut table, &[texts(&ids, 0)], at("f", 1)).await.expect("commit");
    let mut expected: Vec<String> = super::support::lines(&texts(&ids, 0));
    // Ends of batches and of row groups, neighbours, one alone, and many at once.
    let rounds: [Vec<i64>; 4] = [
        vec![0, 1, 8_191, 8_192, 65_535, 65_536, 131_071, ROWS - 1],
        vec![100_000],
        (0..ROWS).step_by(9).collect(),
        (1_000..1_100).collect(),
    ];
    for (round, ids) in (1_i64..).zip(&rounds) {
        let rows = texts(ids, round);
        let done = put(&mut table, std::slice::from_ref(&rows), at("f", round + 1)).await.expect("commit");
        assert_eq!((done.files_removed, done.updated), (1, ids.len() as u64));
        for (id, line) in ids.iter().zip(super::support::lines(&rows)) {
            expected[*id as usize] = line;
        }
        assert_eq!(scanned(&table).await, expected, "round {round}");
    }
    let lake = sandbox.folder.path().join("lake");
    let statement = "select count(distinct word) as words, count(*) - count(word) as nulls, \
                     count(distinct name) as names from delta_scan('{lake}/silver/noise')";
    let Some(found) = duckdb::row(&lake, statement) else { return };
    let fields = |at: usize| expected.iter().map(move |line| line.split('|').nth(at).expect("a field"));
    let words: std::collections::BTreeSet<&str> = fields(1).filter(|word| *word != "null").collect();
    let nulls = fields(1).filter(|word| *word == "null").count();
    assert_eq!(found, serde_json::json!({ "words": words.len(), "nulls": nulls, "names": ROWS }));
}

#[tokio::test]
async fn several_files_at_once_come_out_in_order() {
    let sandbox = Sandbox::new();
    let spec = TableSpec { changes: true, ..spec("noise", upsert("id", None)) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..2 * ROWS).collect();
    for (step, ids) in ids.chunks(ROWS as usize).enumerate() {
        put(&mut table, &[batch(ids, 0)], at("f", step as i64 + 1)).await.expect("commit");
    }
    // Backwards, so that only the table's own order can sort the changes.
    let changed: Vec<i64> = (0..2 * ROWS).rev().step_by(1_000).collect();
    let done = put(&mut table, &[batch(&changed, 3)], at("f", 3)).await.expect("commit");
    assert_eq!((done.files_removed, done.files_added, done.updated), (2, 2, 600));
    let sluicebox_delta::Changes::InMemory(told) = &done.changes else { panic!("few changes stay in memory") };
    let told: Vec<String> = told.iter().flat_map(super::support::lines).collect();
    let ids: Vec<i64> =
        told.iter().map(|line| line.split('|').next().expect("an id").parse().expect("a number")).collect();
    assert_eq!(ids.len(), 1_200);
    // What goes comes before what takes its place; each in the order of the table.
    let (gone, come) = ids.split_at(600);
    assert!(gone.is_sorted() && gone == come, "changes come in the order of the table");
}

#[tokio::test]
async fn a_file_that_loses_every_row_goes() {
    let sandbox = Sandbox::new();
    let spec = spec("noise", WriteMode::Replace { by: vec!["id".into()] });
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let ids: Vec<i64> = (0..ROWS).collect();
    put(&mut table, &[batch(&ids, 0)], at("f", 1)).await.expect("commit");
    let mut writer = table.begin().await.expect("writer");
    writer.replace_groups(&batch(&ids, 0)).expect("groups");
    let done = table.commit(writer, super::support::commit(at("f", 2))).await.expect("commit");
    assert_eq!((done.files_removed, done.files_added, done.deleted), (1, 0, ROWS as u64));
    assert!(scanned(&table).await.is_empty());
}
