//! `just bench upsert`: some rows into a large table, by `sluice`'s engine with and without deletion
//! vectors and by delta-rs' MERGE, in turns, in one run, on one machine.

mod work;

use std::error::Error;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use sluicebox_bench::figures::{Goal, goals, median, save, table};
use sluicebox_bench::measure::{Run, files, first_line, machine, run};
use sluicebox_bench::{output, root};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures upserts of 1, 1,000 and 100,000 rows, with keys spread over the table and of its last day.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Rows of the table; given twice, memory is compared between the two.
    #[arg(long, default_values_t = [20_000_000])]
    rows: Vec<u64>,
    /// Rows of an upsert; may be given several times.
    #[arg(long, default_values_t = [1, 1_000, 100_000])]
    changes: Vec<u64>,
    /// How often each side runs; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Who else runs.
    #[arg(long, value_enum, default_value_t = Peer::Deltalake)]
    peer: Peer,
    /// Where the tables lie [default: target/bench/data].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where to write every figure [default: target/bench/upsert.json].
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Nobody.
    None,
    /// delta-rs with DataFusion, from Python.
    Deltalake,
}

/// What runs in a process of its own, to be measured.
#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    Make { lake: PathBuf, rows: u64 },
    #[command(hide = true)]
    Source {
        path: PathBuf,
        rows: u64,
        changes: u64,
        #[arg(action = clap::ArgAction::Set)]
        last_day: bool,
    },
    #[command(hide = true)]
    Upsert {
        lake: PathBuf,
        source: PathBuf,
        #[arg(action = clap::ArgAction::Set)]
        vectors: bool,
    },
}

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.part {
        Some(Part::Make { lake, rows }) => work::make(lake, *rows),
        Some(Part::Source { path, rows, changes, last_day }) => work::source(path, *rows, *changes, *last_day),
        Some(Part::Upsert { lake, source, vectors }) => {
            work::upsert(lake, source, *vectors).map(|report| println!("{report}"))
        }
        None => bench(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One upsert by one side.
struct Case {
    rows: u64,
    changes: u64,
    last_day: bool,
    side: Side,
    runs: Vec<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sluice,
    Vectors,
    Deltalake,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Sluice => "sluice",
            Side::Vectors => "sluice, vectors",
            Side::Deltalake => "deltalake",
        }
    }
}

struct Measured {
    run: Run,
    written: u64,
}

impl Case {
    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    fn reported(&self, name: &str) -> f64 {
        let of = |measured: &Measured| measured.run.report.as_ref().and_then(|report| report[name].as_f64());
        self.median(|measured| of(measured).unwrap_or(f64::NAN))
    }

    /// Seconds: of the whole process for ours, of the merge alone for a peer, which is kindest to it.
    fn wall(&self) -> f64 {
        match self.side {
            Side::Deltalake => self.reported("seconds"),
            _ => self.median(|measured| measured.run.wall),
        }
    }

    fn cpu(&self) -> f64 {
        match self.side {
            Side::Deltalake => self.reported("cpu_seconds"),
            _ => self.median(|measured| measured.run.cpu),
        }
    }

    fn peak(&self) -> f64 {
        self.median(|measured| measured.run.peak as f64 / 1_048_576.0)
    }

    fn keys(&self) -> &'static str {
        if self.last_day { "last day" } else { "spread" }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let data = arguments.data.clone().unwrap_or_else(|| output().join("data"));
    let merge = match arguments.peer {
        Peer::None => None,
        Peer::Deltalake => Some(python("bench/peers/merge.txt")?),
    };
    let mut cases = Vec::new();
    for rows in &arguments.rows {
        let made = made(&program, &data, *rows)?;
        for last_day in [false, true] {
            for changes in &arguments.changes {
                let work = tempfile::Builder::new().prefix("upsert-").tempdir_in(&data)?;
                let source = work.path().join("source.parquet");
                let flags = [rows.to_string(), changes.to_string(), last_day.to_string()];
                run(Command::new(&program).arg("source").arg(&source).args(flags))?;
                let mut sides = vec![Side::Sluice, Side::Vectors];
                sides.extend(merge.is_some().then_some(Side::Deltalake));
                let first = cases.len();
                let case = |side| Case { rows: *rows, changes: *changes, last_day, side, runs: Vec::new() };
                cases.extend(sides.into_iter().map(case));
                let mut sums: Option<Value> = None;
                // In turns, so that a machine that gets slower or faster does so for everybody.
                for turn in 0..arguments.runs {
                    for case in &mut cases[first..] {
                        let lake = tempfile::Builder::new().prefix("lake-").tempdir_in(&data)?;
                        let orders = lake.path().join("silver/orders");
                        fs::create_dir_all(lake.path().join("silver"))?;
                        // Data files never change, so a copy may share them.
                        run(Command::new("cp").arg("-al").arg(made.join("silver/orders")).arg(&orders))?;
                        let before = files(&orders, ".parquet")?.0;
                        let mut command = match (case.side, &merge) {
                            (Side::Deltalake, Some(python)) => {
                                let mut command = Command::new(python);
                                command.arg(root().join("bench/peers/merge.py")).arg(&orders).arg(&source);
                                command
                            }
                            _ => {
                                let mut command = Command::new(&program);
                                command.arg("upsert").arg(lake.path()).arg(&source);
                                command.arg((case.side == Side::Vectors).to_string());
                                command
                            }
                        };
                        let run = run(&mut command)?;
                        let written = files(&orders, ".parquet")?.0 + files(&orders, ".bin")?.0 - before;
                        case.runs.push(Measured { run, written });
                        let name = case.side.name();
                        println!("{rows} {changes} {} {name}: {:.3} s", case.keys(), case.runs[turn].run.wall);
                        if turn == 0 {
                            same(name, lake.path(), &mut sums)?;
                        }
                    }
                }
            }
        }
    }
    let compared = compare(&cases);
    println!("\n{}\n\n{}", show(&cases), goals(&compared));
    let path = arguments.json.clone().unwrap_or_else(|| output().join("upsert.json"));
    let record = json!({
        "bench": "upsert", "rows": arguments.rows, "runs": arguments.runs, "machine": machine(),
        "versions": {
            "rustc": first_line("rustc", &["--version"]),
            "commit": first_line("git", &["-C", root().to_str().unwrap_or("."), "describe", "--always", "--dirty"]),
        },
        "cases": cases.iter().map(record).collect::<Vec<_>>(),
        "goals": compared.iter().map(Goal::to_json).collect::<Vec<_>>(),
    });
    save(&path, &record)?;
    println!("\nevery figure: {}", path.display());
    Ok(())
}

