//! `sluice quarantine`.

mod export;
mod retry;

use super::Exit;
use super::session::{end, start};
use crate::report;
use sluicebox_formats as format;
use sluicebox_service::OperationError;
use sluicebox_service::quarantine::{QuarantineRow, list, rows};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Count the rows of every quarantine by hop and reason.
    Ls(LsArgs),
    /// Show the rows of one hop's quarantine, with their original bytes.
    Show(ShowArgs),
    /// Write the rows of one hop's quarantine to a file.
    Export(export::Args),
    /// Retry the rows of one hop's quarantine.
    Retry(retry::Args),
}

#[derive(clap::Args)]
pub struct LsArgs {
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  sluice quarantine show land_orders --lake lake --reason csv.column-count --json")]
pub struct ShowArgs {
    /// The hop.
    hop: String,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// Only rows with this reason.
    #[arg(long)]
    reason: Option<String>,
    /// How many rows.
    #[arg(short = 'n', long, default_value_t = 20)]
    rows: usize,
    /// Print one JSON object a row.
    #[arg(long)]
    json: bool,
}

/// Runs a command on quarantine.
pub fn run(command: &Command) -> Exit {
    match command {
        Command::Ls(args) => end(count(args), false),
        // Each line is a row and nothing else; that there is none is said on standard error.
        Command::Show(args) => end(show(args), false),
        Command::Export(args) => end(export::run(args), false),
        Command::Retry(args) => end(retry::run(args), args.json),
    }
}

fn count(args: &LsArgs) -> Result<Exit, OperationError> {
    let (service, lake) = start(&args.lake)?;
    let counts = service.wait(list(&lake, &args.lake))?;
    if counts.is_empty() {
        report::line(format_args!("Nothing is in quarantine."));
    }
    for count in counts {
        report::line(format_args!(
            "{:>10}  {}  {}  for example: {}",
            report::count(count.rows),
            count.hop,
            count.reason,
            report::visible(&count.example)
        ));
    }
    Ok(Exit::Done)
}

fn show(args: &ShowArgs) -> Result<Exit, OperationError> {
    let (service, lake) = start(&args.lake)?;
    service.wait(async {
        let mut rows = rows(&lake, &args.hop, args.reason.as_deref()).await?;
        let mut left = args.rows;
        while left > 0 {
            let Some(batch) = rows.next().await? else { break };
            for row in QuarantineRow::all(&batch).take(left) {
                if args.json { print_json(row) } else { print(row) }
            }
            left -= left.min(batch.num_rows());
        }
        match rows.unmatched().filter(|_| left > 0) {
            Some(error) => Err(OperationError::from(error)),
            None => Ok(Exit::Done),
        }
    })
}

fn print(row: QuarantineRow<'_>) {
    let line = row.line().map(|line| format!(", line {line}")).unwrap_or_default();
    let position = row.position().map(|position| format!(", position {position}")).unwrap_or_default();
    // Text in rows must not control the terminal.
    let (reason, message) = (report::visible(&row.reason()), report::visible(&row.message()));
    report::line(format_args!("{reason}: {message}"));
    report::line(format_args!("  from   {}{line}{position}", report::visible(&row.lane())));
    report::line(format_args!("  at     {}", report::visible(&row.stage())));
    let payload = String::from_utf8_lossy(row.payload().unwrap_or_default());
    for (first, part) in payload.lines().enumerate() {
        report::line(format_args!("  {} {}", if first == 0 { "row   " } else { "      " }, report::visible(part)));
    }
}

/// Prints one object, with the payload as text if it is UTF-8.
fn print_json(row: QuarantineRow<'_>) {
    let object = format::rows_as_json(row.batch, &[row.index]).pop().unwrap_or_default();
    let mut object: serde_json::Value = serde_json::from_slice(&object).unwrap_or_default();
    if let Some(Ok(payload)) = row.payload().map(std::str::from_utf8) {
        object["payload"] = payload.into();
    }
    report::json_line(object);
}
