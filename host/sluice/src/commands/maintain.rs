//! `sluice maintain`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Exit;
use super::session::{PipelineArgs, fail, no_tables, open_lake, runtime, variable};
use crate::report;
use sluicebox_core::plan::{Layer, Plan, TableName, TableSpec, Upkeep, WriteMode};
use sluicebox_delta::{Maintained, Maintenance, Table, Unused};
use sluicebox_lake::{Lake, LakeError};
use sluicebox_pipeline::maintenance;

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

/// A table and what is to be known of it.
struct Kept {
    name: String,
    table: Table,
    upkeep: Upkeep,
    /// The hops of the pipeline that read it.
    readers: Vec<String>,
}

/// Looks after tables.
pub fn run(args: &Args) -> Exit {
    let (location, plan) = match &args.file {
        None => (args.lake.clone().unwrap_or_else(|| "lake".into()), None),
        Some(file) => {
            let pipeline = PipelineArgs { file: file.clone(), lake: args.lake.clone(), vars: args.vars.clone() };
            match pipeline.load() {
                Ok(loaded) => (pipeline.lake(&loaded), Some(loaded.plan)),
                Err(exit) => return exit,
            }
        }
    };
    let (lake, runtime) = match (open_lake(&location), runtime()) {
        (Ok(lake), Ok(runtime)) => (lake, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    runtime.block_on(async {
        let (tables, unreadable) = match tables(&lake, plan.as_ref()).await {
            Ok(tables) => tables,
            Err(error) => return fail(&error),
        };
        if tables.is_empty() && unreadable.is_empty() {
            return no_tables(&location);
        }
        let known: Vec<&str> = tables
            .iter()
            .map(|kept| kept.name.as_str())
            .chain(unreadable.iter().map(|(name, _)| name.as_str()))
            .collect();
        if let Some(unknown) = args.tables.iter().find(|name| !known.contains(&name.as_str())) {
            report::message(
                &format!("there is no table `{unknown}` in {location}"),
                Some(&format!("its tables: {}", known.join(", "))),
            );
            return Exit::Usage;
        }
        let wanted = |name: &String| args.tables.is_empty() || args.tables.contains(name);
        // One that fails does not keep the others from being looked after.
        let mut exit = Exit::Done;
        for (_, error) in unreadable.iter().filter(|(name, _)| wanted(name)) {
            exit = fail(error);
        }
        for mut kept in tables.into_iter().filter(|kept| wanted(&kept.name)) {
            match maintain(&lake, &mut kept, args.dry_run).await {
                Ok(done) if args.json => report::line(format_args!("{}", to_json(&kept.name, args.dry_run, &done))),
                Ok(done) => told(&kept.name, args.dry_run, &done).iter().for_each(report::line),
                Err(error) => exit = fail(&error),
            }
        }
        exit
    })
}

async fn maintain(lake: &Lake, kept: &mut Kept, dry_run: bool) -> Result<Maintained, LakeError> {
    let followers = lake.followers(&kept.name, &kept.readers).await?;
    let task = Maintenance { dry_run, ..maintenance::task(&kept.upkeep, 2, true, followers) };
    Ok(kept.table.maintain(&task).await?)
}

/// The tables of the plan that exist, or all of the lake, and by name those that cannot be opened.
async fn tables(lake: &Lake, plan: Option<&Plan>) -> Result<(Vec<Kept>, Vec<(String, LakeError)>), LakeError> {
    let (mut tables, mut unreadable) = (Vec::new(), Vec::new());
    for (layer, name) in lake.tables().await? {
        let shown = format!("{layer}.{name}");
        let layer = [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|each| each.as_str() == layer);
        let Some(layer) = layer else {
            if plan.is_none_or(|plan| plan.hops.iter().any(|hop| hop.name == name)) {
                match lake.quarantine(&name).await {
                    Ok(table) => {
                        tables.push(Kept { name: shown, table, upkeep: Upkeep::default(), readers: Vec::new() });
                    }
                    Err(error) => unreadable.push((shown, error)),
                }
            }
            continue;
        };
        let name = TableName { layer, name };
        let spec = match plan {
            None => TableSpec::new(name, WriteMode::Append),
            // What a hop only reads belongs to another pipeline.
            Some(plan) => match plan.table(&name) {
                Some(spec) if plan.hops.iter().any(|hop| hop.to.iter().any(|(_, to)| *to == name)) => spec.clone(),
                _ => continue,
            },
        };
        let readers = plan.map(|plan| maintenance::readers(plan, &spec)).unwrap_or_default();
        match lake.table(&spec).await {
            Ok(table) => tables.push(Kept { name: shown, table, upkeep: spec.upkeep, readers }),
            Err(error) => unreadable.push((shown, error)),
        }
    }
    Ok((tables, unreadable))
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
    }
    lines
}
