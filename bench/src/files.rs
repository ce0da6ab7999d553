//! `just bench files`: an order file to bronze and silver tables, by `sluice`, by its peers, and by the
//! bare native parts, in turns, in one run, on one machine.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use sluicebox_bench::figures::{Goal, goals, median, save, table};
use sluicebox_bench::measure::{Run, files, first_line, machine, run};
use sluicebox_bench::orders::{Expected, cached};
use sluicebox_bench::{output, root};

/// Measures the order job: CSV, bronze, cleaned silver.
#[derive(Parser)]
struct Arguments {
    /// Rows in the order file.
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
    /// How often each side runs; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Who else runs; may be given several times.
    #[arg(long = "peer", value_enum, default_values_t = [Peer::Sail])]
    peers: Vec<Peer>,
    /// Where to write every figure [default: target/bench/files.json].
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Nobody: only `sluice` and the native parts.
    None,
    /// Sail, Spark's language on Rust and DataFusion.
    Sail,
    /// Spark with Delta Lake on a Java machine; fetches its jars.
    Spark,
    /// Floe, an ingestion tool in Rust; takes half an hour to build.
    Floe,
}

/// One side of the comparison.
struct Side {
    name: &'static str,
    /// Makes the command that does the job once, into an empty folder.
    command: Box<dyn Fn(&Path) -> Command>,
    /// The table it makes, for those that make one.
    makes: Option<Made>,
    runs: Vec<Measured>,
}

/// A table that an independent reader must find.
#[derive(Clone, Copy)]
struct Made {
    /// Below the folder that the side was given.
    path: &'static str,
    /// How many rows it may have, at least and at most.
    rows: (u64, u64),
    /// Whether it is the silver table of the job, with clean values.
    clean: bool,
}

struct Measured {
    run: Run,
    /// Bytes and number of the data files written.
    written: (u64, u64),
}

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match bench(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: Arguments) -> Result<(), Failure> {
    let (data, expected) = cached(&output().join("data"), arguments.rows)?;
    let input = data.join("orders.csv");
    let size = fs::metadata(&input)?.len();
    println!("{} rows, {:.0} MB: {}", arguments.rows, mega(size), input.display());

    let mut sides = vec![sluice(&data, expected)?, native(&input)?];
    for peer in &arguments.peers {
        sides.extend(match peer {
            Peer::None => Vec::new(),
            Peer::Sail => sail(&input, expected)?,
            Peer::Spark => vec![spark(&input, expected)?],
            Peer::Floe => vec![floe(&input, expected)?],
        });
    }
    // In turns, so that a machine that gets slower or faster does so for everybody.
    for turn in 0..arguments.runs {
        for side in &mut sides {
            measure(side, turn, expected)?;
        }
    }

    let compared = compare(&sides, arguments.rows);
    println!("\n{}\n\n{}", show(&sides, arguments.rows), goals(&compared));
    let path = arguments.json.unwrap_or_else(|| output().join("files.json"));
    let record = json!({
        "bench": "files", "rows": arguments.rows, "bytes": size, "runs": arguments.runs,
        "machine": machine(), "versions": versions(&sides),
        "sides": sides.iter().map(|side| record(side, arguments.rows)).collect::<Vec<_>>(),
        "goals": compared.iter().map(Goal::to_json).collect::<Vec<_>>(),
    });
    save(&path, &record)?;
    println!("\nevery figure: {}", path.display());
    Ok(())
}

/// The program beside this one: both are built into one folder.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        return Err(format!("there is no {}: start the bench with `just bench files`", path.display()).into());
    }
    Ok(path)
}

