//! `sluice maintain`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Exit;
use super::session::{PipelineArgs, end, fail, start, variable};
use crate::report;
use sluicebox_core::fault::in_one_line;
use sluicebox_delta::{Maintained, Unused};
use sluicebox_service::OperationError;
use sluicebox_service::maintain::{MaintainRequest, maintain};

#[derive(clap::Args)]
#[command(after_help = "\
Small files are put together, and files and log entries are removed that no version and no
reader needs any more. Each table's `upkeep` in the pipeline file says when; without the file
the defaults hold: files are kept for 7 days, log entries for 30.

  sluice maintain shop.toml --dry-run
  sluice maintain --lake /srv/lake --table silver.orders")]
pub struct Args {
    /// The pipeline file; without it, every table of the lake.
    file: Option<PathBuf>,
    /// The lake: a folder or a URL. Takes the place of the file's own.
    #[arg(long, value_name = "DIR|URL")]
    lake: Option<String>,
    /// Sets a variable of the pipeline; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable, requires = "file")]
    vars: Vec<(String, String)>,
    /// Only this table, such as `silver.orders`; may be given several times.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a table.
    #[arg(long)]
    json: bool,
}

/// Looks after tables.
pub fn run(args: &Args) -> Exit {
    end(look_after(args), args.json)
}

fn look_after(args: &Args) -> Result<Exit, OperationError> {
    let (plan, location) = match &args.file {
        None => (None, args.lake.clone().unwrap_or_else(|| "lake".into())),
        Some(file) => {
            let pipeline = PipelineArgs { file: file.clone(), lake: args.lake.clone(), vars: args.vars.clone() };
            let (loaded, location) = pipeline.load()?;
            (Some(loaded.plan), location)
        }
    };
    let (service, lake) = start(&location)?;
    let request = MaintainRequest {
        lake: &lake,
        location: &location,
        plan: plan.as_ref(),
        tables: &args.tables,
        dry_run: args.dry_run,
    };
    let mut errors = Vec::new();
    service.wait(async {
        let mut work = maintain(request).await?;
        while let Some((table, done)) = work.next().await {
            let table = table.to_string();
            match done {
                Ok(done) if args.json => report::json_line(to_json(&table, args.dry_run, &done)),
                Ok(done) => told(&table, args.dry_run, &done).iter().for_each(report::line),
                Err(error) => {
                    fail(&error);
                    errors.push(in_one_line(&error));
                }
            }
        }
        Ok::<_, OperationError>(())
    })?;
    if errors.is_empty() {
        return Ok(Exit::Done);
    }
    if args.json {
        report::json_line(report::failed(&errors));
    }
    Ok(Exit::Failed)
}

fn to_json(table: &str, dry_run: bool, done: &Maintained) -> Value {
    let compacted: Vec<Value> = done
        .compacted
        .iter()
        .map(|each| {
            json!({
                "partition": each.partition, "files": each.files, "bytes": each.bytes,
                "into_files": each.into_files, "into_bytes": each.into_bytes,
            })
        })
        .collect();
    let paths = |unused: &[Unused]| -> Vec<Value> {
        unused.iter().map(|unused| json!({ "path": unused.path, "bytes": unused.bytes })).collect()
    };
    json!({
        "table": table, "dry_run": dry_run, "compacted": compacted, "lost": done.lost, "version": done.version,
        "checkpoint": done.checkpoint, "removed": paths(&done.unused), "removed_log": paths(&done.log),
        "log_held_by": done.held_by,
    })
}

/// What was done, line by line; in a dry run with every path.
fn told(table: &str, dry_run: bool, done: &Maintained) -> Vec<String> {
    if done.is_nothing() && !done.lost {
        return vec![format!("{table}: nothing to do")];
    }
    let would = if dry_run { "would be " } else { "" };
    let mut lines = Vec::new();
    for each in &done.compacted {
        let place =
            if each.partition.is_empty() { String::new() } else { format!(" in {}", report::visible(&each.partition)) };
        let bytes = report::bytes(each.bytes);
        lines.push(match dry_run {
            true => format!("{table}: {} files{place} ({bytes}) would be put together", each.files),
            false => format!(
                "{table}: {} files{place} ({bytes}) put together in {} ({})",
                each.files,
                each.into_files,
                report::bytes(each.into_bytes)
            ),
        });
    }
    if done.lost {
        lines.push(format!("{table}: another writer changed the same files meanwhile; they were left as they are"));
    }
    if let Some(version) = done.checkpoint {
        lines.push(format!("{table}: a checkpoint of version {version} {would}made"));
    }
    for (what, unused) in [("files", &done.unused), ("log entries", &done.log)] {
        if unused.is_empty() {
            continue;
        }
        let bytes = report::bytes(unused.iter().map(|unused| unused.bytes).sum());
        lines.push(format!("{table}: {} {what} ({bytes}) {would}removed", unused.len()));
        if dry_run {
            lines.extend(unused.iter().map(|unused| format!("  {}", report::visible(&unused.path))));
        }
    }
    if let Some(held_by) = &done.held_by {
        lines.push(format!("{table}: older log entries stay for {}", report::visible(held_by)));
        if let Some(reader) = &done.held_reader {
            let reader = report::visible(reader);
            lines.push(format!("  if no pipeline has that hop any more, `sluice forget {reader}` lets them go"));
        }
    }
    lines
}
