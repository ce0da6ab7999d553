//! Replays recorded commits, one after another, in a lake of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::Replay;
use super::artifacts::Artifacts;
use super::fault::ReplayError;
use super::ledger::{Ledger, Made, Reader};
use crate::bind::bind;
use crate::events::Listener;
use crate::run::Run;
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::{Flush, HopSpec, Plan, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Commit, Provenance};
use sluicebox_lake::{Lake, LakeError};

/// A flush that never comes: the run of a recorded commit ends with its upstream.
const AT_THE_END: Flush = Flush { rows: u64::MAX, bytes: u64::MAX, time: Duration::from_secs(365 * 24 * 60 * 60) };

/// Replays every commit of a ledger.
pub struct Rebuild<'a> {
    request: &'a Replay<'a>,
    reader: Reader<'a>,
    ledger: &'a Ledger,
    /// For each table, the recorded versions and the replayed versions that correspond to them.
    versions: HashMap<TableName, BTreeMap<u64, u64>>,
    /// Whether the output of a module depends on rows alone and not on where commits end, by configuration, hop and
    /// digest.
    by_rows: HashMap<(String, String), bool>,
    /// The replayed hops.
    pub hops: Vec<String>,
    /// The number of replayed commits.
    pub commits: usize,
    /// Modules that declare themselves not deterministic.
    pub not_deterministic: BTreeSet<String>,
}

impl<'a> Rebuild<'a> {
    /// A rebuild of this ledger.
    pub fn new(request: &'a Replay<'a>, reader: Reader<'a>, ledger: &'a Ledger) -> Self {
        Self {
            request,
            reader,
            ledger,
            versions: HashMap::new(),
            by_rows: HashMap::new(),
            hops: Vec::new(),
            commits: 0,
            not_deterministic: BTreeSet::new(),
        }
    }

    /// Replays every table, each after its inputs.
    pub fn run(&mut self) -> Result<(), ReplayError> {
        let mut done = BTreeSet::new();
        for table in order(self.ledger)? {
            if done.contains(&table) {
                continue;
            }
            let together = self.together(&table)?;
            for table in &together {
                if let Some(seed) = self.ledger.seeds.get(table) {
                    self.seed(table, *seed)?;
                }
            }
            self.tables(&together)?;
            done.extend(together);
        }
        Ok(())
    }

    /// A table and the other tables of its hop.
    fn together(&self, table: &TableName) -> Result<Vec<TableName>, ReplayError> {
        let hops = |table: &TableName| -> BTreeSet<&str> {
            self.ledger.made.get(table).into_iter().flat_map(BTreeMap::values).map(|made| made.hop.as_str()).collect()
        };
        let own = hops(table);
        let mut tables: Vec<TableName> =
            self.ledger.made.keys().filter(|other| !hops(other).is_disjoint(&own)).cloned().collect();
        if tables.is_empty() {
            tables.push(table.clone());
        }
        if tables.len() > 1 && tables.iter().any(|table| hops(table).len() > 1) {
            return Err(ReplayError::Tangled { table: table.to_string() });
        }
        Ok(tables)
    }

    /// Replays the commits of tables that one hop writes, or of one table that several hops write.
    fn tables(&mut self, tables: &[TableName]) -> Result<(), ReplayError> {
        let ledger = self.ledger;
        let mut steps: Vec<(&TableName, &Made)> = tables
            .iter()
            .flat_map(|table| {
                ledger.made.get(table).into_iter().flat_map(BTreeMap::values).map(move |made| (table, made))
            })
            .collect();
        if tables.len() > 1 {
            // One hop commits to its tables one after another, with the same positions.
            steps.sort_by_key(|(_, made)| made.at);
        }
        let needed =
            |table: &TableName, version: u64| ledger.needs.get(table).is_some_and(|needs| needs.contains(&version));
        let mut waiting: Vec<(&TableName, &Made)> = Vec::new();
        for (index, (table, made)) in steps.iter().copied().enumerate() {
            waiting.push((table, made));
            let next = steps.get(index + 1).map(|(_, next)| *next);
            if let Some(next) = next
                && like(next, made)
                && (next.at == made.at || (!needed(table, made.version) && self.may_join(made)?))
            {
                continue;
            }
            self.step(made)?;
            for (table, made) in waiting.drain(..) {
                let spec = TableSpec::new(table.clone(), WriteMode::Append);
                let again = self.request.runtime.block_on(self.request.into.table(&spec))?;
                let version = again.version().unwrap_or_default();
                self.versions.entry(table.clone()).or_default().insert(made.version, version);
            }
        }
        Ok(())
    }

