//! `just bench stream`: orders from a real Kafka broker to windows of a minute in gold, by `sluice`, by
//! the bare native parts in one loop, and by Spark if asked, in turns, on one machine.

mod broker;
mod events;
mod latency;

use std::error::Error;
use std::fs;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use sluicebox_bench::figures::{Goal, goals, median, save, table};
use sluicebox_bench::measure::{Run, Running, machine, run};
use sluicebox_bench::{output, root};

use broker::Broker;
use events::Expected;

/// Measures the stream job: events a second, processor time, memory, and the time from an event to gold.
#[derive(Parser)]
struct Arguments {
    /// Events in the topic for the runs at full speed.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Partitions of the topics.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// How often each side runs; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Events a second while the time to gold is measured; 0 leaves that out.
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// For how many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Who else runs.
    #[arg(long = "peer", value_enum)]
    peers: Vec<Peer>,
    /// Where to write every figure [default: target/bench/stream.json].
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Spark structured streaming with Delta Lake on a Java machine; fetches its jars.
    Spark,
}

type Failure = Box<dyn Error>;

/// One side of the comparison.
struct Side {
    name: &'static str,
    command: Box<dyn Fn(&Path) -> Command>,
    /// Whether it makes the gold table.
    makes_gold: bool,
    runs: Vec<Run>,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Failure> {
    fs::create_dir_all(output())?;
    let broker = Broker::start()?;
    let topic = format!("bench-{}", std::process::id());
    let bytes = fill(&broker, &topic, arguments)?;
    let each = bytes as f64 / arguments.events as f64;
    println!(
        "{} events of {each:.0} bytes in {} partitions at {}",
        arguments.events, arguments.partitions, broker.address
    );

    let mut sides = vec![sluice(&broker, &topic)?, native(&broker, &topic, arguments.events)?];
    if arguments.peers.contains(&Peer::Spark) {
        sides.push(spark(&broker, &topic)?);
    }
    let expected = events::expected(arguments.events);
    // In turns, so that a machine that gets slower or faster does so for everybody.
    for turn in 0..arguments.runs {
        for side in &mut sides {
            let folder = tempfile::Builder::new().prefix("stream-").tempdir_in(output())?;
            let measured = run(&mut (side.command)(folder.path()))?;
            println!("{:>16} {}: {:.2} s", side.name, turn + 1, measured.wall);
            if side.makes_gold && turn == 0 {
                verify(side.name, folder.path(), expected)?;
            }
            side.runs.push(measured);
        }
    }
    let delays = match arguments.rate {
        0 => Vec::new(),
        rate => vec![delay(&broker, arguments, Some(rate))?, delay(&broker, arguments, None)?],
    };

    let compared = compare(&sides, &delays, arguments.events);
    println!("\n{}\n\n{}\n\n{}", show(&sides, arguments.events), show_delays(&delays), goals(&compared));
    let path = arguments.json.clone().unwrap_or_else(|| output().join("stream.json"));
    let record = json!({
        "bench": "stream", "events": arguments.events, "bytes": bytes, "partitions": arguments.partitions,
        "machine": machine(),
        "sides": sides.iter().map(|side| record(side, arguments.events)).collect::<Vec<_>>(),
        "delays": delays.iter().map(Delay::to_json).collect::<Vec<_>>(),
        "goals": compared.iter().map(Goal::to_json).collect::<Vec<_>>(),
    });
    save(&path, &record)?;
    println!("\nevery figure: {}", path.display());
    Ok(())
}

/// Writes all events; gives their bytes.
fn fill(broker: &Broker, topic: &str, arguments: &Arguments) -> Result<u64, Failure> {
    broker.make_topic(topic, arguments.partitions)?;
    let mut producer = broker.producer()?;
    let (mut bytes, mut body) = (0, Vec::new());
    for number in 0..arguments.events {
        events::write(number, &mut body);
        bytes += body.len() as u64;
        producer.write(topic, arguments.partitions, number)?;
        if number % 10_000 == 0 {
            producer.poll();
        }
    }
    producer.flush()?;
    Ok(bytes)
}

/// The program beside this one: all are built into one folder.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        return Err(format!("there is no {}: start the bench with `just bench stream`", path.display()).into());
    }
    Ok(path)
}

fn pipeline(broker: &Broker, topic: &str, lake: &Path) -> Result<Command, Failure> {
    let mut command = Command::new(beside("sluice")?);
    command.current_dir(root()).arg("run").arg(root().join("bench/pipelines/stream.toml"));
    command.arg("--json").arg("--lake").arg(lake);
    command.arg("--var").arg(format!("brokers={}", broker.address)).arg("--var").arg(format!("topic={topic}"));
    Ok(command)
}