/// The lake with a table of that many rows, made now unless it is there.
fn made(program: &Path, data: &Path, rows: u64) -> Result<PathBuf, Failure> {
    let lake = data.join(format!("upsert-{rows}"));
    if !lake.is_dir() {
        fs::create_dir_all(data)?;
        // Renamed at the end, so that half a table is never taken for the whole.
        let draft = tempfile::Builder::new().prefix("made-").tempdir_in(data)?;
        run(Command::new(program).arg("make").arg(draft.path()).arg(rows.to_string()))?;
        fs::rename(draft.keep(), &lake)?;
    }
    let (bytes, count) = files(&lake, ".parquet")?;
    println!("{rows} rows, {:.0} MB in {count} files: {}", bytes as f64 / 1e6, lake.display());
    Ok(lake)
}

/// The interpreter of an environment with these requirements, installed now unless it is there.
fn python(requirements: &str) -> Result<PathBuf, Failure> {
    let output = Command::new(root().join("scripts/venv")).arg(requirements).output()?;
    if !output.status.success() {
        return Err(format!("cannot install {requirements}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Has an independent reader add up the table: all sides must make the same.
fn same(name: &str, lake: &Path, sums: &mut Option<Value>) -> Result<(), Failure> {
    let python = python("tests/harness/duckdb.txt")?;
    let mut statement = tempfile::tempfile()?;
    write!(
        statement,
        "select count(*) as rows, count(distinct order_id) as orders, sum(quantity) as quantity, \
         sum(customer_id * (order_id % 1000)) as mixed from delta_scan('{{lake}}/silver/orders')"
    )?;
    statement.rewind()?;
    let output =
        Command::new(python).arg(root().join("tests/harness/duckdb_read.py")).arg(lake).stdin(statement).output()?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    match sums {
        Some(wanted) if *wanted != found => Err(format!("{name} made {found}, not {wanted}").into()),
        _ => {
            *sums = Some(found);
            Ok(())
        }
    }
}

/// The goals of the engine.
fn compare(cases: &[Case]) -> Vec<Goal> {
    let mut compared = Vec::new();
    let mut goal = |name: String, value: f64, at_most: f64| compared.push(Goal { name, value, at_most });
    for case in cases.iter().filter(|case| case.side != Side::Deltalake) {
        let (side, keys, changes, rows) = (case.side.name(), case.keys(), case.changes, case.rows);
        goal(format!("peak MB, {side}, {changes} {keys} into {rows}"), case.peak(), 384.0);
        let rival = cases.iter().find(|other| {
            other.side == Side::Deltalake
                && (other.rows, other.changes, other.last_day) == (rows, changes, case.last_day)
        });
        if let Some(rival) = rival {
            // Where every row group holds a key there is nothing to splice.
            let factor = match (case.side, case.last_day, changes) {
                (Side::Vectors, _, _) => 20.0,
                (_, true, _) => 10.0,
                (_, false, 100_000..) => 1.0,
                (_, false, _) => 3.0,
            };
            let name = format!("wall time, {side} / deltalake, {changes} {keys} into {rows}");
            goal(name, case.wall() / rival.wall(), 1.0 / factor);
        }
        let smaller = cases.iter().find(|other| {
            (other.side, other.changes, other.last_day) == (case.side, changes, case.last_day) && other.rows < rows
        });
        if let Some(smaller) = smaller {
            let name = format!("peak, {side}, {changes} {keys}, {rows} / {} rows", smaller.rows);
            goal(name, case.peak() / smaller.peak(), 1.25);
        }
    }
    compared
}

fn show(cases: &[Case]) -> String {
    let shown = cases.iter().map(|case| {
        vec![
            format!("{} {} into {}, {}", case.changes, case.keys(), case.rows, case.side.name()),
            format!("{:.3}", case.wall()),
            format!("{:.3}", case.cpu()),
            format!("{:.0}", case.peak()),
            format!("{:.1}", case.median(|measured| measured.written as f64 / 1e6)),
            format!("{:.0}", case.reported("files_removed")),
            format!("{:.0}", case.reported("files_added")),
        ]
    });
    table(&["", "wall s", "cpu s", "peak MB", "written MB", "files removed", "files added"], shown.collect())
}

fn record(case: &Case) -> Value {
    let runs = case.runs.iter().map(|measured| {
        json!({
            "wall_seconds": measured.run.wall, "cpu_seconds": measured.run.cpu,
            "peak_memory_bytes": measured.run.peak, "written_bytes": measured.written, "report": measured.run.report,
        })
    });
    json!({
        "rows": case.rows, "changes": case.changes, "keys": case.keys(), "side": case.side.name(),
        "wall_seconds": case.wall(), "cpu_seconds": case.cpu(), "peak_megabytes": case.peak(),
        "runs": runs.collect::<Vec<_>>(),
    })
}
