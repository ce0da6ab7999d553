//! What is measured: making the table, and the upsert of a file of rows into it. Each runs in a process of its own.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Commit, Provenance};
use sluicebox_lake::Lake;
use tokio::runtime::Runtime;

type Failure = Box<dyn Error>;

/// Orders of one day.
pub const DAY: u64 = 200_000;
/// Orders of one commit, so that a table has as many files as hours of a pipeline would leave.
const COMMIT: u64 = 2_000_000;
const BATCH: u64 = 8_192;
const CATEGORIES: [&str; 6] = ["electronics", "books", "clothing", "home decor", "toys", "food"];
const STATES: [&str; 6] = ["NY", "CA", "IL", "TX", "AZ", "WA"];
/// 2026-01-01T00:00:00Z in microseconds.
const START: i64 = 1_767_225_600_000_000;

fn spec(mode: WriteMode, vectors: bool) -> TableSpec {
    let mut spec = TableSpec::new(TableName { layer: Layer::Silver, name: "orders".into() }, mode);
    spec.layout.deletion_vectors = vectors;
    spec
}

/// Orders with these numbers; the same number gives the same row unless `round` differs.
fn orders(ids: &[u64], round: u64) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(round.wrapping_mul(1 << 40) + ids.first().copied().unwrap_or(0));
    let mut customers = Vec::with_capacity(ids.len());
    let (mut products, mut categories, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let (mut quantities, mut prices, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        customers.push(random.random_range(0..100_000_i64));
        products.push(format!("P{:04}", random.random_range(0..5_000)));
        categories.push(CATEGORIES[random.random_range(0..CATEGORIES.len())]);
        states.push(STATES[random.random_range(0..STATES.len())]);
        quantities.push(random.random_range(1..9_i64));
        prices.push(f64::from(random.random_range(0..50_000)) / 100.0);
        times.push(START + i64::try_from(id * 86_400_000_000 / DAY).unwrap_or(i64::MAX));
    }
    let ids: Int64Array = ids.iter().map(|id| i64::try_from(*id).ok()).collect();
    let columns: [(&str, ArrayRef); 8] = [
        ("order_id", Arc::new(ids)),
        ("customer_id", Arc::new(Int64Array::from(customers))),
        ("product_id", Arc::new(StringArray::from(products))),
        ("category", Arc::new(StringArray::from(categories))),
        ("state", Arc::new(StringArray::from(states))),
        ("quantity", Arc::new(Int64Array::from(quantities))),
        ("price", Arc::new(Float64Array::from(prices))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .expect("the columns have one length because one loop fills them")
}

/// Makes the table of `rows` orders.
pub fn make(lake: &Path, rows: u64) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let lake = Lake::open(lake.to_str().ok_or("a path that is no text")?)?;
    let mut table = runtime.block_on(lake.table(&spec(WriteMode::Append, false)))?;
    runtime.block_on(table.create(&orders(&[0], 0).schema(), Provenance::default()))?;
    for from in (0..rows).step_by(usize::try_from(COMMIT)?) {
        let mut writer = runtime.block_on(table.begin())?;
        let to = rows.min(from + COMMIT);
        for from in (from..to).step_by(usize::try_from(BATCH)?) {
            let ids: Vec<u64> = (from..to.min(from + BATCH)).collect();
            writer.write(&orders(&ids, 0))?;
        }
        let positions = Positions::of("made".into(), i64::try_from(to)?);
        let commit = Commit { app: "bench/make".into(), positions, ..Commit::default() };
        runtime.block_on(table.commit(writer, commit))?;
    }
    Ok(())
}

/// Writes `changes` orders of the table's `rows` to a file, nine of ten with a number that the table
/// has, out of the whole table or of the last day.
pub fn source(path: &Path, rows: u64, changes: u64, last_day: bool) -> Result<(), Failure> {
    let from = if last_day { rows.saturating_sub(DAY) } else { 0 };
    let known = changes - changes / 10;
    let mut random = ChaCha8Rng::seed_from_u64(changes);
    let chosen = sample(&mut random, usize::try_from(rows - from)?, usize::try_from(known)?);
    let mut ids: Vec<u64> = chosen.into_iter().map(|id| from + id as u64).collect();
    ids.extend(rows..rows + changes / 10);
    let rows = orders(&ids, 1);
    let mut writer = ArrowWriter::try_new(File::create(path)?, rows.schema(), None)?;
    writer.write(&rows)?;
    writer.close()?;
    Ok(())
}

/// Upserts the file's rows, and says what it did.
pub fn upsert(lake: &Path, source: &Path, vectors: bool) -> Result<Value, Failure> {
    let runtime = Runtime::new()?;
    let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(source)?)?.with_batch_size(8_192).build()?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    let lake = Lake::open(lake.to_str().ok_or("a path that is no text")?)?;
    let mode = WriteMode::Upsert { key: vec!["order_id".into()], order_by: None, delete_when: None };
    let mut table = runtime.block_on(lake.table(&spec(mode, vectors)))?;
    let opened = started.elapsed().as_secs_f64();
    let mut writer = runtime.block_on(table.begin())?;
    for rows in &rows {
        writer.write(rows)?;
    }
    let commit =
        Commit { app: "bench/upsert".into(), positions: Positions::of("source".into(), 1), ..Commit::default() };
    let committed = runtime.block_on(table.commit(writer, commit))?;
    Ok(json!({
        "seconds": started.elapsed().as_secs_f64(), "opened_seconds": opened,
        "inserted": committed.inserted, "updated": committed.updated,
        "files_removed": committed.files_removed, "files_added": committed.files_added,
    }))
}
