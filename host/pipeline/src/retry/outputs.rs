//! The outputs of a retry: the hop's tables, and rows that go back to quarantine.

use arrow_array::RecordBatch;
use chrono::Utc;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::fault::RetryError;
use crate::rows::describe;
use sluicebox_core::batch::{Lane, Positions, Reject, Stage};
use sluicebox_core::crash::{self, Point};
use sluicebox_core::plan::TableName;
use sluicebox_delta::{Commit, Provenance, Table, Writer};
use sluicebox_lake::Lake;

/// Rejects held in memory before they are written to the temporary table.
const KEPT: usize = 4_096;

/// One table of the hop.
pub struct Output {
    /// Its name.
    pub name: TableName,
    table: Table,
    writer: Option<Writer>,
    /// An earlier attempt has committed these rows to the table.
    done: bool,
}

/// All outputs of a retry.
pub struct Outputs {
    upstream: Lane,
    runtime: Handle,
    tables: Vec<Output>,
    kept: Vec<Reject>,
    aside: Aside,
    /// Rows rejected again.
    pub refused: u64,
}

/// Rows that go back, in a temporary lake.
struct Aside {
    _folder: TempDir,
    maker: Provenance,
    table: Table,
    writer: Option<Writer>,
}

impl Outputs {
    /// Outputs without a table.
    pub fn new(hop: &str, upstream: Lane, maker: Provenance, runtime: Handle) -> Result<Self, RetryError> {
        let folder = TempDir::new().map_err(RetryError::Scratch)?;
        let lake = Lake::open(&folder.path().display().to_string())?;
        let table = runtime.block_on(lake.quarantine(hop))?;
        let aside = Aside { _folder: folder, maker, table, writer: None };
        Ok(Self { upstream, runtime, tables: Vec::new(), kept: Vec::new(), aside, refused: 0 })
    }

    /// Adds a table; `done` if it has these rows already.
    pub fn add(&mut self, name: TableName, table: Table, done: bool) {
        self.tables.push(Output { name, table, writer: None, done });
    }

    /// Whether an earlier attempt has committed to one of the tables.
    pub fn is_begun(&self) -> bool {
        self.tables.iter().any(|outlet| outlet.done)
    }

    /// The index of the table with this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|outlet| outlet.name.to_string() == name)
    }

    /// Writes rows to a table; rejects go back to quarantine.
    pub fn write(&mut self, index: usize, rows: &RecordBatch) -> Result<(), RetryError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let outlet = &mut self.tables[index];
        let writer = match &mut outlet.writer {
            Some(writer) => writer,
            None => outlet.writer.insert(self.runtime.block_on(outlet.table.begin())?),
        };
        let refused = writer.write(rows)?.refused;
        let stage = Stage::Table(outlet.name.to_string().into());
        let indexes: Vec<usize> = refused.iter().map(|refused| refused.row).collect();
        for (reject, refused) in describe(rows, &indexes, &self.upstream, &stage).into_iter().zip(refused) {
            self.refuse(Reject { reason: refused.code.into(), message: refused.message, ..reject })?;
        }
        Ok(())
    }

    /// Sends a row back to quarantine.
    pub fn refuse(&mut self, reject: Reject) -> Result<(), RetryError> {
        self.refused += 1;
        self.kept.push(reject);
        if self.kept.len() >= KEPT { self.set_aside() } else { Ok(()) }
    }

    fn set_aside(&mut self) -> Result<(), RetryError> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let aside = &mut self.aside;
        let writer = match &mut aside.writer {
            Some(writer) => writer,
            None => {
                self.runtime
                    .block_on(aside.table.create(&sluicebox_lake::quarantine_schema(), Provenance::default()))?;
                aside.writer.insert(self.runtime.block_on(aside.table.begin())?)
            }
        };
        writer.write(&sluicebox_lake::quarantine_batch(&aside.maker, &self.kept, Utc::now()))?;
        self.kept.clear();
        Ok(())
    }

    /// Commits to each table that does not have the rows yet. Returns the rows of each table, and those that go back.
    pub fn commit(
        mut self,
        app: &str,
        positions: &Positions,
        provenance: &Provenance,
    ) -> Result<(Vec<(TableName, u64)>, GoesBack), RetryError> {
        self.set_aside()?;
        let runtime = self.runtime.clone();
        if let Some(writer) = self.aside.writer.take() {
            runtime.block_on(self.aside.table.commit(writer, Commit::default()))?;
        }
        let mut taken = Vec::new();
        for mut outlet in self.tables {
            let Some(writer) = outlet.writer.take() else {
                taken.push((outlet.name, 0));
                continue;
            };
            let rows = writer.rows();
            if outlet.done {
                runtime.block_on(writer.abandon());
            } else {
                let commit = Commit {
                    app: app.to_owned(),
                    positions: positions.clone(),
                    begun: None,
                    provenance: provenance.clone(),
                    whole: false,
                };
                runtime.block_on(outlet.table.commit(writer, commit))?;
                crash::pass(Point::Retried);
            }
            taken.push((outlet.name, rows));
        }
        Ok((taken, GoesBack { aside: self.aside }))
    }
}

/// Rows rejected again.
pub struct GoesBack {
    aside: Aside,
}

impl GoesBack {
    /// The table that holds them, if there are any.
    pub fn table(&self) -> &Table {
        &self.aside.table
    }
}
