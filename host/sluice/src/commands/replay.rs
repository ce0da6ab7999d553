//! `sluice replay`.

use std::path::PathBuf;

use serde_json::json;

use super::Exit;
use super::session::{end, start as start_service, variable};
use crate::report;
use sluicebox_lake::Lake;
use sluicebox_pipeline::replay::{Replayed, Sameness, Side, Start};
use sluicebox_service::replay::{ReplayRequest, replay};
use sluicebox_service::{OperationError, PipelineFile, open_lake};

#[derive(clap::Args)]
#[command(after_help = "\
Makes a hop's tables again out of bronze: every recorded commit of every hop in between, with
the module, the configuration and the positions that the log names, all of them kept in the
lake. Then compares them with the tables in the lake, row for row. The lake is only read.

  sluice replay fact_sales --lake lake
  sluice replay fact_sales --lake lake --from 120 --into /tmp/again

Exit codes: 0 identical, 1 different, 2 cannot be replayed exactly.")]
pub struct Args {
    /// The hop.
    hop: String,
    /// The pipeline file, if several pipelines have a hop of that name.
    file: Option<PathBuf>,
    /// Begin after this version of the hop's table, which is copied; with `@`, after the version made of this version
    /// of its upstream.
    #[arg(long, value_name = "VERSION|@POSITION", value_parser = start)]
    from: Option<Start>,
    /// Keep the tables in this empty folder; without it they are removed.
    #[arg(long, value_name = "DIR|URL")]
    into: Option<String>,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL")]
    lake: Option<String>,
    /// Sets a variable of the pipeline's file; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads `120` or `@120`.
fn start(text: &str) -> Result<Start, String> {
    let number = |text: &str| text.parse().map_err(|_| "write a version, or `@` and a position".to_owned());
    match text.strip_prefix('@') {
        Some(position) => Ok(Start::Position(number(position)?)),
        None => Ok(Start::Version(number(text)?)),
    }
}

/// Replays tables and compares them.
pub fn run(args: &Args) -> Exit {
    end(compare(args), args.json)
}

fn compare(args: &Args) -> Result<Exit, OperationError> {
    let loaded = match &args.file {
        None => None,
        Some(path) => {
            Some(PipelineFile { path: path.clone(), vars: args.vars.iter().cloned().collect(), lake: None }.load()?)
        }
    };
    let location = args.lake.clone().or_else(|| loaded.as_ref()?.lake.clone()).unwrap_or_else(|| "lake".into());
    let (service, lake) = start_service(&location)?;
    let into = args.into.as_deref().map(open_lake).transpose()?;
    let request = ReplayRequest {
        lake: &lake,
        hop: &args.hop,
        pipeline: loaded.as_ref().map(|loaded| loaded.plan.name.as_str()),
        from: args.from,
        into: into.as_ref(),
    };
    let replayed = replay(&service, request)?;
    if args.json {
        report::json_line(json(&args.hop, &replayed));
    } else {
        print(&args.hop, &replayed, into.as_ref());
    }
    Ok(if replayed.is_identical() { Exit::Done } else { Exit::Failed })
}

fn json(hop: &str, replayed: &Replayed) -> serde_json::Value {
    let tables = replayed.tables.iter().map(|(name, version, sameness)| {
        json!({
            "table": name.to_string(),
            "version": version,
            "identical": sameness.is_identical(),
            "rows": sameness.recorded,
            "rows_replayed": sameness.replayed,
            "rows_missing": sameness.missing,
            "rows_surplus": sameness.surplus,
            "more_differ": sameness.more,
            "columns": sameness.columns,
            "values_differ_in": sameness.values,
            "examples": sameness.examples.iter().map(|(side, row)| {
                json!({ "only": side_word(*side), "row": serde_json::from_str(row).unwrap_or(json!(row)) })
            }).collect::<Vec<_>>(),
        })
    });
    json!({
        "pipeline": replayed.pipeline,
        "hop": hop,
        "identical": replayed.is_identical(),
        "hops": replayed.hops,
        "commits": replayed.commits,
        "not_deterministic": replayed.not_deterministic,
        "tables": tables.collect::<Vec<_>>(),
    })
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Recorded => "recorded",
        Side::Replayed => "replayed",
    }
}

fn print(hop: &str, replayed: &Replayed, into: Option<&Lake>) {
    report::line(format_args!(
        "{}/{hop} made again by {} in {} commits",
        replayed.pipeline,
        replayed.hops.join(", "),
        report::count(replayed.commits as u64)
    ));
    for (name, version, sameness) in &replayed.tables {
        let rows = report::count(sameness.recorded);
        if sameness.is_identical() {
            report::line(format_args!("{name}: identical, {rows} rows at version {version}"));
            continue;
        }
        let again = report::count(sameness.replayed);
        report::line(format_args!("{name}: differs, {rows} rows at version {version} and {again} when made again"));
        differences(sameness);
    }
    if !replayed.not_deterministic.is_empty() {
        let modules: Vec<_> = replayed.not_deterministic.iter().map(String::as_str).collect();
        report::note(&format!("not deterministic by their own word: {}", modules.join(", ")));
    }
    if let Some(into) = into {
        report::note(&format!("the tables that were made again are in {}", into.location()));
    }
}

fn differences(sameness: &Sameness) {
    for column in &sameness.columns {
        report::line(format_args!("  {}", report::visible(column)));
    }
    if !sameness.values.is_empty() {
        report::line(format_args!("  values differ in: {}", report::visible(&sameness.values.join(", "))));
    }
    let more = if sameness.more { "at least " } else { "" };
    report::line(format_args!(
        "  rows only in the lake: {more}{}; only when made again: {more}{}",
        report::count(sameness.missing),
        report::count(sameness.surplus)
    ));
    for (side, row) in &sameness.examples {
        report::line(format_args!("  only {}: {}", side_word(*side), report::visible(row)));
    }
}
