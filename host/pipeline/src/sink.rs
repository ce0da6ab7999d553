//! A sink of a hop: a table, its open writer and its recorded positions.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::TryStreamExt;
use sluicebox_delta::DeltaError;
use tokio::runtime::Handle;

use super::fault::PipelineError;
use super::flow::Flow;
use super::maintenance::Maintainer;
use super::queue::Sender;
use super::schedule;
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_core::columns::same_column;
use sluicebox_core::meter::{Expected, Meters};
use sluicebox_core::plan::{Contract, Drift, OnDeletes, Plan, TableName, TableSpec, WriteMode};
use sluicebox_core::reject::{Difference, Reason};
use sluicebox_delta::{Added, Changes, Commit, Groups, Provenance, Table, Writer};
use sluicebox_lake::{Lake, LakeError};

/// A table that a hop writes.
pub struct Sink {
    /// The table's name.
    pub name: TableName,
    /// The only writer of the table in this process.
    pub table: Table,
    /// The positions of this hop that the table had when the hop started.
    pub recorded: Positions,
    /// The table's rows are updated and deleted, so its followers get changes.
    changes: bool,
    /// The columns of a group, with mode `replace`.
    by: Vec<String>,
    /// The groups that this run computes, if not all.
    named: Option<Groups>,
    followers: Vec<Follower>,
    writer: Option<Writer>,
    rows: u64,
    unmet: Vec<sluicebox_delta::Unmet>,
    keeper: Maintainer,
    contract: Contract,
}

/// A downstream hop that gets the table's rows from memory.
struct Follower {
    to: Sender<Flow>,
    /// The version up to which it has read the table.
    seen: Option<u64>,
    /// Whether it reads changes. Those of an append table are known at the commit, as those of a keyed table are.
    changes: bool,
    on_deletes: OnDeletes,
}

impl Sink {
    /// Opens the table and reads the positions of this hop.
    pub async fn open(lake: &Lake, plan: &Plan, spec: &TableSpec, app: &str) -> Result<Self, LakeError> {
        let table = lake.table(spec).await?;
        let recorded = table.positions(&format!("{app}/")).await?;
        let changes = schedule::has_changes(&spec.mode);
        let by = match &spec.mode {
            WriteMode::Replace { by } => by.clone(),
            _ => Vec::new(),
        };
        let (name, followers) = (spec.name.clone(), Vec::new());
        Ok(Self {
            name,
            table,
            recorded,
            changes,
            by,
            named: None,
            followers,
            writer: None,
            rows: 0,
            unmet: Vec::new(),
            keeper: Maintainer::new(plan, spec),
            contract: spec.contract,
        })
    }

    /// The same table, which the next commit replaces as a whole.
    pub fn rewriting(self) -> Self {
        Self { table: self.table.rewritten(), ..self }
    }

    /// Whether the table has the group columns with the same types as these columns of its upstream.
    pub fn groups_fit(&self, columns: &[String], upstream: &SchemaRef) -> bool {
        let Some(own) = self.table.schema() else { return false };
        let data_type = |schema: &SchemaRef, column: &str| {
            let field = schema.fields().iter().find(|field| same_column(field.name(), column));
            field.map(|field| field.data_type().clone())
        };
        self.by.len() == columns.len()
            && self.by.iter().zip(columns).all(|(by, column)| {
                let own = data_type(&own, by);
                own.is_some() && own == data_type(upstream, column)
            })
    }

    /// The next commit replaces these groups and leaves all others as they are. A group that gets no row is removed.
    pub async fn name_groups(&mut self, groups: &Groups) -> Result<(), LakeError> {
        let rows = groups.rows(&self.by)?;
        let mut named = Groups::new(self.table.name(), rows.schema_ref(), &self.by)?;
        named.add(&rows)?;
        let mut writer = self.table.begin().await?;
        writer.replace_groups(&rows)?;
        self.writer = Some(writer);
        self.named = Some(named);
        Ok(())
    }

