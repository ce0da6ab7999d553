//! Whether a table that receives many small commits opens and commits as fast at the end as at the
//! start.
//!
//! `just bench commits [--commits 10000]` prints both ends and their ratios and writes
//! `target/bench/commits.json`. The table is kept in shape as a hop keeps it: small files are put
//! together at the plan's default; nothing is removed, as nothing is old.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use clap::Parser;
use object_store::local::LocalFileSystem;
use serde_json::json;
use sluicebox_bench::figures::{self, Goal};
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{Layer, TableName, TableSpec, Upkeep, WriteMode};
use sluicebox_delta::{Commit, Followers, Maintenance, Provenance, Table};
use sluicebox_lake::Lake;
use tokio::runtime::Runtime;
use url::Url;

// What the `sluice` binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// Commits and openings measured at each end.
const SAMPLES: usize = 100;
/// Openings measured at each end.
const OPENINGS: usize = 15;

#[derive(Parser)]
struct Args {
    /// How many commits.
    #[arg(long, default_value_t = 10_000)]
    commits: usize,
    /// Where the table is made; a temporary folder without it.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Never put small files together.
    #[arg(long)]
    neglect: bool,
    /// Through the object store's own way to the disk, to see what ours is worth.
    #[arg(long)]
    plain_store: bool,
    /// Keys of an upsert table instead of an append table.
    #[arg(long)]
    upsert: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    if args.commits < 4 * SAMPLES {
        return Err(format!("--commits must be at least {}", 4 * SAMPLES).into());
    }
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let path = folder.path().to_str().ok_or("the folder's path is not UTF-8")?;
    let lake = match args.plain_store {
        true => Lake::with_store(Arc::new(LocalFileSystem::new()), &Url::parse(&format!("file://{path}"))?)?,
        false => Lake::open(path)?,
    };
    let mode = match args.upsert {
        false => WriteMode::Append,
        true => WriteMode::Upsert { key: vec!["id".into()], order_by: None, delete_when: None },
    };
    let spec = TableSpec::new(TableName { layer: Layer::Silver, name: "events".into() }, mode);
    let runtime = Runtime::new()?;
    let mut table = runtime.block_on(lake.table(&spec))?;
    runtime.block_on(table.create(&rows(0)?.schema(), Provenance::default()))?;

    let mut times = Vec::with_capacity(args.commits);
    let mut upkeep = Duration::ZERO;
    let (mut first_openings, mut last_openings) = (Vec::new(), Vec::new());
    let compact_at = Upkeep::default().compact_at as usize;
    let mut small = 0;
    for number in 0..args.commits {
        let start = Instant::now();
        commit(&runtime, &mut table, number)?;
        times.push(milliseconds(start.elapsed()));
        small += 1;
        // A first hundred commits make the table what its start is: a table without any is no table.
        if number + 1 == 2 * SAMPLES {
            first_openings = openings(&runtime, &lake, &spec)?;
        }
        if small >= compact_at && !args.neglect {
            let start = Instant::now();
            runtime.block_on(table.maintain(&Maintenance {
                upkeep: Upkeep::default(),
                least_files: compact_at,
                clean: false,
                followers: Followers::None,
                now: std::time::SystemTime::now().into(),
                dry_run: false,
            }))?;
            upkeep += start.elapsed();
            small = 1;
        }
        if (number + 1) % (args.commits / 10) == 0 {
            let recent = figures::median(times[times.len() - SAMPLES..].to_vec());
            eprintln!("{:>7} commits; the last {SAMPLES} took {recent:.1} ms each", number + 1);
        }
    }
    last_openings.extend(openings(&runtime, &lake, &spec)?);

    let first = figures::median(times[SAMPLES..2 * SAMPLES].to_vec());
    let last = figures::median(times[times.len() - SAMPLES..].to_vec());
    // The mean has the checkpoints in it, which every twentieth commit makes.
    let (mean_first, mean_last) = (mean(&times[SAMPLES..2 * SAMPLES]), mean(&times[times.len() - SAMPLES..]));
    let (opened_first, opened_last) = (figures::median(first_openings), figures::median(last_openings));
    let goals = [
        Goal { name: "commit, end / start".into(), value: last / first, at_most: 2.0 },
        Goal {
            name: "commit with its share of checkpoints, end / start".into(),
            value: mean_last / mean_first,
            at_most: 2.0,
        },
        Goal { name: "open, end / start".into(), value: opened_last / opened_first, at_most: 2.0 },
    ];
    let cells = |name: &str, first: f64, last: f64| {
        vec![name.to_owned(), format!("{first:.1}"), format!("{last:.1}"), format!("{:.2}", last / first)]
    };
    let header = ["ms", "start", "end", "end / start"];
    let lines = vec![
        cells("commit, median", first, last),
        cells("commit, mean", mean_first, mean_last),
        cells("open, median", opened_first, opened_last),
    ];
    println!("{}", figures::table(&header, lines));
    println!("{} commits; {:.1} s of upkeep", args.commits, upkeep.as_secs_f64());
    let output = sluicebox_bench::output();
    fs::create_dir_all(&output)?;
    let record = json!({
        "commits": args.commits, "neglect": args.neglect, "plain_store": args.plain_store, "upsert": args.upsert,
        "commit_ms": { "start": first, "end": last }, "commit_mean_ms": { "start": mean_first, "end": mean_last }, "open_ms": { "start": opened_first, "end": opened_last },
        "upkeep_seconds": upkeep.as_secs_f64(),
        "goals": goals.iter().map(Goal::to_json).collect::<Vec<_>>(),
    });
    fs::write(output.join("commits.json"), format!("{record:#}\n"))?;
    Ok(())
}

fn commit(runtime: &Runtime, table: &mut Table, number: usize) -> Result<(), Failure> {
    let mut writer = runtime.block_on(table.begin())?;
    writer.write(&rows(number as i64)?)?;
    let positions = Positions::of("events".into(), number as i64 + 1);
    let commit = Commit { app: "bench/land".into(), positions, ..Commit::default() };
    runtime.block_on(table.commit(writer, commit))?;
    Ok(())
}

fn openings(runtime: &Runtime, lake: &Lake, spec: &TableSpec) -> Result<Vec<f64>, Failure> {
    (0..OPENINGS)
        .map(|_| {
            let start = Instant::now();
            let table = runtime.block_on(lake.table(spec))?;
            // What every hop asks for first.
            runtime.block_on(table.positions("bench/land/"))?;
            Ok(milliseconds(start.elapsed()))
        })
        .collect()
}

fn rows(number: i64) -> Result<RecordBatch, Failure> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(10 * number..10 * number + 10));
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..10).map(|row| format!("event {row}"))));
    Ok(RecordBatch::try_from_iter([("id", ids), ("word", words)])?)
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
