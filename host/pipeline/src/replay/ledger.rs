//! The provenance of tables, read back from their logs: every commit of a hop, its inputs, and the tables that those
//! were made of, up to bronze.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::TryStreamExt;

use super::fault::ReplayError;
use crate::schedule;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{HopSpec, Layer, Plan, TableName, TableSpec, Upstream, WriteMode};
use sluicebox_delta::{CommitRecord, Step};
use sluicebox_lake::Lake;

/// Parses the text of a stored pipeline, named by its hash.
pub type ReadPlan<'a> = &'a dyn Fn(&str, String) -> Result<Plan, Box<dyn Fault>>;

/// The prefix of lanes of retried rows.
const RETRIED: &str = "#quarantine";

/// One commit of a hop.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The version of its table.
    pub version: u64,
    /// Its upstream table.
    pub upstream: TableName,
    /// The version of the upstream up to which rows were read.
    pub at: u64,
    /// The versions of the lookup tables.
    pub lookups: BTreeMap<TableName, u64>,
    /// The hop.
    pub hop: String,
    /// The pipeline as it was then.
    pub config_hash: String,
    /// The digest of the module, if there was one.
    pub module: Option<String>,
}

/// All commits to replay, and their inputs.
#[derive(Default)]
pub struct Ledger {
    /// The commits to replay of each table, by version.
    pub made: BTreeMap<TableName, BTreeMap<u64, Made>>,
    /// The needed versions of every table: inputs of commits, and those asked for.
    pub needs: BTreeMap<TableName, BTreeSet<u64>>,
    /// Tables whose rows are copied up to a version and not replayed.
    pub seeds: BTreeMap<TableName, u64>,
    /// Tables that sources are landed in.
    pub roots: BTreeSet<TableName>,
}

/// Reads logs, and the pipelines that they name.
pub struct Reader<'a> {
    lake: &'a Lake,
    read: ReadPlan<'a>,
    plans: HashMap<String, Arc<Plan>>,
}

impl<'a> Reader<'a> {
    /// A reader of this lake's logs.
    pub fn new(lake: &'a Lake, read: ReadPlan<'a>) -> Self {
        Self { lake, read, plans: HashMap::new() }
    }

    /// The pipeline of that hash, as it ran.
    pub async fn plan(&mut self, hash: &str) -> Result<Arc<Plan>, ReplayError> {
        if let Some(plan) = self.plans.get(hash) {
            return Ok(plan.clone());
        }
        let plan = super::artifacts::plan(self.lake, self.read, hash).await?;
        let plan = Arc::new(plan);
        self.plans.insert(hash.to_owned(), plan.clone());
        Ok(plan)
    }

    /// Everything that these versions depend on. With `from`, each table is copied up to that version and not
    /// replayed before it.
    pub async fn ledger(&mut self, targets: &[(TableName, u64)], from: Option<u64>) -> Result<Ledger, ReplayError> {
        let mut ledger = Ledger::default();
        let mut waiting: Vec<TableName> = Vec::new();
        for (table, version) in targets {
            ledger.needs.entry(table.clone()).or_default().insert(*version);
            if let Some(from) = from {
                ledger.seeds.insert(table.clone(), from);
            }
            waiting.push(table.clone());
        }
        while let Some(table) = waiting.pop() {
            if ledger.roots.contains(&table) {
                continue;
            }
            let Some(made) = self.table(&table, &ledger).await? else {
                ledger.roots.insert(table);
                continue;
            };
            for one in made.own.values().chain(&made.base) {
                // The upstream begins at the version that the copied rows were made of.
                let is_base = made.base.as_ref().is_some_and(|base| base.version == one.version);
                let tables =
                    [(&one.upstream, one.at)].into_iter().chain(one.lookups.iter().map(|(name, at)| (name, *at)));
                for (name, version) in tables {
                    let mut changed = !is_base && ledger.needs.entry(name.clone()).or_default().insert(version);
                    let begins = from.is_some() && (is_base || name != &one.upstream);
                    if begins && ledger.seeds.get(name).is_none_or(|seed| *seed > version) {
                        ledger.seeds.insert(name.clone(), version);
                        changed = true;
                    }
                    if changed && ledger.needs.contains_key(name) && !waiting.contains(name) {
                        waiting.push(name.clone());
                    }
                }
            }
            ledger.made.insert(table, made.own);
        }
        Ok(ledger)
    }

    /// The newest version of a table that was made of its upstream up to `at`.
    pub async fn version_at(&mut self, table: &TableName, at: u64) -> Result<Option<u64>, ReplayError> {
        let opened = self.lake.table(&TableSpec::new(table.clone(), WriteMode::Append)).await?;
        let mut history = opened.history().await?;
        while let Some(step) = history.try_next().await? {
            let Step::Commit(commit) = step else { break };
            if let What::Made(made) = self.made(table, &commit).await?
                && made.at <= at
            {
                return Ok(Some(made.version));
            }
        }
        Ok(None)
    }

