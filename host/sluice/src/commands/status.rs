//! `sluice status`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Text, presets};

use super::Exit;
use super::session::{end, fail, start};
use crate::report;
use sluicebox_core::fault::in_one_line;
use sluicebox_delta::TableInfo;
use sluicebox_service::status::status;
use sluicebox_service::{OperationError, TableRef};

#[derive(clap::Args)]
pub struct Args {
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// Print one JSON object a table.
    #[arg(long)]
    json: bool,
}

/// Prints every table of a lake.
pub fn run(args: &Args) -> Exit {
    end(show(args), args.json)
}

fn show(args: &Args) -> Result<Exit, OperationError> {
    let (service, lake) = start(&args.lake)?;
    let found = service.wait(status(&lake, &args.lake))?;
    if args.json {
        for (table, info) in &found.tables {
            report::json_line(json(table, info));
        }
    } else if !found.tables.is_empty() {
        report::line(table(&found.tables));
    }
    let exit = found.unreadable.iter().fold(Exit::Done, |_, (_, error)| fail(error));
    if args.json && !found.unreadable.is_empty() {
        let errors: Vec<String> = found.unreadable.iter().map(|(_, error)| in_one_line(error)).collect();
        report::json_line(report::failed(&errors));
    }
    Ok(exit)
}

fn json(table: &TableRef, info: &TableInfo) -> serde_json::Value {
    serde_json::json!({
        "table": table.to_string(), "version": info.version, "rows": info.rows, "files": info.files, "bytes": info.bytes,
        "committed_at": info.last_commit.map(|at| at.to_rfc3339()),
        "module": info.maker["module"],
    })
}

/// A module's name and the beginning of its digest.
fn module(maker: &serde_json::Value) -> String {
    match (maker["module"]["name"].as_str(), maker["module"]["digest"].as_str()) {
        (Some(name), Some(digest)) => format!("{name} {}", digest.get(..12).unwrap_or(digest)),
        _ => String::new(),
    }
}

fn table(tables: &[(TableRef, TableInfo)]) -> Text {
    let mut text = Text::new();
    text.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    text.set_header(["table", "rows", "files", "MiB", "version", "last commit", "module"]);
    for (name, info) in tables {
        text.add_row([
            name.to_string(),
            info.rows.map_or_else(String::new, report::count),
            report::count(info.files as u64),
            format!("{:.1}", info.bytes as f64 / f64::from(1 << 20)),
            info.version.to_string(),
            info.last_commit.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
            module(&info.maker),
        ]);
    }
    for column in 1..=4 {
        if let Some(column) = text.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text
}
