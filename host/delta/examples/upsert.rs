//! Upserts rows into a Delta table within a memory budget, without the rest of Sluicebox. A table that is not there is
//! created; of one that is, whoever wrote it, rows with the same key are replaced.
//!
//!     cargo run --release --workspace --example upsert -- /tmp/people

use std::error::Error;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sluicebox_delta::{Commit, Layout, Location, Provenance, Table, TableOptions, WriteMode};
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder or the URL of a table")?;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["Ada", "Edsger", "Grace"]));
    let rows = RecordBatch::try_from_iter([("id", ids), ("name", names)])?;

    let runtime = Runtime::new()?;
    let mode = WriteMode::Upsert { key: vec!["id".into()], order_by: None, delete_when: None };
    // Of whatever size the rows and the table are. Keys that do not fit are worked off in passes.
    let layout = Layout { memory: 64 << 20, ..Layout::default() };
    let options = TableOptions { layout: Arc::new(layout), ..TableOptions::new("people", mode) };
    let mut table = runtime.block_on(Table::open(Location::parse(&folder)?, options))?;
    runtime.block_on(table.create(&rows.schema(), Provenance::default()))?;

    let mut writer = runtime.block_on(table.begin())?;
    // Encodes and writes, so it does not belong on a worker of the runtime.
    writer.write(&rows)?;
    let done = runtime.block_on(table.commit(writer, Commit::default()))?;
    println!(
        "version {}: {} inserted, {} updated, {} unchanged",
        done.version, done.inserted, done.updated, done.unchanged
    );
    Ok(())
}
