//! `sluice history`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Text, presets};
use serde_json::{Map, Value, json};

use super::Exit;
use super::session::{end, start};
use crate::report;
use sluicebox_delta::{CommitRecord, Step};
use sluicebox_service::history::history;
use sluicebox_service::{OperationError, TableRef};
use sluicebox_sources::Position;

/// The lanes of a commit that are listed in a line.
const LANES: usize = 2;

#[derive(clap::Args)]
#[command(after_help = "\
One line a commit, the newest first: who made it out of what. Commits of other programs are
shown as what they call themselves; commits that the log does not have any more are said to
be gone, not guessed.

  sluice history silver.orders --lake lake
  sluice history quarantine.clean_orders --lake lake
  sluice history gold.fact_sales --lake lake --json | jq .module.digest")]
pub struct Args {
    /// A table such as `silver.orders`, or `quarantine.HOP`.
    table: String,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// How many commits; 0 for all.
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Print one JSON object a commit.
    #[arg(long)]
    json: bool,
}

/// Prints the history of a table.
pub fn run(args: &Args) -> Exit {
    end(show(args), args.json)
}

fn show(args: &Args) -> Result<Exit, OperationError> {
    let name = TableRef::parse(&args.table)?;
    let (service, lake) = start(&args.lake)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let steps = service.wait(history(&lake, &name, limit))?;
    if args.json {
        steps.iter().for_each(|step| report::json_line(json(step)));
    } else {
        report::line(table(&steps));
    }
    Ok(Exit::Done)
}

fn json(step: &Step) -> Value {
    let commit = match step {
        Step::Gone { first, last } => return json!({ "gone": { "first": first, "last": last } }),
        Step::Commit(commit) => commit,
    };
    let positions: Map<String, Value> = commit.transactions.iter().map(|(app, at)| (app.clone(), json!(at))).collect();
    json!({
        "version": commit.version,
        "at": commit.at.map(|at| at.to_rfc3339()),
        "operation": commit.operation,
        "engine": commit.engine,
        "pipeline": commit.made("pipeline"),
        "hop": commit.made("hop"),
        "module": commit.maker.get("module"),
        "contract": commit.made("contract"),
        "config_hash": commit.made("configHash"),
        "rows_in": commit.count("rowsIn"),
        "rows_out": commit.count("rowsOut"),
        "rows_rejected": commit.count("rowsRejected"),
        "rows_added": commit.rows_added,
        "files_added": commit.files_added,
        "files_removed": commit.files_removed,
        "bytes_added": commit.bytes_added,
        "bytes_removed": commit.bytes_removed,
        "data_change": commit.data_change,
        "positions": positions,
    })
}

fn table(steps: &[Step]) -> Text {
    let mut text = Text::new();
    text.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    text.set_header([
        "version",
        "time",
        "operation",
        "made by",
        "module",
        "in",
        "out",
        "rejected",
        "files",
        "MiB",
        "positions",
    ]);
    for step in steps {
        match step {
            Step::Commit(commit) => text.add_row(cells(commit)),
            Step::Gone { first, last } if first == last => {
                text.add_row([first.to_string(), String::new(), "(no longer in the log)".to_owned()])
            }
            Step::Gone { first, last } => {
                text.add_row([format!("{first}–{last}"), String::new(), "(no longer in the log)".to_owned()])
            }
        };
    }
    for column in [0, 5, 6, 7, 8, 9] {
        if let Some(column) = text.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text
}

fn cells(commit: &CommitRecord) -> [String; 11] {
    let count = |key| commit.count(key).map_or_else(String::new, report::count);
    // Text of other programs in the log must not control the terminal.
    let seen = |text: Option<&str>| report::visible(text.unwrap_or_default());
    let maker = match (commit.made("pipeline"), commit.made("hop")) {
        (Some(pipeline), Some(hop)) => report::visible(&format!("{pipeline}/{hop}")),
        _ => seen(commit.engine.as_deref()),
    };
    let module = match (commit.maker["module"]["name"].as_str(), commit.digest()) {
        (Some(name), Some(digest)) => report::visible(&format!("{name} {}", digest.get(..12).unwrap_or(digest))),
        _ => String::new(),
    };
    let rearranged =
        if commit.data_change || commit.files_added + commit.files_removed == 0 { "" } else { ", same rows" };
    [
        commit.version.to_string(),
        commit.at.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        format!("{}{rearranged}", seen(commit.operation.as_deref().or(Some("(nobody says)")))),
        maker,
        module,
        count("rowsIn"),
        count("rowsOut"),
        count("rowsRejected"),
        format!("+{} −{}", report::count(commit.files_added), report::count(commit.files_removed)),
        format!("{:.1}", commit.bytes_added as f64 / f64::from(1 << 20)),
        positions(commit),
    ]
}

/// The first lanes and the number of others; the JSON has all of them.
fn positions(commit: &CommitRecord) -> String {
    let own = match (commit.made("pipeline"), commit.made("hop")) {
        (Some(pipeline), Some(hop)) => format!("{pipeline}/{hop}/"),
        _ => String::new(),
    };
    let shown = commit.transactions.iter().take(LANES).map(|(app, at)| {
        let lane = report::visible(app.strip_prefix(&own).unwrap_or(app));
        match Position::read(Some(*at)) {
            Position::Sized(bytes) => format!("{lane} to its end ({} bytes)", report::count(bytes)),
            Position::Sealed(_) => format!("{lane} to its end"),
            Position::Records(_) => format!("{lane} {at}"),
        }
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if commit.transactions.len() > LANES {
        text.push_str(&format!(" and {} more", commit.transactions.len() - LANES));
    }
    text
}
