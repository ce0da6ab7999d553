//! Where a hop puts the rows that cannot go on, and how far it came there.

use chrono::Utc;
use sluicebox_delta::DeltaError;
use tokio::runtime::Handle;

use super::context::HopContext;
use sluicebox_core::batch::{Lane, Positions, Reject};
use sluicebox_delta::{Commit, Provenance, Table, Writer};
use sluicebox_lake::{Lake, LakeError};

/// The position of a row whose place is known only when its upstream version is.
pub const UNKNOWN_POSITION: i64 = -1;

/// Rows kept in memory before they are written to the quarantine's open file.
const KEPT: usize = 4_096;

/// Where the rows go that cannot go on. Its table is made with the first of them.
pub struct QuarantineSink {
    maker: Provenance,
    table: Table,
    /// It may hold rows of earlier runs.
    held: bool,
    recorded: Positions,
    /// Where it stands as far as this hop knows: what it had at the start, and what was committed since.
    known: Positions,
    writer: Option<Writer>,
    kept: Vec<Reject>,
    /// Of the kept rows, those without a position of their own yet.
    unplaced: usize,
    /// The hop takes its whole upstream every time, so its rejected rows are those of the
    /// last time.
    whole: bool,
    /// Others put rows in at the same time, each of lanes of its own.
    shared: bool,
}

impl QuarantineSink {
    /// Opens the hop's quarantine, if there is one yet.
    pub async fn open(lake: &Lake, context: &HopContext, maker: Provenance) -> Result<Self, LakeError> {
        let (hop, app, whole) = (&context.spec.name, &context.app, context.whole());
        let table = lake.quarantine(hop).await?;
        // Two pipelines may have a hop of that name; the rows of the other one are not ours to replace.
        let own = format!("{app}/");
        let all = table.positions("").await?;
        if let Some((other, _)) = all.iter().find(|(other, _)| whole && !other.starts_with(&own)) {
            let other = other.split('/').take(2).collect::<Vec<_>>().join("/");
            return Err(DeltaError::Shared { table: table.name().to_owned(), other });
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

    /// Reads anew how far this hop came here, whoever ran it. From now on others may put rows in, too.
    pub async fn look_again(&mut self, app: &str) -> Result<(), LakeError> {
        self.shared = true;
        self.table.refresh().await?;
        self.recorded = self.table.positions(&format!("{app}/")).await?;
        self.known = self.recorded.clone();
        Ok(())
    }

    /// Takes a row for the next commit.
    pub fn push(&mut self, reject: Reject, runtime: &Handle) -> Result<(), LakeError> {
        self.unplaced += usize::from(reject.position == UNKNOWN_POSITION);
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

    fn write(&mut self, runtime: &Handle) -> Result<(), LakeError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let absent = self.table.version().is_none();
                runtime.block_on(self.table.create(&sluicebox_lake::quarantine_schema(), self.maker.clone()))?;
                let app = format!("{}/{}/", self.maker.pipeline, self.maker.hop);
                let found = runtime.block_on(self.table.positions(&app))?;
                // There was no table when this hop began, so whoever has put rows in since has taken
                // the same ones; of a shared source, if they are of the same lanes.
                let ours = |lane: &Lane| !self.shared || self.kept.iter().any(|reject| reject.lane == *lane);
                if let Some((lane, _)) = found.iter().find(|(lane, _)| absent && ours(lane)) {
                    let (table, lane) = (self.table.name().to_owned(), format!("{app}{lane}"));
                    return Err(DeltaError::Overtaken { table, lane });
                }
                self.writer.insert(runtime.block_on(self.table.begin())?)
            }
        };
        writer.write(&sluicebox_lake::quarantine_batch(&self.maker, &self.kept, Utc::now()))?;
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
    ) -> Result<(), LakeError> {
        if !self.kept.is_empty() {
            self.write(runtime)?;
        }
        let writer = match self.writer.take() {
            Some(writer) => writer,
            // What was rejected the last time is not rejected any more.
            None if self.whole && self.table.version().is_some() => runtime.block_on(self.table.begin())?,
            None => return Ok(()),
        };
        // Only commits with rejected rows are recorded here, so it stands where the last of these ended
        // and not where the rows began. If it stands elsewhere, another run has put some of them in.
        let begun = Some(self.known.clone());
        let commit = Commit { app: app.to_owned(), positions: positions.clone(), begun, provenance, whole: self.whole };
        runtime.block_on(self.table.commit(writer, commit))?;
        self.known.merge(positions);
        Ok(())
    }

    /// Throws away what was taken since the last commit.
    pub fn abandon(&mut self, runtime: &Handle) {
        (self.kept, self.unplaced) = (Vec::new(), 0);
        if let Some(writer) = self.writer.take() {
            runtime.block_on(writer.abandon());
        }
    }
}
