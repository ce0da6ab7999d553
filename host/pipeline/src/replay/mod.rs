//! Replay: makes tables again from bronze, commit by commit, with the modules, configurations and positions that
//! their logs name, and compares them with the recorded ones.
//!
//! [`ledger`] reads the provenance from the logs. Each recorded commit then becomes a run of one hop, with its
//! configuration and its upstream pinned to the recorded versions, into a lake beside the real one. [`table_diff`]
//! compares the rows.

mod artifacts;
mod fault;
mod ledger;
mod rebuild;
mod table_diff;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

pub use artifacts::Artifacts;
pub use fault::ReplayError;
pub use ledger::ReadPlan;
pub use table_diff::{Sameness, Side};
pub(super) use table_diff::{hash_of, row_hashes};

use ledger::Reader;
use rebuild::Rebuild;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_lake::Lake;
use sluicebox_sandbox::Sandbox;

/// What to replay, and where.
pub struct Replay<'a> {
    /// The lake with the tables and their logs. Nothing is written to it.
    pub lake: &'a Lake,
    /// An empty lake for the replayed tables.
    pub into: &'a Lake,
    /// A folder for modules while they run.
    pub scratch: &'a Path,
    /// The hop whose tables are replayed.
    pub hop: &'a str,
    /// Its pipeline, if several have a hop of this name.
    pub pipeline: Option<&'a str>,
    /// The start; without it, the beginning.
    pub from: Option<Start>,
    /// Parses stored pipelines.
    pub read: ReadPlan<'a>,
    /// Runs the modules.
    pub sandbox: &'a Arc<Sandbox>,
    /// For I/O.
    pub runtime: &'a Handle,
}

/// The start of a replay. The rows up to it are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this version of the hop's table.
    Version(u64),
    /// After the newest version that was made of its upstream up to this one.
    Position(u64),
}

/// The outcome of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// The pipeline of the hop.
    pub pipeline: String,
    /// The replayed hops, upstream hops first.
    pub hops: Vec<String>,
    /// The number of replayed commits.
    pub commits: usize,
    /// Each table of the hop with the version that was compared.
    pub tables: Vec<(TableName, u64, Sameness)>,
    /// Modules that declare themselves not deterministic.
    pub not_deterministic: BTreeSet<String>,
}

impl Replayed {
    /// Whether every table came out the same.
    pub fn is_identical(&self) -> bool {
        self.tables.iter().all(|(_, _, sameness)| sameness.is_identical())
    }
}

/// Replays the tables of a hop and compares them. Blocks; modules run on their own threads.
///
/// # Errors
/// Why an exact replay is impossible, or why it failed.
pub fn replay(request: &Replay<'_>) -> Result<Replayed, ReplayError> {
    let runtime = request.runtime;
    if !runtime.block_on(request.into.tables())?.is_empty() {
        return Err(ReplayError::Occupied { into: request.into.location().to_owned() });
    }
    let (pipeline, targets) = runtime.block_on(targets(request))?;
    let mut reader = Reader::new(request.lake, request.read);
    let from = match request.from {
        Some(start) => Some(runtime.block_on(begin(&mut reader, &targets, start))?),
        None => None,
    };
    let ledger = runtime.block_on(reader.ledger(&targets, from))?;
    let mut rebuild = Rebuild::new(request, reader, &ledger);
    rebuild.run()?;
    let mut replayed = Replayed {
        pipeline,
        hops: rebuild.hops,
        commits: rebuild.commits,
        tables: Vec::new(),
        not_deterministic: rebuild.not_deterministic,
    };
    for (name, version) in targets {
        let sameness = runtime.block_on(async {
            let plain = TableSpec::new(name.clone(), WriteMode::Append);
            let recorded = request.lake.clone().pinned(&name, request.lake, version)?.table(&plain).await?;
            let again = request.into.table(&plain).await?;
            table_diff::compare(&recorded, &again).await
        })?;
        replayed.tables.push((name, version, sameness));
    }
    Ok(replayed)
}

/// The hop's pipeline, and its tables with their present versions.
async fn targets(request: &Replay<'_>) -> Result<(String, Vec<(TableName, u64)>), ReplayError> {
    let mut pipelines = BTreeSet::new();
    let mut targets = Vec::new();
    for (layer, name) in request.lake.tables().await? {
        let layers = [Layer::Bronze, Layer::Silver, Layer::Gold];
        let Some(layer) = layers.into_iter().find(|each| each.as_str() == layer) else { continue };
        let name = TableName { layer, name };
        let table = request.lake.table(&TableSpec::new(name.clone(), WriteMode::Append)).await?;
        let info = table.info().await?;
        let found: BTreeSet<String> = info
            .positions
            .iter()
            .filter_map(|(app, _)| {
                let mut parts = app.splitn(3, '/');
                let (pipeline, hop) = (parts.next()?, parts.next()?);
                let asked = hop == request.hop && request.pipeline.is_none_or(|name| name == pipeline);
                asked.then(|| pipeline.to_owned())
            })
            .collect();
        if !found.is_empty() {
            targets.push((name, info.version));
            pipelines.extend(found);
        }
    }
    let hop = request.hop.to_owned();
    if pipelines.len() > 1 {
        return Err(ReplayError::Ambiguous { hop, pipelines: pipelines.into_iter().collect() });
    }
    let Some(pipeline) = pipelines.pop_first() else { return Err(ReplayError::NoHop { hop }) };
    if let Some((table, _)) = targets.iter().find(|(table, _)| table.layer == Layer::Bronze) {
        return Err(ReplayError::Landing { hop, table: table.to_string() });
    }
    Ok((pipeline, targets))
}

/// The version of the hop's table after which the replay begins.
async fn begin(reader: &mut Reader<'_>, targets: &[(TableName, u64)], start: Start) -> Result<u64, ReplayError> {
    let [(table, newest)] = targets else {
        let table = targets.first().map_or_else(String::new, |(table, _)| table.to_string());
        let reason = "its hop writes several tables, which have versions of their own".to_owned();
        return Err(ReplayError::From { table, from: start.to_string(), reason });
    };
    let refuse = |reason: String| ReplayError::From { table: table.to_string(), from: start.to_string(), reason };
    match start {
        Start::Version(version) if version > *newest => Err(refuse(format!("it is at version {newest}"))),
        Start::Version(version) => Ok(version),
        Start::Position(at) => match reader.version_at(table, at).await? {
            Some(version) if version < *newest => Ok(version),
            Some(_) => Err(refuse("nothing of it was made of more".to_owned())),
            None => Err(refuse("no version that its log still has was made of so little".to_owned())),
        },
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Position(at) => write!(f, "position {at}"),
        }
    }
}
