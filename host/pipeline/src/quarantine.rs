//! The quarantine of a hop: its rejects, and its positions there.

use chrono::Utc;
use sluicebox_delta::DeltaError;
use tokio::runtime::Handle;

use super::context::HopContext;
use sluicebox_core::batch::{Lane, Positions, Reject};
use sluicebox_delta::{Commit, Provenance, Table, Writer};
use sluicebox_lake::{Lake, LakeError};

/// The position of a reject whose upstream version is not known yet.
pub const UNKNOWN_POSITION: i64 = -1;

/// Rejects held in memory before they are written to the open file.
const KEPT: usize = 4_096;

/// Writes the rejects of a hop. The table is created with the first one.
pub struct QuarantineSink {
    maker: Provenance,
    table: Table,
    /// The table may have rows of earlier runs.
    held: bool,
    recorded: Positions,
    /// The positions that this hop knows: those at its start and those it has committed.
    known: Positions,
    writer: Option<Writer>,
    kept: Vec<Reject>,
    /// Held rejects whose position is not known yet.
    unplaced: usize,
    /// The hop reads its whole upstream every time, so its rejects replace those of the last time.
    whole: bool,
    /// Other hosts write rejects at the same time, each from its own lanes.
    shared: bool,
}

impl QuarantineSink {
    /// Opens the hop's quarantine, if there is one yet.
    pub async fn open(lake: &Lake, context: &HopContext, maker: Provenance) -> Result<Self, LakeError> {
        let (hop, app, whole) = (&context.spec.name, &context.app, context.whole());
        let table = lake.quarantine(hop).await?;
        // Another pipeline may have a hop with this name. Its rows must not be replaced.
        let own = format!("{app}/");
        let all = table.positions("").await?;
        if let Some((other, _)) = all.iter().find(|(other, _)| whole && !other.starts_with(&own)) {
            let other = other.split('/').take(2).collect::<Vec<_>>().join("/");
            return Err(DeltaError::Shared { table: table.name().to_owned(), other }.into());
        }
        let table = if whole { table.rewritten() } else { table };
        let recorded = table.positions(&format!("{app}/")).await?;
        let held = table.version().is_some() && table.info().await?.rows != Some(0);
        let known = recorded.clone();
        Ok(Self {
            maker,
            table,
            held,
            recorded,
            known,
            writer: None,
            kept: Vec::new(),
            unplaced: 0,
            whole,
            shared: false,
        })
    }

    /// Whether it may hold rows.
    pub fn has_rows(&self) -> bool {
        self.held
    }

    /// The positions of this hop that the quarantine had when the hop started.
    pub fn recorded(&self) -> &Positions {
        &self.recorded
    }

    /// Reads the positions again, whichever host recorded them. From now on other hosts may write here, too.
    pub async fn look_again(&mut self, app: &str) -> Result<(), LakeError> {
        self.shared = true;
        self.table.refresh().await?;
        self.recorded = self.table.positions(&format!("{app}/")).await?;
        self.known = self.recorded.clone();
        Ok(())
    }

    /// Adds a reject to the next commit.
    pub fn push(&mut self, reject: Reject, runtime: &Handle) -> Result<(), LakeError> {
        self.unplaced += usize::from(reject.position == UNKNOWN_POSITION);
        self.kept.push(reject);
        if self.kept.len() >= KEPT && self.unplaced == 0 { self.write(runtime) } else { Ok(()) }
    }

    /// Sets the position of rejects that have none to the position that the commit moves their lane to.
    pub fn place(&mut self, positions: &Positions) {
        for reject in &mut self.kept {
            if reject.position == UNKNOWN_POSITION {
                reject.position = positions.get(&reject.lane).unwrap_or(UNKNOWN_POSITION);
            }
        }
        self.unplaced = 0;
    }

    fn write(&mut self, runtime: &Handle) -> Result<(), LakeError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let absent = self.table.version().is_none();
                runtime.block_on(self.table.create(&sluicebox_lake::quarantine_schema(), self.maker.clone()))?;
                let app = format!("{}/{}/", self.maker.pipeline, self.maker.hop);
                let found = runtime.block_on(self.table.positions(&app))?;
                // The table did not exist when this hop began, so rows in it are the same rejects, written by another
                // run; with a shared source, only if they are of the same lanes.
                let ours = |lane: &Lane| !self.shared || self.kept.iter().any(|reject| reject.lane == *lane);
                if let Some((lane, _)) = found.iter().find(|(lane, _)| absent && ours(lane)) {
                    let (table, lane) = (self.table.name().to_owned(), format!("{app}{lane}"));
                    return Err(DeltaError::Overtaken { table, lane }.into());
                }
                self.writer.insert(runtime.block_on(self.table.begin())?)
            }
        };
        writer.write(&sluicebox_lake::quarantine_batch(&self.maker, &self.kept, Utc::now()))?;
        self.kept.clear();
        Ok(())
    }

    /// Commits the rejects with the positions. Must come before the commits of the hop's tables: then a crash in
    /// between leaves the quarantine ahead, never behind.
    pub fn commit(
        &mut self,
        app: &str,
        positions: &Positions,
        provenance: Provenance,
        runtime: &Handle,
    ) -> Result<(), LakeError> {
        if !self.kept.is_empty() {
            self.write(runtime)?;
        }
        let writer = match self.writer.take() {
            Some(writer) => writer,
            // Rows rejected the last time are not rejected any more.
            None if self.whole && self.table.version().is_some() => runtime.block_on(self.table.begin())?,
            None => return Ok(()),
        };
        // Only commits with rejects are recorded here, so the quarantine stands at the last of these and not where
        // the rows began. If it stands elsewhere, another run has written some of them.
        let begun = Some(self.known.clone());
        let commit = Commit { app: app.to_owned(), positions: positions.clone(), begun, provenance, whole: self.whole };
        runtime.block_on(self.table.commit(writer, commit))?;
        self.known.merge(positions);
        Ok(())
    }

    /// Discards what was added since the last commit.
    pub fn abandon(&mut self, runtime: &Handle) {
        (self.kept, self.unplaced) = (Vec::new(), 0);
        if let Some(writer) = self.writer.take() {
            runtime.block_on(writer.abandon());
        }
    }
}
