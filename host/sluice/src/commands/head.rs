//! `sluice head`.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use comfy_table::{ContentArrangement, Table as Text, presets};

use super::Exit;
use super::session::{end, start};
use crate::report;
use sluicebox_service::OperationError;
use sluicebox_service::head::{Head, Scope, head, tables_of};

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
    end(show(args), false)
}

fn show(args: &Args) -> Result<Exit, OperationError> {
    let scope = Scope::parse(&args.what)?;
    let (service, lake) = start(&args.lake)?;
    for table in service.wait(tables_of(&lake, &args.lake, &scope))? {
        let head = service.wait(head(&lake, &table, args.rows))?;
        let rows_in_all = head.info.rows.map_or_else(String::new, |rows| format!("{} rows, ", report::count(rows)));
        report::line(format_args!("{table}: {rows_in_all}version {}", head.info.version));
        report::line(format_args!("{}\n", drawn(&head)));
    }
    Ok(Exit::Done)
}

/// The first rows of a table, drawn for a screen.
fn drawn(head: &Head) -> String {
    let mut text = Text::new();
    text.load_preset(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(schema) = &head.schema {
        text.set_header(schema.fields().iter().map(|field| report::visible(field.name())));
    }
    for batch in &head.rows {
        match cells(batch) {
            Ok(rows) => rows.into_iter().for_each(|row| {
                text.add_row(row);
            }),
            Err(error) => return format!("(rows cannot be shown: {error})"),
        }
    }
    text.to_string()
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
