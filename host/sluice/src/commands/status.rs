//! `sluice status`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Text, presets};

use super::Exit;
use super::head::open_any;
use super::session::{fail, no_tables, open_lake, runtime};
use crate::report;
use sluicebox_delta::TableInfo;
use sluicebox_lake::{Lake, LakeError};

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
    let (lake, runtime) = match (open_lake(&args.lake), runtime()) {
        (Ok(lake), Ok(runtime)) => (lake, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let looked = runtime.block_on(async {
        let (mut tables, mut failures) = (Vec::new(), Vec::new());
        for (layer, name) in lake.tables().await? {
            // One that cannot be read does not hide the others.
            match look(&lake, &layer, &name).await {
                Ok(info) => tables.push((format!("{layer}.{name}"), info)),
                Err(error) => failures.push(error),
            }
        }
        Ok::<_, LakeError>((tables, failures))
    });
    let (tables, failures) = match looked {
        Ok((tables, failures)) if tables.is_empty() && failures.is_empty() => return no_tables(&args.lake),
        Ok(looked) => looked,
        Err(error) => return fail(&error),
    };
    if args.json {
        for (name, info) in tables {
            report::line(format_args!("{}", json(&name, &info)));
        }
    } else if !tables.is_empty() {
        report::line(format_args!("{}", table(&tables)));
    }
    failures.iter().fold(Exit::Done, |_, error| fail(error))
}

async fn look(lake: &Lake, layer: &str, name: &str) -> Result<TableInfo, LakeError> {
    Ok(open_any(lake, layer, name).await?.info().await?)
}

fn json(name: &str, info: &TableInfo) -> serde_json::Value {
    serde_json::json!({
        "table": name, "version": info.version, "rows": info.rows, "files": info.files, "bytes": info.bytes,
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

fn table(tables: &[(String, TableInfo)]) -> Text {
    let mut text = Text::new();
    text.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    text.set_header(["table", "rows", "files", "MiB", "version", "last commit", "module"]);
    for (name, info) in tables {
        text.add_row([
            name.clone(),
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
