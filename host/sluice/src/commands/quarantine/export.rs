//! `sluice quarantine export`.

use std::path::PathBuf;

use crate::commands::Exit;
use crate::commands::session::start;
use crate::report;
use sluicebox_service::OperationError;
use sluicebox_service::quarantine::export;

#[derive(clap::Args)]
#[command(after_help = "\
The ending of FILE says how: .jsonl, .csv or .parquet. A payload that is UTF-8 is written as
text, any other as base64; the column payload_encoding says which.

  sluice quarantine export land_orders --to bad.csv --lake lake")]
pub struct Args {
    /// The hop.
    hop: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// Only rows with this reason.
    #[arg(long)]
    reason: Option<String>,
}

/// Writes the rows of a quarantine to a file.
pub fn run(args: &Args) -> Result<Exit, OperationError> {
    let (service, lake) = start(&args.lake)?;
    let count = service.wait(export(&lake, &args.hop, args.reason.as_deref(), &args.to))?;
    report::note(&format!("{} rows written to {}", report::count(count), args.to.display()));
    Ok(Exit::Done)
}
