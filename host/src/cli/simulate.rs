//! `sluice simulate`.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;

use super::Exit;
use super::session::fail;
use crate::plan::{Dataset, SimulateSpec};
use crate::report;
use crate::simulate;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  sluice simulate shop --out drops                   customers.csv, products.csv, orders.csv
  sluice simulate orders --rows 5000000 --out drops")]
pub struct Args {
    /// What to generate.
    #[arg(value_enum)]
    what: What,
    /// The folder that the CSV files are written to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many rows; without it 20,000 customers, 2,000 products, 200,000 orders.
    #[arg(long)]
    rows: Option<u64>,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The share of rows, from 0 to 1, that are bad on purpose.
    #[arg(long, default_value_t = 0.0)]
    bad: f64,
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
}

/// Writes generated files.
pub fn run(args: &Args) -> Exit {
    if !(0.0..=1.0).contains(&args.bad) {
        report::message(&format!("--bad {} is not a share", args.bad), Some("give a number from 0 to 1"));
        return Exit::Usage;
    }
    let datasets: &[(Dataset, &str, u64)] = match args.what {
        What::Customers => &[CUSTOMERS],
        What::Products => &[PRODUCTS],
        What::Orders => &[ORDERS],
        What::Shop => &[CUSTOMERS, PRODUCTS, ORDERS],
    };
    for (dataset, name, rows) in datasets {
        let path = args.out.join(format!("{name}.csv"));
        let spec = SimulateSpec { dataset: *dataset, rows: args.rows.unwrap_or(*rows), seed: args.seed, bad: args.bad };
        let file = match fs::create_dir_all(&args.out).and_then(|()| fs::File::create(&path)) {
            Ok(file) => file,
            Err(error) => {
                report::message(&format!("{} could not be written: {error}", path.display()), None);
                return Exit::Failed;
            }
        };
        if let Err(error) = simulate::write_csv(&spec, std::io::BufWriter::new(file)) {
            return fail(&error);
        }
        report::line(format_args!("{}: {} rows", path.display(), spec.rows));
    }
    Exit::Done
}

const CUSTOMERS: (Dataset, &str, u64) = (Dataset::Customers, "customers", 20_000);
const PRODUCTS: (Dataset, &str, u64) = (Dataset::Products, "products", 2_000);
const ORDERS: (Dataset, &str, u64) = (Dataset::Orders, "orders", 200_000);