    /// Hands the table's rows to a downstream hop from now on, which has read it up to version `seen`.
    pub fn follow(&mut self, to: Sender<Flow>, seen: Option<u64>, on_deletes: OnDeletes) {
        let changes = self.changes || on_deletes == OnDeletes::Follow;
        self.followers.push(Follower { to, seen, changes, on_deletes });
    }

    /// Writes rows for the next commit and hands them downstream. Returns the rows that the table's contract or its
    /// expectations reject.
    pub fn write(&mut self, rows: &RecordBatch, runtime: &Handle) -> Result<Vec<sluicebox_delta::Refused>, LakeError> {
        if rows.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(runtime.block_on(self.table.begin())?),
        };
        let written = writer.write(rows)?;
        if let Some(named) = &self.named
            && let Some(group) = named.stranger(&written.rows)?
        {
            return Err(DeltaError::Stranger { table: self.name.to_string(), group }.into());
        }
        self.rows += written.rows.num_rows() as u64;
        self.unmet.extend(written.unmet);
        // Which rows of a keyed table change is known only at the commit.
        if written.rows.num_rows() > 0 {
            // A follower that is gone has failed and reports that itself; this table goes on.
            self.followers.retain(|follower| follower.changes || follower.to.send(Flow::Rows(written.rows.clone())));
        }
        Ok(written.refused)
    }

    /// Rows written since the last commit.
    pub fn pending(&self) -> u64 {
        self.rows
    }

    /// Commits the written rows together with the positions.
    pub fn commit(
        &mut self,
        app: &str,
        (begun, positions): (&Positions, &Positions),
        provenance: Provenance,
        whole: bool,
        runtime: &Handle,
    ) -> Result<sluicebox_delta::Committed, LakeError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => runtime.block_on(self.table.begin())?,
        };
        let (positions, begun) = (positions.clone(), Some(begun.clone()));
        let commit = Commit { app: app.to_owned(), positions, begun, provenance, whole };
        let committed = runtime.block_on(self.table.commit(writer, commit))?;
        self.rows = 0;
        Ok(committed)
    }

    /// What the table's contract says to a record that is no row for its type, or for fields too many or too
    /// few: it is refused, unless the contract's answer is to stop.
    pub fn check_drift(&self, reject: &Reject) -> Result<(), sluicebox_lake::LakeError> {
        let Reason::Host(code) = &reject.reason else { return Ok(()) };
        let kept = match code.difference() {
            // A table that is there cannot follow a single value.
            Some(Difference::Type) if matches!(self.contract.type_change, Drift::Freeze | Drift::Evolve) => {
                "the types of its columns"
            }
            Some(Difference::NewField) if self.contract.new_column == Drift::Freeze => "its columns",
            Some(Difference::MissingField) if self.contract.missing_column == Drift::Freeze => "all of its columns",
            _ => return Ok(()),
        };
        let place = match reject.line {
            Some(line) => format!("{}:{line}", reject.lane),
            None => format!("record {} of {}", reject.position, reject.lane),
        };
        Err(DeltaError::Frozen { table: self.name.to_string(), kept, place, message: reject.message.clone() }.into())
    }

    /// Maintains the table if it is due. Followers have got the commit by now.
    pub fn keep(&mut self, committed: &sluicebox_delta::Committed, lake: &Lake, runtime: &Handle) {
        self.keeper.after_commit(&mut self.table, committed, lake, runtime);
    }

    /// Counts the rows that did not fulfil an expectation since the last call.
    pub fn count_unmet(&mut self, meter: &Meters) {
        for sluicebox_delta::Unmet { column, rule, otherwise, rows } in self.unmet.drain(..) {
            meter.add_unmet(Expected { table: self.name.to_string(), column, rule, otherwise }, rows);
        }
    }

    /// Whether rows were handed downstream that another run has committed: which of its versions have them is not
    /// known here.
    pub fn is_overtaken(&self, committed: &sluicebox_delta::Committed) -> bool {
        committed.already && self.followers.iter().any(|follower| !follower.changes)
    }

    /// Hands the changes of a commit to the followers, and a barrier after them.
    pub fn hand_on(&mut self, committed: &sluicebox_delta::Committed, runtime: &Handle) -> Result<(), LakeError> {
        let version = committed.version;
        for mut follower in std::mem::take(&mut self.followers) {
            let own = match &committed.changes {
                // Rows of an append table were handed on as they were written.
                _ if !follower.changes => Some(&[][..]),
                // They are the changes of a table that records none.
                _ if !self.changes => None,
                // Another run made this commit. Its version is read like any other.
                _ if committed.already => None,
                // No change data was recorded; the files tell the changes.
                Changes::None => None,
                Changes::InMemory(rows) => Some(rows.as_slice()),
                Changes::Stored => None,
            };
            // Other processes commit too. Their versions are read like any other upstream rows.
            let last = if own.is_some() { version.checked_sub(1) } else { Some(version) };
            let mut there = runtime.block_on(self.read_on(&follower, last))?;
            for rows in own.unwrap_or_default() {
                there = there && follower.to.send(Flow::Rows(rows.clone()));
            }
            if there && follower.to.send(Flow::Barrier(version)) {
                follower.seen = Some(version);
                self.followers.push(follower);
            }
        }
        Ok(())
    }

    /// Reads the positions of this hop again, whichever host recorded them.
    pub async fn look_again(&mut self, app: &str) -> Result<(), LakeError> {
        self.table.refresh().await?;
        self.recorded = self.table.positions(&format!("{app}/")).await?;
        Ok(())
    }

    /// Hands the commits of other processes since the last call to the followers. Nothing may be pending.
    pub fn catch_up(&mut self, runtime: &Handle) -> Result<(), LakeError> {
        if self.followers.is_empty() {
            return Ok(());
        }
        runtime.block_on(self.table.refresh())?;
        let Some(version) = self.table.version() else { return Ok(()) };
        for mut follower in std::mem::take(&mut self.followers) {
            let there = runtime.block_on(self.read_on(&follower, Some(version)))?;
            let news = follower.seen < Some(version);
            if there && (!news || follower.to.send(Flow::Barrier(version))) {
                follower.seen = Some(version);
                self.followers.push(follower);
            }
        }
        Ok(())
    }

    /// Hands a follower the rows of the versions after the one it has read, up to `last`. Returns whether it still
    /// reads.
    async fn read_on(&self, follower: &Follower, last: Option<u64>) -> Result<bool, LakeError> {
        let Some(last) = last.filter(|last| Some(*last) > follower.seen) else { return Ok(true) };
        let mut added = match self.changes {
            true => self.table.changes_since(follower.seen).await?,
            false => self.table.followed_since(follower.seen, follower.on_deletes).await?,
        };
        while let Some(next) = added.try_next().await? {
            match next {
                Added::Rows { version, rows } if version <= last => {
                    // If the queue is full, this thread waits.
                    if !follower.to.send(Flow::Rows(rows)) {
                        return Ok(false);
                    }
                }
                Added::End { version } if version < last => {}
                _ => break,
            }
        }
        Ok(true)
    }

    /// Tells the followers that the hop ended well.
    pub fn end(&mut self) {
        for follower in self.followers.drain(..) {
            // A follower that is gone needs no end.
            let _ = follower.to.send(Flow::End);
        }
    }

    /// Discards what was written since the last commit.
    pub fn abandon(&mut self, runtime: &Handle) {
        self.unmet.clear();
        if let Some(writer) = self.writer.take() {
            runtime.block_on(writer.abandon());
        }
    }
}

/// Adds the hop and what it was doing to an error of the lake.
pub fn lake_error<E: Into<LakeError>>(hop: &str, doing: impl Into<String>) -> impl FnOnce(E) -> PipelineError {
    let (hop, doing) = (hop.to_owned(), doing.into());
    move |source| PipelineError::Lake { hop, doing, source: Box::new(source.into()) }
}
