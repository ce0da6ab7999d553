//! Upserts into files that are kept apart, patched and spliced, against a map, over random histories.
//!
//! The histories of small tables never get there: a file below 4 MiB is written anew as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use sluicebox_core::plan::{DeleteWhen, WriteMode};
use sluicebox_delta::Provenance;

use super::support::{Sandbox, at, lines, put, scanned, spec};

/// Random histories of one test run; `$SLUICE_LARGE_HISTORIES` asks for others.
const HISTORIES: u64 = 3;
/// More than two row groups.
const ROWS: i64 = 140_000;

/// A row of each of `ids`, as `salt` has it; columns of every kind that is encoded or compared in a way of its own.
fn batch(ids: &[i64], seqs: &[Option<i64>], deleted: &[bool], salt: i64) -> RecordBatch {
    let random = |id: i64| ChaCha8Rng::seed_from_u64((id as u64) << 8 | salt as u64);
    let mut words: Vec<Option<String>> = Vec::new();
    let (mut names, mut prices, mut flags, mut days) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut times, mut amounts, mut counts, mut inner) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut tags = ListBuilder::new(StringBuilder::new());
    let mut noise: [Vec<i64>; 4] = Default::default();
    for id in ids {
        let mut random = random(*id);
        words.push(match random.random_range(0..40) {
            0 => None,
            1 => Some(String::new()),
            n => Some(format!("{}{n}", if random.random_bool(0.2) { "a word of many letters " } else { "w" })),
        });
        names.push(random.random_bool(0.9).then(|| format!("n{}", random.random::<u64>())));
        prices.push(match random.random_range(0..20) {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(-0.0),
            _ => Some(f64::from(random.random_range(-5_000..5_000)) / 100.0),
        });
        flags.push(random.random_bool(0.8).then(|| random.random_bool(0.5)));
        days.push(random.random_bool(0.9).then(|| random.random_range(-40_000..40_000)));
        times.push(random.random_bool(0.9).then(|| random.random_range(-(1_i64 << 50)..1 << 50)));
        amounts.push(random.random_bool(0.9).then(|| random.random_range(-(1_i128 << 60)..1 << 60)));
        counts.push(random.random_bool(0.9).then(|| random.random_range(0..9)));
        inner.push(
            random
                .random_bool(0.7)
                .then(|| ["x", "y", "a longer text than the others"].choose(&mut random).copied())
                .flatten(),
        );
        match random.random_range(0..4) {
            0 => tags.append(false),
            n => {
                (1..n).for_each(|tag| tags.values().append_value(format!("t{tag}")));
                tags.append(true);
            }
        }
        noise.iter_mut().for_each(|column| column.push(random.random()));
    }
    let inner = StructArray::from(vec![
        (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Int64Array::from(counts.clone())) as ArrayRef),
        (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(StringArray::from(inner))),
    ]);
    let ops = deleted.iter().map(|deleted| Some(if *deleted { "d" } else { "u" }));
    let amounts = Decimal128Array::from(amounts).with_precision_and_scale(20, 2).expect("a decimal");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("seq", Arc::new(Int64Array::from(seqs.to_vec()))),
        ("op", Arc::new(ops.collect::<StringArray>())),
        ("word", Arc::new(StringArray::from(words))),
        ("name", Arc::new(StringArray::from(names))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("flag", Arc::new(BooleanArray::from(flags))),
        ("day", Arc::new(Date32Array::from(days))),
        ("time", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))),
        ("amount", Arc::new(amounts)),
        ("count", Arc::new(Int64Array::from(counts))),
        ("inner", Arc::new(inner)),
        ("tags", Arc::new(tags.finish())),
    ];
    for (name, column) in ["n1", "n2", "n3", "n4"].into_iter().zip(noise) {
        columns.push((name, Arc::new(Int64Array::from(column))));
    }
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

/// What the table must hold: by key, its `seq` and its row as text.
type Model = BTreeMap<i64, (Option<i64>, String)>;

