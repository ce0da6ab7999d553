//! `sluice simulate`.

mod send;

use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::Exit;
use super::session::{end, fail};
use crate::report;
use sluicebox_core::plan::{Dataset, EventMix, Secret, SimulateSpec};
use sluicebox_service::Service;
use sluicebox_simulate as simulate;
use sluicebox_sources::post::Poster;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  sluice simulate shop --out drops                   customers.csv, products.csv, orders.csv
  sluice simulate orders --rows 5000000 --out drops
  sluice simulate order-events --out events --bad 0.02 --late 0.05 --duplicates 0.02
  sluice simulate app-events --out events --rate 1000 --per-file 10000
  sluice simulate order-events --to kafka --brokers localhost:9092 --topic orders --partitions 4 --rate 10000")]
pub struct Args {
    /// What to generate.
    #[arg(value_enum)]
    what: What,
    /// Where events go; rows are always files.
    #[arg(long, value_enum, default_value = "files")]
    to: To,
    /// The folder that the files are written to: CSV of rows, JSON lines of events.
    #[arg(long, value_name = "DIR", required_if_eq("to", "files"))]
    out: Option<PathBuf>,
    /// Where the brokers are, with `--to kafka`: `host:port`, several with commas between them.
    #[arg(long, value_name = "HOST:PORT", required_if_eq("to", "kafka"))]
    brokers: Option<String>,
    /// The topic, with `--to kafka`.
    #[arg(long, required_if_eq("to", "kafka"))]
    topic: Option<String>,
    /// Create the topic with this many partitions if it does not exist.
    #[arg(long, requires = "topic", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// The environment variable that holds the connection string of an Event Hubs namespace.
    #[arg(long, value_name = "VARIABLE")]
    connection_string: Option<String>,
    /// The address that JSON lines are posted to, with `--to http`.
    #[arg(long, required_if_eq("to", "http"))]
    url: Option<String>,
    /// The number of rows; without it 20,000 customers, 2,000 products, 200,000 orders, 100,000 events.
    #[arg(long)]
    rows: Option<u64>,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The share, from 0 to 1, of bad rows.
    #[arg(long, default_value_t = 0.0)]
    bad: f64,
    /// The share of events that come up to 10 minutes after their time.
    #[arg(long, default_value_t = 0.0)]
    late: f64,
    /// The share of repeated events.
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Events per second; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// The event time between two events.
    #[arg(long, default_value = "10ms", value_parser = humantime::parse_duration)]
    step: Duration,
    /// Events in one file; each file appears when it is complete.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    per_file: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Customers, with two-line addresses.
    Customers,
    /// Products.
    Products,
    /// Orders of those customers for those products.
    Orders,
    /// All three.
    Shop,
    /// Orders as events of a live shop.
    OrderEvents,
    /// Reviews of products, as events.
    Reviews,
    /// User actions in an app, as events.
    AppEvents,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    /// Numbered files of JSON lines.
    Files,
    /// A topic of Kafka, or a hub of Event Hubs.
    Kafka,
    /// POST requests of JSON lines.
    Http,
}

/// Writes generated files.
pub fn run(args: &Args) -> Exit {
    let shares = [("--bad", args.bad), ("--late", args.late), ("--duplicates", args.duplicates)];
    if let Some((name, share)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        report::message(&format!("{name} {share} is not a share"), Some("give a number from 0 to 1"));
        return Exit::Usage;
    }
    if args.late + args.duplicates > 1.0 {
        report::message("--late and --duplicates are more than all events", Some("lower one of them"));
        return Exit::Usage;
    }
    let datasets: &[(Dataset, &str, u64)] = match args.what {
        What::Customers => &[CUSTOMERS],
        What::Products => &[PRODUCTS],
        What::Orders => &[ORDERS],
        What::Shop => &[CUSTOMERS, PRODUCTS, ORDERS],
        What::OrderEvents => return events(args, Dataset::OrderEvents, "order-events"),
        What::Reviews => return events(args, Dataset::Reviews, "reviews"),
        What::AppEvents => return events(args, Dataset::AppEvents, "app-events"),
    };
    let Some(out) = args.out.as_ref().filter(|_| matches!(args.to, To::Files)) else {
        report::message("rows are written to files only", Some("give `--out`, and no `--to`"));
        return Exit::Usage;
    };
    for (dataset, name, rows) in datasets {
        let path = out.join(format!("{name}.csv"));
        let spec = spec(args, *dataset, *rows);
        let file = match fs::create_dir_all(out).and_then(|()| fs::File::create(&path)) {
            Ok(file) => file,
            Err(error) => return unwritten(&path, &error),
        };
        if let Err(error) = simulate::write_csv(&spec, BufWriter::new(file)) {
            return fail(&error);
        }
        report::line(format_args!("{}: {} rows", path.display(), spec.rows));
    }
    Exit::Done
}