fn command(program: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

fn sluice(data: &Path, expected: Expected) -> Result<Side, Failure> {
    let program = beside("sluice")?;
    let pipeline = root().join("bench/pipelines/orders.toml");
    let data = format!("data={}", data.display());
    // The module keeps no state, so a repeat stays when a batch ends between the two.
    let rows = (expected.clean, expected.clean + expected.kept_repeats / 100);
    Ok(Side {
        name: "sluice",
        command: Box::new(move |lake| {
            let mut command = command(&program, &["run".as_ref(), pipeline.as_ref(), "--json".as_ref()]);
            command.arg("--lake").arg(lake).arg("--var").arg(&data);
            command
        }),
        makes: Some(Made { path: "silver/orders", rows, clean: true }),
        runs: Vec::new(),
    })
}

fn native(input: &Path) -> Result<Side, Failure> {
    let (program, input) = (beside("ceiling")?, input.to_owned());
    Ok(Side {
        name: "native parts",
        command: Box::new(move |folder| command(&program, &[input.as_ref(), folder.as_ref()])),
        makes: None,
        runs: Vec::new(),
    })
}

fn sail(input: &Path, expected: Expected) -> Result<Vec<Side>, Failure> {
    let python = python("bench/peers/sail.txt")?;
    let repeated = expected.clean + expected.kept_repeats;
    let side = |name, options: &'static [&'static str], rows| {
        let (python, input) = (python.clone(), input.to_owned());
        let script = root().join("bench/peers/sail.py");
        Side {
            name,
            command: Box::new(move |lake: &Path| {
                let mut command = command(&python, &[script.as_ref(), input.as_ref(), lake.as_ref()]);
                command.args(options);
                command
            }),
            makes: Some(Made { path: "silver/orders", rows, clean: true }),
            runs: Vec::new(),
        }
    };
    Ok(vec![
        // Less work than ours: repeats stay, refused rows vanish.
        side("sail", &[], (repeated, repeated)),
        side("sail, same work", &["--dedupe", "--rejects"], (expected.clean, expected.clean)),
    ])
}

fn spark(input: &Path, expected: Expected) -> Result<Side, Failure> {
    let (python, input) = (python("bench/peers/spark.txt")?, input.to_owned());
    let script = root().join("bench/peers/spark.py");
    let rows = expected.clean + expected.kept_repeats;
    Ok(Side {
        name: "spark",
        command: Box::new(move |lake| command(&python, &[script.as_ref(), input.as_ref(), lake.as_ref()])),
        makes: Some(Made { path: "silver/orders", rows: (rows, rows), clean: true }),
        runs: Vec::new(),
    })
}

fn floe(input: &Path, expected: Expected) -> Result<Side, Failure> {
    let (script, input) = (root().join("bench/peers/floe/run"), input.to_owned());
    run(Command::new(&script).arg("--install"))?;
    let rows = expected.rows - expected.repeats;
    Ok(Side {
        name: "floe",
        command: Box::new(move |lake| command(&script, &[input.as_ref(), lake.as_ref()])),
        // It rejects repeats by key and knows neither trimming nor our rule for quantities.
        makes: Some(Made { path: "accepted/orders", rows: (rows, rows), clean: false }),
        runs: Vec::new(),
    })
}