/// Some keys of a table, in one of the ways in which changes come.
fn keys(random: &mut ChaCha8Rng) -> Vec<i64> {
    let count = [1, 7, 300, 9_000, 40_000].choose(random).copied().unwrap_or(1);
    let (low, high) = match random.random_range(0..3) {
        0 => (0, ROWS + 50),
        // Only some row groups, and new keys beyond all.
        1 => (ROWS - 20_000, ROWS + 50),
        _ => {
            let low = random.random_range(0..ROWS - 1_000);
            (low, low + 1_000)
        }
    };
    let mut keys: Vec<i64> = (0..count).map(|_| random.random_range(low..high)).collect();
    if random.random_bool(0.5) {
        keys.sort_unstable();
    }
    keys
}

/// Puts rows into an empty table as another program might: pages of few rows, dictionaries that are given up
/// half-way, and no word about the file's contents.
fn put_foreign(folder: &Path, rows: &RecordBatch) {
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(3_000)
        .set_write_batch_size(1_000)
        .set_dictionary_page_size_limit(40_000)
        .set_max_row_group_row_count(Some(50_000));
    let file = folder.join("foreign.parquet");
    let mut writer =
        ArrowWriter::try_new(File::create(&file).expect("a file"), rows.schema(), Some(properties.build()))
            .expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a footer");
    let size = fs::metadata(&file).expect("a file").len();
    let add = json!({ "path": "foreign.parquet", "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": true });
    let entry = folder.join("_delta_log/00000000000000000001.json");
    fs::write(entry, json!({ "add": add }).to_string()).expect("an entry");
}

async fn history(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let ordered = random.random_bool(0.5);
    let deletes = random.random_bool(0.5);
    let delete_when = deletes.then(|| DeleteWhen { column: "op".into(), is: vec!["d".into()] });
    let order_by = ordered.then(|| "seq".to_owned());
    let mut spec = spec("large", WriteMode::Upsert { key: vec!["id".into()], order_by, delete_when });
    spec.changes = random.random_bool(0.3);
    spec.layout.deletion_vectors = random.random_bool(0.25);
    spec.layout.memory = if random.random_bool(0.2) { 1 << 20 } else { 256 << 20 };
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let mut model = Model::new();
    for step in 0..6 {
        let ids = if step == 0 { (0..ROWS).collect() } else { keys(&mut random) };
        // Few salts, so that rows come that are there already.
        let salt = if step == 0 { 0 } else { random.random_range(0..3) };
        let seqs: Vec<Option<i64>> = ids
            .iter()
            .map(|_| if step == 0 { Some(3) } else { random.random_bool(0.9).then(|| random.random_range(2..6)) })
            .collect();
        // A deletion without an order counts when it arrives; that has a model of its own.
        let deletes = |seq: &Option<i64>| deletes && step > 0 && random.random_bool(0.2) && seq.is_some();
        let deleted: Vec<bool> = seqs.iter().map(deletes).collect();
        let rows = batch(&ids, &seqs, &deleted, salt);
        for (((id, seq), deleted), line) in ids.iter().zip(&seqs).zip(&deleted).zip(lines(&rows)) {
            // Within a commit and against the table: older never overwrites newer, and of equals the later one stays.
            if !(ordered && model.get(id).is_some_and(|(present, _)| present > seq)) {
                model.insert(*id, (*seq, if *deleted { String::new() } else { line }));
            }
        }
        // A deletion leaves nothing behind that a later commit could be older than.
        model.retain(|_, (_, line)| !line.is_empty());
        if step == 0 && random.random_bool(0.4) {
            table.create(&rows.schema(), Provenance::default()).await.expect("an empty table");
            put_foreign(&sandbox.path("large"), &rows);
            table = sandbox.lake.table(&spec).await.expect("table");
        } else {
            put(&mut table, &[rows], at("f", step + 1)).await.expect("commit");
        }
        let mut found = scanned(&table).await;
        found.sort_unstable();
        let mut expected: Vec<&String> = model.values().map(|(_, line)| line).collect();
        expected.sort_unstable();
        let differ = found.iter().zip(&expected).find(|(found, expected)| found != *expected);
        assert_eq!((differ, found.len()), (None, expected.len()), "history {seed}, step {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_end_like_the_map() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = asked("SLUICE_SEED").unwrap_or_else(rand::random);
    for history_of in 0..asked("SLUICE_LARGE_HISTORIES").unwrap_or(HISTORIES) {
        history(first.wrapping_add(history_of)).await;
    }
}