fn sluice(broker: &Broker, topic: &str) -> Result<Side, Failure> {
    beside("sluice")?;
    let (broker, topic) = (Broker::at(&broker.address), topic.to_owned());
    let command = move |lake: &Path| pipeline(&broker, &topic, lake).unwrap_or_else(|_| Command::new("sluice"));
    Ok(Side { name: "sluice", command: Box::new(command), makes_gold: true, runs: Vec::new() })
}

fn native(broker: &Broker, topic: &str, events: u64) -> Result<Side, Failure> {
    let program = beside("stream_ceiling")?;
    let arguments = [broker.address.clone(), topic.to_owned(), events.to_string()];
    let command = move |folder: &Path| {
        let mut command = Command::new(&program);
        command.args(&arguments).arg(folder);
        command
    };
    Ok(Side { name: "native parts", command: Box::new(command), makes_gold: false, runs: Vec::new() })
}

fn spark(broker: &Broker, topic: &str) -> Result<Side, Failure> {
    let python = python("bench/peers/spark.txt")?;
    let arguments = [broker.address.clone(), topic.to_owned()];
    let script = root().join("bench/peers/stream_spark.py");
    let command = move |lake: &Path| {
        let mut command = Command::new(&python);
        command.arg(&script).args(&arguments).arg(lake);
        command
    };
    Ok(Side { name: "spark", command: Box::new(command), makes_gold: true, runs: Vec::new() })
}

