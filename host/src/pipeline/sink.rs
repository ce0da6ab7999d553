//! One output of a hop: a table, its open writer, and how far it was written before.

use arrow_array::RecordBatch;
use chrono::Utc;
use crossbeam_channel::Sender;
use tokio::runtime::Handle;

use super::context::HopContext;
use super::fault::PipelineError;
use super::flow::Flow;
use crate::batch::{Positions, Reject};
use crate::lake::{self, Commit, Lake, Provenance, Table, Writer};
use crate::plan::{TableName, TableSpec};

/// A table that a hop writes.
pub struct Sink {
    /// The table's name.
    pub name: TableName,
    /// The one writer of that table in this process.
    pub table: Table,
    /// The positions of this hop that the table had when the hop started.
    pub recorded: Positions,
    /// The hops below that take these rows from memory.
    pub followers: Vec<Sender<Flow>>,
    writer: Option<Writer>,
    rows: u64,
}

impl Sink {
    /// Opens the table and reads how far this hop came in it.
    pub async fn open(
        lake: &Lake,
        spec: &TableSpec,
        app: &str,
        followers: Vec<Sender<Flow>>,
    ) -> Result<Self, crate::lake::LakeError> {
        let table = lake.table(spec).await?;
        let recorded = table.positions(&format!("{app}/")).await?;
        Ok(Self { name: spec.name.clone(), table, recorded, followers, writer: None, rows: 0 })
    }

    /// Writes rows that the next commit will make visible, and passes them down.
    /// Gives back the rows that the table's contract refuses.
    pub fn write(&mut self, rows: &RecordBatch, runtime: &Handle) -> Result<Vec<lake::Refused>, lake::LakeError> {
        if rows.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(runtime.block_on(self.table.begin())?),
        };
        let written = writer.write(rows)?;
        self.rows += written.rows.num_rows() as u64;
        if written.rows.num_rows() > 0 {
            // A follower that is gone has failed and says so itself; this table goes on.
            self.followers.retain(|follower| follower.send(Flow::Rows(written.rows.clone())).is_ok());
        }
        Ok(written.refused)
    }

    /// Rows written since the last commit.
    pub fn pending(&self) -> u64 {
        self.rows
    }

    /// Commits what was written together with the positions, and lets followers count it.
    pub fn commit(
        &mut self,
        app: &str,
        positions: &Positions,
        provenance: Provenance,
        whole: bool,
        runtime: &Handle,
    ) -> Result<lake::Committed, lake::LakeError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => runtime.block_on(self.table.begin())?,
        };
        let commit = Commit { app: app.to_owned(), positions: positions.clone(), provenance, whole };
        let committed = runtime.block_on(self.table.commit(writer, commit))?;
        self.rows = 0;
        self.followers.retain(|follower| follower.send(Flow::Barrier(committed.version)).is_ok());
        Ok(committed)
    }

    /// Tells the followers that the hop ended well.
    pub fn end(&mut self) {
        for follower in self.followers.drain(..) {
            // A follower that is gone needs no word.
            let _ = follower.send(Flow::End);
        }
    }

    /// Throws away what was written since the last commit.
    pub fn abandon(&mut self, runtime: &Handle) {
        if let Some(writer) = self.writer.take() {
            runtime.block_on(writer.abandon());
        }
    }
}

/// Rows kept in memory before they are written to the quarantine's open file.
const KEPT: usize = 4_096;

/// Where the rows go that cannot go on. Its table is made with the first of them.
pub struct QuarantineSink {
    hop: String,
    maker: Provenance,
    table: Table,
    recorded: Positions,
    writer: Option<Writer>,
    kept: Vec<Reject>,
    /// Of the kept rows, those without a position of their own yet.
    unplaced: usize,
    rows: u64,
    /// The hop takes its whole upstream every time, so its rejected rows are those of the
    /// last time.
    whole: bool,
}

