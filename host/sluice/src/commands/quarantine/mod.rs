//! `sluice quarantine`.

mod export;
mod retry;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use futures::TryStreamExt;

use super::Exit;
use super::session::{fail, no_tables, open_lake, runtime};
use crate::report;
use sluicebox_formats as format;
use sluicebox_lake::{Lake, LakeError};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Count the rows of every quarantine by hop and reason.
    Ls(LsArgs),
    /// Show the rows of one hop's quarantine, with their original bytes.
    Show(ShowArgs),
    /// Write the rows of one hop's quarantine to a file.
    Export(export::Args),
    /// Let the rows of one hop's quarantine in again.
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

/// Looks into quarantine.
pub fn run(command: &Command) -> Exit {
    let location = match command {
        Command::Ls(args) => &args.lake,
        Command::Show(args) => &args.lake,
        Command::Export(args) => &args.lake,
        Command::Retry(args) => return retry::run(args),
    };
    let (lake, runtime) = match (open_lake(location), runtime()) {
        (Ok(lake), Ok(runtime)) => (lake, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let result = runtime.block_on(async {
        match command {
            Command::Ls(_) => list(&lake, location).await,
            Command::Show(args) => show(&lake, args).await,
            Command::Export(args) => export::run(&lake, args).await,
            // It was done above: it needs more than a lake.
            Command::Retry(_) => Ok(Exit::Done),
        }
    });
    result.unwrap_or_else(|error| fail(&error))
}

async fn list(lake: &Lake, location: &str) -> Result<Exit, LakeError> {
    let mut counts: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    let tables = lake.tables().await?;
    if tables.is_empty() {
        return Ok(no_tables(location));
    }
    for (layer, hop) in tables {
        if layer != "quarantine" {
            continue;
        }
        let table = lake.quarantine(&hop).await?;
        let mut batches = pin!(table.scan(None).await?);
        while let Some(rows) = batches.try_next().await? {
            for row in 0..rows.num_rows() {
                let count = counts
                    .entry((hop.clone(), text(&rows, "reason", row)))
                    .or_insert_with(|| (0, text(&rows, "message", row)));
                count.0 += 1;
            }
        }
    }
    if counts.is_empty() {
        report::line(format_args!("Nothing is in quarantine."));
    }
    for ((hop, reason), (rows, example)) in counts {
        report::line(format_args!(
            "{:>10}  {hop}  {reason}  for example: {}",
            report::count(rows),
            report::visible(&example)
        ));
    }
    Ok(Exit::Done)
}

async fn show(lake: &Lake, args: &ShowArgs) -> Result<Exit, LakeError> {
    let table = lake.quarantine(&args.hop).await?;
    if table.version().is_none() {
        return Ok(nothing(&args.hop));
    }
    let mut left = args.rows;
    let mut reasons = BTreeSet::new();
    let mut batches = pin!(table.scan(None).await?);
    while let Some(rows) = batches.try_next().await? {
        for row in 0..rows.num_rows() {
            if left == 0 {
                return Ok(Exit::Done);
            }
            let reason = text(&rows, "reason", row);
            if args.reason.as_ref().is_some_and(|wanted| *wanted != reason) {
                reasons.insert(reason);
                continue;
            }
            left -= 1;
            if args.json { print_json(&rows, row) } else { print(&rows, row) }
        }
    }
    if let Some(wanted) = args.reason.as_ref().filter(|_| left == args.rows) {
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("`{}`", report::visible(reason))).collect();
        report::message(
            &format!("no row of hop `{}` is in quarantine for the reason `{}`", args.hop, report::visible(wanted)),
            Some(&format!("its reasons: {}", reasons.join(", "))),
        );
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Says that a hop has no quarantine.
fn nothing(hop: &str) -> Exit {
    report::message(
        &format!("no row of hop `{hop}` is in quarantine"),
        Some("`sluice quarantine ls` shows which hops have some"),
    );
    Exit::Failed
}

fn print(rows: &RecordBatch, row: usize) {
    let line = number(rows, "line", row).map(|line| format!(", line {line}")).unwrap_or_default();
    let position = number(rows, "position", row).map(|position| format!(", position {position}")).unwrap_or_default();
    // What a stranger's row says must not steer the terminal that it is shown on.
    let shown = |name: &str| report::visible(&text(rows, name, row));
    report::line(format_args!("{}: {}", shown("reason"), shown("message")));
    report::line(format_args!("  from   {}{line}{position}", shown("lane")));
    report::line(format_args!("  at     {}", shown("stage")));
    for (first, part) in text(rows, "payload", row).lines().enumerate() {
        report::line(format_args!("  {} {}", if first == 0 { "row   " } else { "      " }, report::visible(part)));
    }
}

/// One object with the payload as text where it is text: what a person greps.
fn print_json(rows: &RecordBatch, row: usize) {
    let object = format::rows_as_json(rows, &[row]).pop().unwrap_or_default();
    let mut object: serde_json::Value = serde_json::from_slice(&object).unwrap_or_default();
    if let Some(payload) = rows.column_by_name("payload").and_then(|column| column.as_binary_opt::<i32>())
        && let Ok(payload) = std::str::from_utf8(payload.value(row))
    {
        object["payload"] = payload.into();
    }
    report::line(format_args!("{object}"));
}

fn text(rows: &RecordBatch, name: &str, row: usize) -> String {
    let Some(column) = rows.column_by_name(name).filter(|column| !column.is_null(row)) else { return String::new() };
    if let Some(column) = column.as_binary_opt::<i32>() {
        return String::from_utf8_lossy(column.value(row)).into_owned();
    }
    column.as_string_opt::<i32>().map(|column| column.value(row).to_owned()).unwrap_or_default()
}

fn number(rows: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = rows.column_by_name(name).filter(|column| !column.is_null(row))?;
    column.as_primitive_opt::<arrow_array::types::Int64Type>().map(|column| column.value(row))
}
