//! `sluice plan`.

use std::fmt::Write;

use super::Exit;
use super::session::{PipelineArgs, end};
use crate::report;
use sluicebox_core::plan::{Upstream, WriteMode};
use sluicebox_core::types::Named;
use sluicebox_service::{HopPlan, ModulePlan, OperationError, plan};

#[derive(clap::Args)]
#[command(after_help = "\
For every hop: what it reads, which module it runs and what that module may use, and for
every table whether it is there or would be created, and with which columns.")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Prints what a run would do.
pub fn run(args: &Args) -> Exit {
    end(show(args), false)
}

fn show(args: &Args) -> Result<Exit, OperationError> {
    let (_, session) = args.pipeline.start()?;
    let plan = plan(&session);
    report::line(format_args!("pipeline {} into {}", plan.pipeline, plan.location));
    for hop in &plan.hops {
        report::line(format_args!("{}", describe(hop)));
    }
    Ok(Exit::Done)
}

fn describe(hop: &HopPlan) -> String {
    let mut text = String::new();
    let from = match &hop.from {
        Upstream::Source(name) => format!("source {name}"),
        Upstream::Table(name) => name.to_string(),
    };
    line(&mut text, format_args!("\nhop {}: {from}", hop.hop));
    if let Some(module) = &hop.module {
        line(&mut text, format_args!("  module  {} {} (sha256 {})", module.name, module.version, module.digest));
        line(&mut text, format_args!("          {}", promises(module)));
        line(
            &mut text,
            format_args!(
                "  may use {} MiB of memory, {:?} a call, {} MiB of output a call; no files, network, clock or randomness",
                module.limits.memory >> 20,
                module.limits.time,
                module.limits.output_bytes >> 20
            ),
        );
    }
    for (port, table) in &hop.lookups {
        line(&mut text, format_args!("  lookup  {port} = {table}"));
    }
    for table in &hop.tables {
        let mode = table.mode.as_ref().map_or_else(String::new, mode);
        let state = if table.exists { "exists" } else { "would be created" };
        line(&mut text, format_args!("  table   {}, {mode}, {state}", table.table));
        for column in &table.columns {
            let sign = if column.added { '+' } else { ' ' };
            line(
                &mut text,
                format_args!("          {sign} {} {}", report::visible(&column.name), Named(&column.data_type)),
            );
        }
    }
    text.trim_end().to_owned()
}

fn promises(module: &ModulePlan) -> String {
    let promises = [
        (module.deterministic, "deterministic"),
        (module.row_preserving, "every row in comes out or is rejected"),
        (module.stateful, "keeps state"),
    ];
    let kept: Vec<_> = promises.iter().filter(|(kept, _)| *kept).map(|(_, promise)| *promise).collect();
    if kept.is_empty() { "promises nothing".into() } else { kept.join("; ") }
}

fn mode(mode: &WriteMode) -> String {
    match mode {
        WriteMode::Append => "append".into(),
        WriteMode::Upsert { key, order_by, .. } => {
            let newest = order_by.as_ref().map(|column| format!(", newest {column} wins")).unwrap_or_default();
            format!("upsert by {}{newest}", key.join(", "))
        }
        WriteMode::Accumulate { key, sum, count } => {
            format!("accumulate by {}: sums {}, count {count}", key.join(", "), sum.join(", "))
        }
        WriteMode::Overwrite => "overwrite".into(),
        WriteMode::Replace { by } => format!("replace by {}", by.join(", ")),
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{arguments}");
}