    /// The commits of the needed versions of one table; `None` if a source is landed there.
    async fn table(&mut self, table: &TableName, ledger: &Ledger) -> Result<Option<History>, ReplayError> {
        if table.layer == Layer::Bronze {
            return Ok(None);
        }
        let needs = ledger.needs.get(table).cloned().unwrap_or_default();
        let seed = ledger.seeds.get(table).copied();
        let opened = self.lake.table(&TableSpec::new(table.clone(), WriteMode::Append)).await?;
        let Some(newest) = needs.last().copied() else { return Ok(Some(History::default())) };
        let mut found = History::default();
        // Whether a newer version needs earlier commits.
        let mut owed = false;
        let mut history = opened.history().await?;
        while let Some(step) = history.try_next().await? {
            let (first, last) = match &step {
                Step::Commit(commit) => (commit.version, commit.version),
                Step::Gone { first, last } => (*first, (*last).min(newest)),
            };
            if first > newest {
                continue;
            }
            if seed.is_some_and(|seed| last <= seed) {
                // Copied versions need no provenance, only their positions.
                let Step::Commit(commit) = step else { break };
                match self.made(table, &commit).await {
                    Ok(What::Made(made)) => found.base = Some(made),
                    Ok(What::Nothing) => continue,
                    Ok(What::Landed) => return Ok(None),
                    Err(_) => {}
                }
                break;
            }
            owed |= needs.range(first..=last).next().is_some();
            if !owed {
                if seed.is_none() && needs.range(..first).next().is_none() {
                    break;
                }
                continue;
            }
            let Step::Commit(commit) = step else {
                return Err(ReplayError::Gone { table: table.to_string(), first, last });
            };
            match self.made(table, &commit).await? {
                What::Landed => return Ok(None),
                What::Nothing => {}
                What::Made(made) => {
                    let plan = self.plan(&made.config_hash).await?;
                    let hop = plan.hops.iter().find(|hop| hop.name == made.hop);
                    // A commit of the whole does not depend on the commits before it.
                    owed = !hop.is_some_and(|hop| schedule::is_whole(&plan, hop));
                    found.own.insert(made.version, made);
                }
            }
        }
        Ok(Some(found))
    }

    /// The inputs of one commit.
    async fn made(&mut self, table: &TableName, commit: &CommitRecord) -> Result<What, ReplayError> {
        let foreign = || ReplayError::Foreign {
            table: table.to_string(),
            version: commit.version,
            engine: commit.engine.clone().unwrap_or_else(|| "nobody that says so".into()),
            operation: commit.operation.clone().unwrap_or_else(|| "no operation".into()),
        };
        let unsaid =
            |missing: String| ReplayError::Unsaid { table: table.to_string(), version: commit.version, missing };
        let (Some(pipeline), Some(name)) = (commit.made("pipeline"), commit.made("hop")) else {
            return if commit.data_change { Err(foreign()) } else { Ok(What::Nothing) };
        };
        let prefix = format!("{pipeline}/{name}/");
        let lanes: HashMap<&str, i64> =
            commit.transactions.iter().filter_map(|(app, at)| Some((app.strip_prefix(&prefix)?, *at))).collect();
        if lanes.is_empty() {
            return if commit.data_change { Err(foreign()) } else { Ok(What::Nothing) };
        }
        if lanes.keys().any(|lane| lane.starts_with(RETRIED)) {
            return Err(ReplayError::Retried { table: table.to_string(), version: commit.version });
        }
        let hash = commit.made("configHash").ok_or_else(|| unsaid("which configuration made it".into()))?;
        let plan = self.plan(hash).await?;
        let hop = plan.hops.iter().find(|hop| hop.name == name);
        let hop: &HopSpec = hop.ok_or_else(|| unsaid(format!("what hop `{name}` is, which its pipeline lacks")))?;
        let Upstream::Table(upstream) = &hop.from else {
            return Ok(What::Landed);
        };
        let version_of = |lane: &str| lanes.get(lane).and_then(|at| u64::try_from(*at).ok());
        let at = version_of(&upstream.to_string())
            .ok_or_else(|| unsaid(format!("which version of {upstream} it was made from")))?;
        let mut lookups = BTreeMap::new();
        for (_, lookup) in &hop.lookups {
            let name = lookup.to_string();
            let version = commit.maker["lookups"][&name].as_u64().or_else(|| version_of(&name));
            let version = version.ok_or_else(|| unsaid(format!("which version of {lookup} it looked rows up in")))?;
            lookups.insert(lookup.clone(), version);
        }
        Ok(What::Made(Made {
            version: commit.version,
            upstream: upstream.clone(),
            at,
            lookups,
            hop: name.to_owned(),
            config_hash: hash.to_owned(),
            module: commit.digest().map(str::to_owned),
        }))
    }
}

#[derive(Default)]
struct History {
    own: BTreeMap<u64, Made>,
    /// The newest commit among the copied versions.
    base: Option<Made>,
}

enum What {
    Made(Made),
    /// The table's rows come from a source.
    Landed,
    /// The commit has no rows: it created the table or rearranged its files.
    Nothing,
}
