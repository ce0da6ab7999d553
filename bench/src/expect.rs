//! What expectations cost beside the writing of the rows that they are about.
//!
//! `just bench expect [--rows 5000000]` writes the same rows with and without a not-null, a range, a
//! regular expression and a list of values, in turns, and prints nanoseconds a row.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use clap::Parser;
use sluicebox_bench::figures;
use sluicebox_core::plan::{Expectation, Layer, Otherwise, Rule, TableName, TableSpec, WriteMode};
use sluicebox_delta::Provenance;
use sluicebox_lake::Lake;
use tokio::runtime::Runtime;

// What the `sluice` binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

const BATCH: i64 = 8_192;
const ROUNDS: usize = 5;

#[derive(Parser)]
struct Args {
    /// How many rows.
    #[arg(long, default_value_t = 5_000_000)]
    rows: i64,
}

fn main() -> ExitCode {
    match run(Args::parse().rows) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rows: i64) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let batches: Vec<RecordBatch> = (0..rows / BATCH).map(batch).collect::<Result<_, _>>()?;
    let rows = batches.len() as f64 * BATCH as f64;
    let rule = |column: &str, rule: Rule| Expectation {
        column: column.into(),
        rules: vec![rule],
        otherwise: Otherwise::Reject,
    };
    let range = Rule::Range { min: Some("0".into()), max: Some("500".into()) };
    let words = ["new", "paid", "sent"].map(str::to_owned).to_vec();
    let cases: Vec<(&str, Vec<Expectation>)> = vec![
        ("nothing expected", Vec::new()),
        ("not null", vec![rule("order_id", Rule::NotNull)]),
        ("range of a float", vec![rule("price", range.clone())]),
        ("regular expression", vec![rule("product_id", Rule::Matches("^P[0-9]{1,5}$".into()))]),
        ("one of three words", vec![rule("state", Rule::OneOf(words.clone()))]),
        ("unique", vec![rule("order_id", Rule::Unique(Vec::new()))]),
        (
            "not null, range, expression",
            vec![
                rule("order_id", Rule::NotNull),
                rule("price", range),
                rule("product_id", Rule::Matches("^P[0-9]{1,5}$".into())),
            ],
        ),
    ];
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, expect), times) in cases.iter().zip(&mut times) {
            let folder = tempfile::tempdir()?;
            let lake = Lake::open(folder.path().to_str().ok_or("the folder's path is not UTF-8")?)?;
            let name = TableName { layer: Layer::Silver, name: "orders".into() };
            let spec = TableSpec { expect: expect.clone(), ..TableSpec::new(name, WriteMode::Append) };
            let mut table = runtime.block_on(lake.table(&spec))?;
            runtime.block_on(table.create(&batches[0].schema(), Provenance::default()))?;
            let mut writer = runtime.block_on(table.begin())?;
            let start = Instant::now();
            for batch in &batches {
                writer.write(batch)?;
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / rows);
            runtime.block_on(writer.abandon());
        }
    }
    let medians: Vec<f64> = times.into_iter().map(figures::median).collect();
    let lines = cases.iter().zip(&medians).map(|((name, _), median)| {
        vec![(*name).to_owned(), format!("{median:.1}"), format!("{:+.1}", median - medians[0])]
    });
    println!("{}", figures::table(&["ns a row", "written", "of which expectations"], lines.collect()));
    Ok(())
}

fn batch(number: i64) -> Result<RecordBatch, Failure> {
    let ids = number * BATCH..(number + 1) * BATCH;
    // Neither sorted nor random: what orders are like.
    let mixed = |id: i64, most: i64| (id.wrapping_mul(7_919) % most).abs();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("order_id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("customer_id", Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| mixed(id, 100_000))))),
        ("product_id", Arc::new(StringArray::from_iter_values(ids.clone().map(|id| format!("P{}", mixed(id, 5_000)))))),
        (
            "state",
            Arc::new(StringArray::from_iter_values(
                ids.clone().map(|id| ["new", "paid", "sent"][mixed(id, 3) as usize]),
            )),
        ),
        ("quantity", Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| mixed(id, 9))))),
        ("price", Arc::new(Float64Array::from_iter_values(ids.map(|id| mixed(id, 50_000) as f64 / 100.0)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
