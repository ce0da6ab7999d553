//! `sluice head`.

use std::pin::pin;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use comfy_table::{ContentArrangement, Table as Text, presets};
use futures::TryStreamExt;

use super::Exit;
use super::session::{fail, open_lake, runtime};
use crate::report;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::Table;
use sluicebox_lake::{Lake, LakeError};

/// Longer values are cut, so that a row stays a row on a screen.
const WIDTH: usize = 40;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  sluice head gold --lake lake
  sluice head silver.customers --lake lake --rows 20")]
pub struct Args {
    /// A table such as `gold.fact_sales`, or a layer.
    #[arg(default_value = "gold")]
    what: String,
    /// The lake: a folder or a URL.
    #[arg(long, value_name = "DIR|URL", default_value = "lake")]
    lake: String,
    /// How many rows of each table.
    #[arg(short = 'n', long, default_value_t = 5)]
    rows: usize,
}

/// Prints the first rows of tables.
pub fn run(args: &Args) -> Exit {
    let (layer, table) = match args.what.split_once('.') {
        Some((layer, table)) => (layer, Some(table)),
        None => (args.what.as_str(), None),
    };
    let Some(layer) = [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|each| each.as_str() == layer)
    else {
        report::message(
            &format!("`{layer}` is not a layer"),
            Some("write bronze, silver or gold, or a table such as gold.fact_sales"),
        );
        return Exit::Usage;
    };
    let (lake, runtime) = match (open_lake(&args.lake), runtime()) {
        (Ok(lake), Ok(runtime)) => (lake, runtime),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let printed = runtime.block_on(async {
        let names: Vec<String> = match table {
            Some(table) => vec![table.to_owned()],
            None => lake
                .tables()
                .await?
                .into_iter()
                .filter(|(each, _)| each == layer.as_str())
                .map(|(_, name)| name)
                .collect(),
        };
        for name in &names {
            print(&lake, TableName { layer, name: name.clone() }, args.rows).await?;
        }
        Ok::<_, LakeError>(names.len())
    });
    match printed {
        Ok(0) => {
            report::message(
                &format!("{} has no table in {}", args.lake, layer.as_str()),
                Some("is --lake the folder that `sluice run` wrote to?"),
            );
            Exit::Failed
        }
        Ok(_) => Exit::Done,
        Err(error) => fail(&error),
    }
}

async fn print(lake: &Lake, name: TableName, rows: usize) -> Result<(), LakeError> {
    let table = open(lake, &name).await?;
    let info = table.info().await?;
    let rows_in_all = info.rows.map_or_else(String::new, |rows| format!("{} rows, ", report::count(rows)));
    report::line(format_args!("{name}: {rows_in_all}version {}", info.version));
    report::line(format_args!("{}\n", first_rows(&table, rows).await?));
    Ok(())
}

/// Opens a table of a layer, or a quarantine, to read it.
pub async fn open_any(lake: &Lake, layer: &str, name: &str) -> Result<Table, LakeError> {
    match [Layer::Bronze, Layer::Silver, Layer::Gold].into_iter().find(|each| each.as_str() == layer) {
        Some(layer) => open(lake, &TableName { layer, name: name.to_owned() }).await,
        None => lake.quarantine(name).await,
    }
}

/// Opens a table of any mode to read it.
pub async fn open(lake: &Lake, name: &TableName) -> Result<Table, LakeError> {
    lake.table(&TableSpec::new(name.clone(), WriteMode::Append)).await
}

/// The first rows of a table, drawn for a screen.
pub async fn first_rows(table: &Table, rows: usize) -> Result<String, LakeError> {
    let mut text = Text::new();
    text.load_preset(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(schema) = table.schema() {
        text.set_header(schema.fields().iter().map(|field| field.name().clone()));
    }
    let mut left = rows;
    let mut batches = pin!(table.scan(None).await?);
    while left > 0 {
        let Some(batch) = batches.try_next().await? else { break };
        let batch = batch.slice(0, left.min(batch.num_rows()));
        left -= batch.num_rows();
        match cells(&batch) {
            Ok(rows) => rows.into_iter().for_each(|row| {
                text.add_row(row);
            }),
            Err(error) => return Ok(format!("(rows cannot be shown: {error})")),
        }
    }
    Ok(text.to_string())
}

fn cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default().with_null("");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows())
        .map(|row| columns.iter().map(|column| cut(&column.value(row).to_string())).collect())
        .collect())
}

fn cut(text: &str) -> String {
    let line = report::visible(&text.replace('\n', "⏎"));
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