/// The interpreter of an environment with these requirements, installed now unless it is there.
fn python(requirements: &str) -> Result<PathBuf, Failure> {
    let output = Command::new(root().join("scripts/venv")).arg(requirements).output()?;
    if !output.status.success() {
        return Err(format!("cannot install {requirements}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Has an independent reader add up gold: a fast wrong answer is worth nothing.
fn verify(name: &str, lake: &Path, expected: Expected) -> Result<(), Failure> {
    let python = python("tests/harness/duckdb.txt")?;
    let mut statement = tempfile::tempfile()?;
    write!(
        statement,
        "select sum(orders)::bigint as orders, sum(total_items)::bigint as items, \
         (sum(total_sales) * 100)::bigint as cents from delta_scan('{{lake}}/gold/order_windows')"
    )?;
    statement.rewind()?;
    let output =
        Command::new(python).arg(root().join("tests/harness/duckdb_read.py")).arg(lake).stdin(statement).output()?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    for (figure, wanted) in [("orders", expected.orders), ("items", expected.items), ("cents", expected.cents)] {
        if found[figure] != wanted {
            return Err(format!("{name}: `{figure}` of gold is not {wanted}: {found}").into());
        }
    }
    Ok(())
}

/// How long events take to gold at some rate.
struct Delay {
    /// Events a second, or as many as can be written.
    rate: Option<u64>,
    events: u64,
    /// From the first to the last event, in seconds.
    lasted: f64,
    p50: f64,
    p99: f64,
    run: Run,
}

impl Delay {
    fn name(&self) -> String {
        self.rate.map_or_else(|| "at full speed".to_owned(), |rate| format!("at {rate} events/s"))
    }

    fn to_json(&self) -> Value {
        json!({
            "rate": self.rate, "events": self.events, "lasted_seconds": self.lasted,
            "p50_seconds": self.p50, "p99_seconds": self.p99,
            "cpu_seconds": self.run.cpu, "peak_memory_bytes": self.run.peak,
        })
    }
}

/// Runs the pipeline while events come in, and looks in the tables' logs when each was counted.
fn delay(broker: &Broker, arguments: &Arguments, rate: Option<u64>) -> Result<Delay, Failure> {
    let topic = format!("bench-{}-{}", std::process::id(), rate.unwrap_or_default());
    broker.make_topic(&topic, arguments.partitions)?;
    let folder = tempfile::Builder::new().prefix("stream-").tempdir_in(output())?;
    let mut running = Running::start(pipeline(broker, &topic, folder.path())?.arg("--follow"))?;
    let mut producer = broker.producer()?;
    // A first event of each partition shows that the pipeline runs; none of these counts.
    let warm = u64::try_from(arguments.partitions)? * 100;
    for number in 0..warm {
        producer.write(&topic, arguments.partitions, number)?;
    }
    producer.flush()?;
    wait_for_gold(folder.path(), &mut running, warm)?;

    let events = rate.map_or(arguments.events, |rate| rate * arguments.seconds);
    let mut sent: Vec<Vec<SystemTime>> = vec![vec![SystemTime::now(); 100]; usize::try_from(arguments.partitions)?];
    let begun = Instant::now();
    for number in 0..events {
        if let Some(rate) = rate
            && number % 100 == 0
        {
            let due = Duration::from_secs_f64(number as f64 / rate as f64);
            std::thread::park_timeout(due.saturating_sub(begun.elapsed()));
        }
        producer.write(&topic, arguments.partitions, warm + number)?;
        let partition = usize::try_from((warm + number) % u64::try_from(arguments.partitions)?)?;
        sent[partition].push(SystemTime::now());
        if number % 100 == 0 {
            producer.poll();
        }
    }
    producer.flush()?;
    let lasted = begun.elapsed().as_secs_f64();
    wait_for_gold(folder.path(), &mut running, warm + events)?;
    let run = running.interrupt()?;
    let mut all = latency::seconds(folder.path(), &topic, &sent)?;
    let late = all.len().min(usize::try_from(events)?);
    // The warm-up is in the slowest, whose times are not those of sending.
    all.truncate(late);
    let (p50, p99) = (latency::percentile(&all, 0.5), latency::percentile(&all, 0.99));
    Ok(Delay { rate, events, lasted, p50, p99, run })
}

/// Waits until so many events of the source are in gold.
fn wait_for_gold(lake: &Path, running: &mut Running, events: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    while latency::counted(lake)? < events {
        if running.has_ended()? {
            return Err("the pipeline ended by itself".into());
        }
        if begun.elapsed() > Duration::from_secs(180) {
            return Err(
                format!("{} of {events} events are in gold after three minutes", latency::counted(lake)?).into()
            );
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
    Ok(())
}

impl Side {
    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    fn wall(&self) -> f64 {
        self.median(|run| run.wall)
    }

    fn cpu(&self) -> f64 {
        self.median(|run| run.cpu)
    }

    fn peak(&self) -> f64 {
        self.median(|run| run.peak as f64 / 1e6)
    }
}

fn compare(sides: &[Side], delays: &[Delay], events: u64) -> Vec<Goal> {
    let side = |name: &str| sides.iter().find(|side| side.name == name);
    let mut compared = Vec::new();
    let mut goal = |name: String, value: f64, at_most: f64| compared.push(Goal { name, value, at_most });
    let Some(ours) = side("sluice") else { return compared };
    let micro = |seconds: f64| seconds * 1e6 / events as f64;
    goal("processor time of sluice, µs an event".into(), micro(ours.cpu()), 2.0);
    goal("wall time of sluice, µs an event (600,000 a second are 1.67)".into(), micro(ours.wall()), 1.67);
    goal("peak memory of sluice, MB".into(), ours.peak(), 512.0);
    if let Some(native) = side("native parts") {
        // At least 70 % of what the bare parts do.
        goal("wall time, sluice / native parts in one loop".into(), ours.wall() / native.wall(), 1.0 / 0.7);
    }
    if let Some(spark) = side("spark") {
        goal("processor time, sluice / spark".into(), ours.cpu() / spark.cpu(), 1.0 / 13.0);
        goal("wall time, sluice / spark".into(), ours.wall() / spark.wall(), 1.0);
        goal("peak memory, sluice / spark".into(), ours.peak() / spark.peak(), 1.0);
    }
    for delay in delays.iter().filter(|delay| delay.rate.is_some()) {
        goal(format!("seconds to gold {}, p99", delay.name()), delay.p99, 2.0);
    }
    compared
}

fn show(sides: &[Side], events: u64) -> String {
    let rows = sides.iter().map(|side| {
        vec![
            side.name.to_owned(),
            format!("{:.2}", side.wall()),
            format!("{:.0}", events as f64 / side.wall()),
            format!("{:.2}", side.cpu() * 1e6 / events as f64),
            format!("{:.0}", side.peak()),
        ]
    });
    table(&["", "wall s", "events/s", "cpu µs/event", "peak MB"], rows.collect())
}

fn show_delays(delays: &[Delay]) -> String {
    let rows = delays.iter().map(|delay| {
        vec![
            delay.name(),
            format!("{:.0}", delay.events as f64 / delay.lasted),
            format!("{:.2}", delay.p50),
            format!("{:.2}", delay.p99),
            format!("{:.2}", delay.run.cpu * 1e6 / delay.events as f64),
            format!("{:.0}", delay.run.peak as f64 / 1e6),
        ]
    });
    table(&["from event to gold", "written/s", "p50 s", "p99 s", "cpu µs/event", "peak MB"], rows.collect())
}

fn record(side: &Side, events: u64) -> Value {
    let runs = side.runs.iter().map(|run| {
        json!({
            "wall_seconds": run.wall, "cpu_seconds": run.cpu, "peak_memory_bytes": run.peak, "report": run.report,
        })
    });
    json!({
        "name": side.name, "wall_seconds": side.wall(), "events_per_second": events as f64 / side.wall(),
        "cpu_microseconds_per_event": side.cpu() * 1e6 / events as f64, "peak_memory_megabytes": side.peak(),
        "runs": runs.collect::<Vec<_>>(),
    })
}