impl QuarantineSink {
    /// Opens the hop's quarantine, if there is one yet.
    pub async fn open(lake: &Lake, context: &HopContext, maker: Provenance) -> Result<Self, lake::LakeError> {
        let (hop, app, whole) = (&context.spec.name, &context.app, context.whole);
        let table = lake.quarantine(hop).await?;
        let table = if whole { table.rewritten() } else { table };
        let recorded = table.positions(&format!("{app}/")).await?;
        Ok(Self {
            hop: hop.to_owned(),
            maker,
            table,
            recorded,
            writer: None,
            kept: Vec::new(),
            unplaced: 0,
            rows: 0,
            whole,
        })
    }

    /// The positions of this hop that the quarantine had when the hop started.
    pub fn recorded(&self) -> &Positions {
        &self.recorded
    }

    /// Takes a row for the next commit.
    pub fn push(&mut self, reject: Reject, runtime: &Handle) -> Result<(), lake::LakeError> {
        self.unplaced += usize::from(reject.position == UNKNOWN_POSITION);
        self.rows += 1;
        self.kept.push(reject);
        if self.kept.len() >= KEPT && self.unplaced == 0 { self.write(runtime) } else { Ok(()) }
    }

    /// Gives every row without a position of its own the one that its commit moves its lane to.
    pub fn place(&mut self, positions: &Positions) {
        for reject in &mut self.kept {
            if reject.position == UNKNOWN_POSITION {
                reject.position = positions.get(&reject.lane).unwrap_or(UNKNOWN_POSITION);
            }
        }
        self.unplaced = 0;
    }

    /// Rows taken since the last commit.
    pub fn pending(&self) -> u64 {
        self.rows
    }

    fn write(&mut self, runtime: &Handle) -> Result<(), lake::LakeError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let absent = self.table.version().is_none();
                runtime.block_on(self.table.create(&lake::quarantine_schema(), self.maker.clone()))?;
                let app = format!("{}/{}/", self.maker.pipeline, self.maker.hop);
                let found = runtime.block_on(self.table.positions(&app))?;
                // There was no table when this hop began, so whoever has put rows in since has taken
                // the same ones.
                if let Some((lane, _)) = found.iter().next().filter(|_| absent) {
                    let (table, lane) = (self.table.name().to_owned(), format!("{app}{lane}"));
                    return Err(lake::LakeError::Overtaken { table, lane });
                }
                self.writer.insert(runtime.block_on(self.table.begin())?)
            }
        };
        let module = self.maker.module.as_ref().map(|(name, digest)| (name.as_str(), digest.as_str()));
        writer.write(&lake::quarantine_batch(&self.hop, module, &self.kept, Utc::now()))?;
        self.kept.clear();
        Ok(())
    }

    /// Commits the rows taken, with the positions. Must come before the hop's other
    /// commits: then a crash in between leaves the quarantine ahead, never behind.
    pub fn commit(
        &mut self,
        app: &str,
        positions: &Positions,
        provenance: Provenance,
        runtime: &Handle,
    ) -> Result<(), lake::LakeError> {
        if !self.kept.is_empty() {
            self.write(runtime)?;
        }
        self.rows = 0;
        let writer = match self.writer.take() {
            Some(writer) => writer,
            // What was rejected the last time is not rejected any more.
            None if self.whole && self.table.version().is_some() => runtime.block_on(self.table.begin())?,
            None => return Ok(()),
        };
        let commit = Commit { app: app.to_owned(), positions: positions.clone(), provenance, whole: self.whole };
        runtime.block_on(self.table.commit(writer, commit)).map(|_| ())
    }

    /// Throws away what was taken since the last commit.
    pub fn abandon(&mut self, runtime: &Handle) {
        (self.kept, self.unplaced, self.rows) = (Vec::new(), 0, 0);
        if let Some(writer) = self.writer.take() {
            runtime.block_on(writer.abandon());
        }
    }
}

/// The position of a row whose place is known only when its upstream version is.
pub const UNKNOWN_POSITION: i64 = -1;

/// Names a lake error with the hop and what it was doing.
pub fn lake_error(hop: &str, doing: impl Into<String>) -> impl FnOnce(lake::LakeError) -> PipelineError {
    let (hop, doing) = (hop.to_owned(), doing.into());
    move |source| PipelineError::Lake { hop, doing, source: Box::new(source) }
}