    /// Whether commits of this hop may be merged into one: rows are only inserted or replaced by key, and nothing
    /// depends on where one commit ended.
    fn may_join(&mut self, made: &Made) -> Result<bool, ReplayError> {
        let key = (made.config_hash.clone(), made.hop.clone());
        if let Some(known) = self.by_rows.get(&key) {
            return Ok(*known);
        }
        let plan = self.plan(&made.config_hash)?;
        let hop = self.hop(&plan, made)?;
        let plain = hop.to.iter().all(|(_, table)| {
            plan.table(table).is_some_and(|table| {
                let simple = matches!(table.mode, WriteMode::Append | WriteMode::Upsert { delete_when: None, .. });
                simple && !table.changes && table.expect.is_empty()
            })
        });
        let added = plan.table(&made.upstream).is_none_or(|table| table.mode == WriteMode::Append);
        let by_rows = match &hop.module {
            None => true,
            Some(_) => {
                let failed = |source| ReplayError::Pipeline(Box::new(source));
                let mut loader = crate::module::Loader::new(self.request.sandbox);
                let loaded = loader.load(&hop).map_err(failed)?;
                loaded.is_some_and(|loaded| loaded.descriptor.row_preserving && !loaded.descriptor.stateful)
            }
        };
        let may = plain && added && by_rows;
        self.by_rows.insert(key, may);
        Ok(may)
    }

    fn plan(&mut self, hash: &str) -> Result<Arc<Plan>, ReplayError> {
        self.request.runtime.block_on(self.reader.plan(hash))
    }

    /// The hop as configured then, with its stored module.
    fn hop(&self, plan: &Plan, made: &Made) -> Result<HopSpec, ReplayError> {
        let Replay { lake, read, scratch, runtime, .. } = *self.request;
        let kept = Artifacts { lake, read, scratch, runtime };
        Ok(HopSpec { flush: AT_THE_END, ..kept.hop(plan, &made.hop, made.module.as_deref())? })
    }

    /// Runs a hop up to the end of one recorded commit.
    fn step(&mut self, made: &Made) -> Result<(), ReplayError> {
        let whole = self.plan(&made.config_hash)?;
        let hop = self.hop(&whole, made)?;
        let mut tables: Vec<TableSpec> = whole.tables.clone();
        for table in &mut tables {
            // A replay does no maintenance.
            table.upkeep.every = None;
        }
        let plan = Plan { hops: vec![hop], sources: Vec::new(), tables, ..(*whole).clone() };
        let read = [(&made.upstream, made.at)].into_iter().chain(made.lookups.iter().map(|(name, at)| (name, *at)));
        let mut lake = self.request.into.clone();
        for (table, version) in read {
            let (from, version) = self.again(table, version);
            lake = lake.pinned(table, from, version)?;
        }
        let bound = bind(&plan, self.request.sandbox, &lake, self.request.runtime)
            .map_err(|mut problems| ReplayError::Pipeline(Box::new(problems.swap_remove(0))))?;
        for module in bound.modules.values().filter(|module| !module.descriptor.deterministic) {
            self.not_deterministic.insert(module.descriptor.name.clone());
        }
        let run = Run {
            plan: Arc::new(plan),
            bound: Arc::new(bound),
            lake,
            meters: vec![Arc::new(Meters::default())],
            listener: Listener::default(),
            runtime: self.request.runtime.clone(),
            stop: CancellationToken::new(),
            follow: false,
        };
        if let Some(failure) = run.run().failures.into_iter().next() {
            return Err(failure.into());
        }
        self.commits += 1;
        if !self.hops.contains(&made.hop) {
            self.hops.push(made.hop.clone());
        }
        Ok(())
    }

    /// The lake and version that a recorded version is read from: the real lake for bronze, the replayed one for
    /// others.
    fn again(&self, table: &TableName, version: u64) -> (&'a Lake, u64) {
        if self.ledger.roots.contains(table) {
            return (self.request.lake, version);
        }
        let became = self.versions.get(table).and_then(|versions| versions.range(..=version).next_back());
        // Before its first commit the table existed and was empty.
        (self.request.into, became.map_or(0, |(_, version)| *version))
    }

