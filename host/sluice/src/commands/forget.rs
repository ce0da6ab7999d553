//! `sluice forget`.

use serde_json::json;

use super::Exit;
use super::session::{end, start};
use crate::report;
use sluicebox_service::OperationError;
use sluicebox_service::forget::forget;

#[derive(clap::Args)]
#[command(after_help = "\
A hop records in its tables how far it has read its upstream, and that table keeps the log
entries and files which the hop has yet to read. A hop that was renamed or removed never reads
on, so they stay for ever; `sluice maintain` says for whom. This command ends that.

What the hop has written stays. A hop of that name cannot go on afterwards: it does not know
any more what it has read. Give it another name, and tables of its own.

  sluice forget shop/clean_orders --lake lake --dry-run
  sluice forget shop/clean_orders --lake lake")]
pub struct Args {
    /// The hop, as PIPELINE/HOP.
    hop: String,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// Say what would be forgotten, and forget nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a table that the hop has read.
    #[arg(long)]
    json: bool,
}

/// Forgets a hop.
pub fn run(args: &Args) -> Exit {
    let named = args.hop.split_once('/').filter(|(pipeline, hop)| !pipeline.is_empty() && !hop.is_empty());
    if named.is_none_or(|(_, hop)| hop.contains('/')) {
        report::message(
            &format!("`{}` names no hop", args.hop),
            Some("write PIPELINE/HOP, such as shop/clean_orders; `sluice maintain` names those that hold a log"),
        );
        return Exit::Usage;
    }
    end(forget_hop(args), args.json)
}

fn forget_hop(args: &Args) -> Result<Exit, OperationError> {
    let (service, lake) = start(&args.lake)?;
    let found = service.wait(forget(&lake, &args.hop, args.dry_run))?;
    let hop = report::visible(&args.hop);
    if found.is_empty() && !args.json {
        report::line(format_args!("no table of {} remembers that {hop} read a table", args.lake));
    }
    for each in &found {
        let (table, upstream, version) = (each.table.to_string(), &each.upstream, each.version);
        if args.json {
            let (hop, dry_run) = (&args.hop, args.dry_run);
            report::line(json!({
                "hop": hop, "table": table, "upstream": upstream, "version": version, "dry_run": dry_run,
            }));
        } else {
            let would = if args.dry_run { "would be forgotten" } else { "is forgotten" };
            report::line(format_args!("{table}: that {hop} read {upstream} up to version {version} {would}"));
        }
    }
    Ok(Exit::Done)
}