/// The interpreter of an environment with these requirements, installed now unless it is there.
fn python(requirements: &str) -> Result<PathBuf, Failure> {
    let output = Command::new(root().join("scripts/venv")).arg(requirements).output()?;
    if !output.status.success() {
        return Err(format!("cannot install {requirements}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn measure(side: &mut Side, turn: usize, expected: Expected) -> Result<(), Failure> {
    // Beside the data, so that every side writes to the same disk.
    let folder = tempfile::Builder::new().prefix("files-").tempdir_in(output())?;
    let run = run(&mut (side.command)(folder.path()))?;
    println!("{:>16} {}: {:.2} s", side.name, turn + 1, run.wall);
    if let Some(made) = side.makes
        && turn == 0
    {
        verify(side.name, folder.path(), made, expected)?;
    }
    side.runs.push(Measured { run, written: files(folder.path(), ".parquet")? });
    Ok(())
}

/// Has an independent reader count the table: a fast wrong answer is worth nothing.
fn verify(name: &str, folder: &Path, made: Made, expected: Expected) -> Result<(), Failure> {
    let python = python("tests/harness/duckdb.txt")?;
    let mut statement = tempfile::tempfile()?;
    write!(
        statement,
        "with made as (select * from delta_scan('{{lake}}/{}')) select count(*) as rows, \
         count(distinct order_id) as orders, \
         (select sum(quantity) from (select distinct order_id, quantity from made)) as quantity, \
         count(*) filter (category <> lower(trim(category)) or state = '') as untidy from made",
        made.path
    )?;
    statement.rewind()?;
    let output =
        Command::new(python).arg(root().join("tests/harness/duckdb_read.py")).arg(folder).stdin(statement).output()?;
    let counted: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let wrong = |what: &str, wanted: &str| Err(format!("{name}: {what} of {} is not {wanted}: {counted}", made.path));
    let (least, most) = made.rows;
    if !counted["rows"].as_u64().is_some_and(|rows| (least..=most).contains(&rows)) {
        wrong("`rows`", &format!("{least} to {most}"))?;
    }
    let wanted = [("orders", expected.clean), ("quantity", expected.quantity), ("untidy", 0)];
    for (figure, value) in wanted.into_iter().filter(|_| made.clean) {
        if counted[figure] != value {
            wrong(figure, &value.to_string())?;
        }
    }
    Ok(())
}

impl Side {
    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    fn wall(&self) -> f64 {
        self.median(|measured| measured.run.wall)
    }

    fn cpu(&self) -> f64 {
        self.median(|measured| measured.run.cpu)
    }

    fn peak(&self) -> f64 {
        self.median(|measured| mega(measured.run.peak))
    }

    /// A figure that the process reported of itself.
    fn reported(&self, name: &str) -> Option<f64> {
        let value = self.median(|measured| {
            measured.run.report.as_ref().and_then(|report| report[name].as_f64()).unwrap_or(f64::NAN)
        });
        (!value.is_nan()).then_some(value)
    }
}

/// The ratios that the project is about. Peers are taken at their kindest: their job alone, without the
/// start of their interpreter, against our whole process.
fn compare(sides: &[Side], rows: u64) -> Vec<Goal> {
    let Some(ours) = sides.iter().find(|side| side.name == "sluice") else { return Vec::new() };
    let goal = |what: &str, rival: &str, ratio: f64, at_most: f64| Goal {
        name: format!("{what}, sluice / {rival}"),
        value: ratio,
        at_most,
    };
    let mut compared = Vec::new();
    for rival in sides.iter().filter(|side| side.name != "sluice") {
        let cpu = rival.reported("cpu_seconds").unwrap_or(rival.cpu());
        let wall = rival.reported("seconds").unwrap_or(rival.wall());
        if rival.name == "native parts" {
            // The sandbox, the tables and the bookkeeping may cost less than half of the bare work again.
            compared.push(goal("processor time", rival.name, ours.cpu() / cpu, 1.5));
            continue;
        }
        compared.push(goal("processor time", rival.name, ours.cpu() / cpu, 1.0));
        compared.push(goal("wall time", rival.name, ours.wall() / wall, 1.0));
        compared.push(goal("peak memory", rival.name, ours.peak() / rival.peak(), 1.0));
    }
    // The least that any peer was seen to take, on two cores of a server: a figure for such a machine.
    let name = "processor time of sluice, µs per row".to_owned();
    compared.push(Goal { name, value: per_row(ours.cpu(), rows), at_most: 0.70 });
    compared
}

fn show(sides: &[Side], rows: u64) -> String {
    let number = |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let shown = sides.iter().map(|side| {
        vec![
            side.name.to_owned(),
            number(Some(side.wall()), 2),
            number(Some(side.cpu()), 2),
            number(Some(per_row(side.cpu(), rows)), 3),
            number(side.reported("seconds"), 2),
            number(side.reported("cpu_seconds").map(|cpu| per_row(cpu, rows)), 3),
            number(Some(side.peak()), 0),
            number(Some(side.median(|measured| mega(measured.written.0))), 0),
            number(Some(side.median(|measured| measured.written.1 as f64)), 0),
        ]
    });
    let header =
        ["", "wall s", "cpu s", "cpu µs/row", "job alone s", "job alone µs/row", "peak MB", "written MB", "files"];
    table(&header, shown.collect())
}

fn record(side: &Side, rows: u64) -> Value {
    let runs = side.runs.iter().map(|measured| {
        json!({
            "wall_seconds": measured.run.wall, "cpu_seconds": measured.run.cpu,
            "peak_memory_bytes": measured.run.peak, "written_bytes": measured.written.0,
            "written_files": measured.written.1, "report": measured.run.report,
        })
    });
    json!({
        "name": side.name, "wall_seconds": side.wall(), "cpu_seconds": side.cpu(),
        "cpu_microseconds_per_row": per_row(side.cpu(), rows), "peak_memory_megabytes": side.peak(),
        "runs": runs.collect::<Vec<_>>(),
    })
}

fn versions(sides: &[Side]) -> Value {
    let mut versions = json!({
        "sluice": beside("sluice").ok().and_then(|path| first_line(path.to_str()?, &["--version"])),
        "rustc": first_line("rustc", &["--version"]),
        "commit": first_line("git", &["-C", root().to_str().unwrap_or("."), "describe", "--always", "--dirty"]),
    });
    for side in sides {
        let reported = side.runs.first().and_then(|measured| measured.run.report.as_ref());
        if let Some(peers) = reported.and_then(|report| report["versions"].as_object()) {
            for (name, version) in peers {
                versions[name] = version.clone();
            }
        }
    }
    versions
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn per_row(seconds: f64, rows: u64) -> f64 {
    seconds * 1e6 / rows as f64
}
