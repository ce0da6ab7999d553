//! `sluice quarantine retry`.

use serde_json::json;

use crate::commands::Exit;
use crate::commands::session::PipelineArgs;
use crate::report;
use sluicebox_pipeline::retry::Retried;
use sluicebox_service::OperationError;
use sluicebox_service::quarantine::retry;

#[derive(clap::Args)]
#[command(after_help = "\
Every row goes in again where it was refused: at the source's decoder, the module or the
table, as these are now. What is refused again goes back with its new reason. A row comes back
once: a retry that is interrupted is finished by the next one.

  sluice quarantine retry clean_orders retail.toml --lake lake --reason bad_quantity")]
pub struct Args {
    /// The hop.
    hop: String,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Only rows with this reason.
    #[arg(long)]
    reason: Option<String>,
    /// Print one JSON object a retry.
    #[arg(long)]
    pub json: bool,
}

/// Retries rows of a quarantine.
pub fn run(args: &Args) -> Result<Exit, OperationError> {
    let (service, session) = args.pipeline.start()?;
    let retried = retry(&service, &session, &args.hop, args.reason.as_deref())?;
    if retried.is_empty() && !args.json {
        report::line(format_args!("Nothing of hop `{}` is in quarantine.", args.hop));
    }
    for one in &retried {
        if args.json { report::json_line(as_json(&args.hop, one)) } else { print(&args.hop, one) }
    }
    Ok(Exit::Done)
}

fn as_json(hop: &str, retried: &Retried) -> serde_json::Value {
    let taken: serde_json::Map<String, serde_json::Value> =
        retried.taken.iter().map(|(table, rows)| (table.to_string(), json!(rows))).collect();
    let left: serde_json::Map<String, serde_json::Value> =
        retried.left.iter().map(|(why, rows)| (why.clone(), json!(rows))).collect();
    json!({
        "hop": hop,
        "reason": retried.reason,
        "version": retried.version,
        "finished_an_interrupted_one": retried.finished,
        "rows": retried.rows,
        "taken": taken,
        "refused": retried.refused,
        "left": left,
    })
}

fn print(hop: &str, retried: &Retried) {
    let which = match (&retried.reason, retried.finished) {
        (_, true) => ", finishing what was interrupted",
        (Some(_), false) => " for that reason",
        (None, false) => "",
    };
    report::line(format_args!("quarantine.{hop}: {} rows retried{which}", report::count(retried.rows)));
    for (table, rows) in retried.taken.iter().filter(|(_, rows)| *rows > 0) {
        report::line(format_args!("  {} into {table}", report::count(*rows)));
    }
    if retried.refused > 0 {
        report::line(format_args!("  {} refused again", report::count(retried.refused)));
    }
    for (why, rows) in &retried.left {
        report::line(format_args!("  {} left where they are: {}", report::count(*rows), report::visible(why)));
    }
}