    /// Copies a table as of a version, rows and positions, to begin its replay there.
    fn seed(&mut self, name: &TableName, version: u64) -> Result<(), ReplayError> {
        let lake = self.request.lake.clone().pinned(name, self.request.lake, version)?;
        let plain = TableSpec::new(name.clone(), WriteMode::Append);
        let runtime = self.request.runtime;
        let recorded = runtime.block_on(lake.table(&plain))?;
        let info = runtime.block_on(recorded.info())?;
        let Some(schema) = recorded.schema() else { return Ok(()) };
        let mut apps: BTreeMap<String, Vec<(Lane, i64)>> = BTreeMap::new();
        for (app, at) in &info.positions {
            let mut parts = app.splitn(3, '/');
            let (Some(pipeline), Some(hop), Some(lane)) = (parts.next(), parts.next(), parts.next()) else { continue };
            apps.entry(format!("{pipeline}/{hop}")).or_default().push((Lane::from(lane), self.moved(lane, *at)));
        }
        let spec =
            self.ledger.made.get(name).and_then(|made| made.values().next()).map(|made| made.config_hash.clone());
        let spec = match spec {
            Some(hash) => self.plan(&hash)?.table(name).cloned(),
            None => None,
        };
        let spec = TableSpec { partition_by: info.partition_by, ..spec.unwrap_or(plain) };
        let mut table = runtime.block_on(self.request.into.table(&spec))?.rewritten();
        runtime.block_on(table.create(&schema, Provenance::default()))?;
        let mut rows = runtime.block_on(recorded.scan(None))?;
        let mut writer = runtime.block_on(table.begin())?;
        while let Some(batch) = runtime.block_on(rows.try_next())? {
            writer.write(&batch)?;
        }
        let mut apps = apps.into_iter();
        let (app, lanes) = apps.next().unwrap_or_default();
        let commit = |app, lanes: Vec<_>| Commit {
            app,
            positions: lanes.into_iter().collect::<Positions>(),
            ..Commit::default()
        };
        let mut version_now = runtime.block_on(table.commit(writer, commit(app, lanes)))?.version;
        // Positions of further hops; their rows are in the commit before.
        let mut table = runtime.block_on(self.request.into.table(&TableSpec { mode: WriteMode::Append, ..spec }))?;
        for (app, lanes) in apps {
            let commit = commit(app, lanes);
            version_now = runtime.block_on(async {
                let writer = table.begin().await?;
                Ok::<_, LakeError>(table.commit(writer, commit).await?.version)
            })?;
        }
        self.versions.entry(name.clone()).or_default().insert(version, version_now);
        Ok(())
    }

    /// Maps a recorded position to the replayed version if its lane is a replayed table.
    fn moved(&self, lane: &str, at: i64) -> i64 {
        let table = self.versions.keys().find(|table| table.to_string() == lane);
        match (table, u64::try_from(at)) {
            (Some(table), Ok(version)) => self.again(table, version).1 as i64,
            _ => at,
        }
    }
}

/// Whether both commits have the same code and the same lookup versions.
fn like(one: &Made, other: &Made) -> bool {
    (&one.hop, &one.config_hash, &one.module, &one.lookups, &one.upstream)
        == (&other.hop, &other.config_hash, &other.module, &other.lookups, &other.upstream)
}

/// The tables to replay, each after its inputs.
fn order(ledger: &Ledger) -> Result<Vec<TableName>, ReplayError> {
    let mut done = Vec::new();
    let mut open = Vec::new();
    for table in ledger.made.keys() {
        visit(ledger, table, &mut open, &mut done)?;
    }
    Ok(done)
}

fn visit(
    ledger: &Ledger,
    table: &TableName,
    open: &mut Vec<TableName>,
    done: &mut Vec<TableName>,
) -> Result<(), ReplayError> {
    let Some(made) = ledger.made.get(table).filter(|_| !done.contains(table)) else { return Ok(()) };
    if open.contains(table) {
        return Err(ReplayError::Circle { table: table.to_string() });
    }
    open.push(table.clone());
    for made in made.values() {
        for below in [&made.upstream].into_iter().chain(made.lookups.keys()) {
            visit(ledger, below, open, done)?;
        }
    }
    open.pop();
    done.push(table.clone());
    Ok(())
}
