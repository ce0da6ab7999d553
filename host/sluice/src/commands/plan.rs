//! `sluice plan`.

use std::fmt::Write;

use super::Exit;
use super::session::{PipelineArgs, Session};
use crate::report;
use sluicebox_core::plan::{HopSpec, Upstream, WriteMode};
use sluicebox_pipeline::module::HopModule;

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
    let session = match Session::start(&args.pipeline) {
        Ok(session) => session,
        Err(stopped) => return stopped.exit,
    };
    report::line(format_args!("pipeline {} into {}", session.loaded.plan.name, session.location));
    for hop in &session.loaded.plan.hops {
        report::line(format_args!("{}", describe(&session, hop)));
    }
    Exit::Done
}

fn describe(session: &Session, hop: &HopSpec) -> String {
    let mut text = String::new();
    let from = match &hop.from {
        Upstream::Source(name) => format!("source {name}"),
        Upstream::Table(name) => name.to_string(),
    };
    line(&mut text, format_args!("\nhop {}: {from}", hop.name));
    if let (Some(module), Some(spec)) = (session.bound.modules.get(&hop.name), &hop.module) {
        let descriptor = &module.descriptor;
        line(
            &mut text,
            format_args!("  module  {} {} (sha256 {})", descriptor.name, descriptor.version, module.module.digest()),
        );
        line(&mut text, format_args!("          {}", promises(module)));
        line(
            &mut text,
            format_args!(
                "  may use {} MiB of memory, {:?} a call, {} MiB of output a call; no files, network, clock or randomness",
                spec.limits.memory >> 20,
                spec.limits.time,
                spec.limits.output_bytes >> 20
            ),
        );
    }
    for (port, table) in &hop.lookups {
        line(&mut text, format_args!("  lookup  {port} = {table}"));
    }
    for (_, name) in &hop.to {
        let mode = session.loaded.plan.table(name).map_or_else(String::new, |table| mode(&table.mode));
        let existing = session.bound.existing.get(name);
        let state = if existing.is_some() { "exists" } else { "would be created" };
        line(&mut text, format_args!("  table   {name}, {mode}, {state}"));
        for field in session.bound.schemas.get(name).map(|schema| schema.fields().clone()).unwrap_or_default().iter() {
            let added = existing.is_some_and(|schema| schema.field_with_name(field.name()).is_err());
            let sign = if added || existing.is_none() { '+' } else { ' ' };
            line(&mut text, format_args!("          {sign} {} {}", field.name(), field.data_type()));
        }
    }
    text.trim_end().to_owned()
}

fn promises(module: &HopModule) -> String {
    let descriptor = &module.descriptor;
    let promises = [
        (descriptor.deterministic, "deterministic"),
        (descriptor.row_preserving, "every row in comes out or is rejected"),
        (descriptor.stateful, "keeps state"),
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