const CUSTOMERS: (Dataset, &str, u64) = (Dataset::Customers, "customers", 20_000);
const PRODUCTS: (Dataset, &str, u64) = (Dataset::Products, "products", 2_000);
const ORDERS: (Dataset, &str, u64) = (Dataset::Orders, "orders", 200_000);

fn spec(args: &Args, dataset: Dataset, rows: u64) -> SimulateSpec {
    let events = EventMix { rate: args.rate, late: args.late, duplicates: args.duplicates, step: args.step };
    SimulateSpec { dataset, rows: args.rows.unwrap_or(rows), seed: args.seed, bad: args.bad, events }
}

fn events(args: &Args, dataset: Dataset, name: &str) -> Exit {
    let spec = spec(args, dataset, 100_000);
    let sent = match (args.to, &args.out, &args.brokers, &args.topic, &args.url) {
        (To::Files, Some(out), ..) => return files(args, &spec, name, out),
        (To::Kafka, _, Some(brokers), Some(topic), _) => {
            let secret = args.connection_string.clone().map(Secret::Env);
            match Service::start() {
                Ok(service) => {
                    let to = send::connection(brokers, secret);
                    send::kafka(&spec, &to, topic, args.partitions, service.handle())
                }
                Err(reason) => return end(Err(reason.into()), false),
            }
        }
        (To::Http, .., Some(url)) => match Service::start() {
            Ok(service) => send::http(&spec, &Poster::new(url, service.handle())),
            Err(reason) => return end(Err(reason.into()), false),
        },
        // The required arguments are checked before this is called.
        _ => return Exit::Usage,
    };
    match sent {
        Ok(()) => {
            report::line(format_args!("{} events", spec.rows));
            Exit::Done
        }
        Err(error) => fail(&error),
    }
}

/// Writes numbered files, so that a reader finds them in order.
fn files(args: &Args, spec: &SimulateSpec, name: &str, out: &Path) -> Exit {
    if let Err(error) = fs::create_dir_all(out) {
        return unwritten(out, &error);
    }
    let began = Instant::now();
    for file in 0..spec.rows.div_ceil(args.per_file) {
        let range = file * args.per_file..spec.rows.min((file + 1) * args.per_file);
        if spec.events.rate > 0 {
            let due = began + Duration::from_secs_f64(range.end as f64 / spec.events.rate as f64);
            simulate::wait(due);
        }
        let path = out.join(format!("{name}-{:06}.jsonl", file + 1));
        // Sources skip names with this ending.
        let draft = path.with_extension("jsonl.tmp");
        let written = fs::File::create(&draft).and_then(|output| {
            simulate::write_events(spec, range.clone(), BufWriter::new(output))?;
            fs::rename(&draft, &path)
        });
        if let Err(error) = written {
            return unwritten(&path, &error);
        }
        report::line(format_args!("{}: {} events", path.display(), range.end - range.start));
    }
    Exit::Done
}

fn unwritten(path: &Path, error: &io::Error) -> Exit {
    report::message(&format!("{} could not be written: {error}", path.display()), None);
    Exit::Failed
}
