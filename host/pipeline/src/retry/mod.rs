//! Retries rows from quarantine exactly once, through the stage that rejected them: the source's decoder, the module
//! or the table, as these are now.
//!
//! The tables commit first, in their own lane (`#quarantine`, or `#quarantine/<reason>`) whose position is the
//! quarantine's version. Then one commit with the same position removes the rows from the quarantine and adds those
//! rejected again. After a crash in between, tables are ahead of the quarantine. The next retry sees that and
//! finishes it first, with the module and configuration that began it.

mod attempt;
mod fault;
mod net_changes;
mod outputs;
mod typed;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use tokio::runtime::Handle;

pub use fault::RetryError;

use super::PipelineError;
use super::bind::{Bound, bind, upstream_schema};
use super::lookup::Lookups;
use super::replay::{Artifacts, ReadPlan};
use super::schedule;
use attempt::Attempt;
use sluicebox_core::batch::Lane;
use sluicebox_core::plan::{HopSpec, Plan, TableName};
use sluicebox_delta::Step;
use sluicebox_lake::Lake;
use sluicebox_sandbox::{Sandbox, on_guest_thread};

/// The lane of retried rows.
const LANE: &str = "#quarantine";

/// What to retry, and with what.
pub struct Retry<'a> {
    /// The pipeline as it is now.
    pub plan: &'a Plan,
    /// Its modules and columns.
    pub bound: &'a Bound,
    /// The lake.
    pub lake: &'a Lake,
    /// Runs the modules.
    pub sandbox: &'a Arc<Sandbox>,
    /// A folder for modules while they run.
    pub scratch: &'a Path,
    /// Parses stored pipelines, to finish an interrupted retry.
    pub read: ReadPlan<'a>,
    /// For I/O.
    pub runtime: &'a Handle,
    /// The hop.
    pub hop: &'a str,
    /// Only rows rejected for this reason.
    pub reason: Option<&'a str>,
}

/// The outcome of one retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// The requested reason.
    pub reason: Option<String>,
    /// The version of the quarantine whose rows were retried.
    pub version: u64,
    /// An earlier retry began it and was interrupted.
    pub finished: bool,
    /// Rows that were tried.
    pub rows: u64,
    /// The rows written to each table.
    pub taken: Vec<(TableName, u64)>,
    /// Rows rejected again.
    pub refused: u64,
    /// Rows that cannot be retried, by reason; they stay in quarantine.
    pub left: Vec<(String, u64)>,
}

/// Retries rows of a hop's quarantine, after finishing interrupted retries. Blocks.
///
/// # Errors
/// Why the retry is refused, or why it failed.
pub fn retry(request: &Retry<'_>) -> Result<Vec<Retried>, RetryError> {
    let plan = request.plan;
    let Some(hop) = plan.hops.iter().find(|hop| hop.name == request.hop) else {
        let hops = plan.hops.iter().map(|hop| hop.name.clone()).collect();
        return Err(RetryError::NoHop { hop: request.hop.to_owned(), hops });
    };
    if schedule::is_whole(plan, hop) {
        return Err(RetryError::Whole { hop: hop.name.clone() });
    }
    let mut retried = Vec::new();
    for (lane, version) in request.runtime.block_on(unfinished(request, hop))? {
        retried.push(finish(request, hop, lane, version)?);
    }
    let quarantine = request.runtime.block_on(request.lake.quarantine(&hop.name))?;
    if let Some(version) = quarantine.version() {
        let lane = match request.reason {
            None => LANE.to_owned(),
            Some(reason) => format!("{LANE}/{reason}"),
        };
        let attempt = prepare(request, plan, request.bound, hop, lane.into(), version)?;
        retried.extend(work(&hop.name, attempt)?);
    }
    Ok(retried)
}

/// Lanes in which a table is ahead of the quarantine.
async fn unfinished(request: &Retry<'_>, hop: &HopSpec) -> Result<BTreeSet<(Lane, u64)>, RetryError> {
    let prefix = format!("{}/{}/", request.plan.name, hop.name);
    let done = request.lake.quarantine(&hop.name).await?.positions(&prefix).await?;
    let mut found = BTreeSet::new();
    for spec in hop.to.iter().filter_map(|(_, table)| request.plan.table(table)) {
        let recorded = request.lake.table(spec).await?.positions(&prefix).await?;
        let lanes = recorded.iter().filter(|(lane, _)| &***lane == LANE || lane.starts_with("#quarantine/"));
        for (lane, at) in lanes.filter(|(lane, at)| done.get(lane) < Some(*at)) {
            found.insert((lane.clone(), at.unsigned_abs()));
        }
    }
    Ok(found)
}

/// Finishes an interrupted retry with its own module and configuration: a row that one table accepted then must not
/// be rejected now.
fn finish(request: &Retry<'_>, hop: &HopSpec, lane: Lane, version: u64) -> Result<Retried, RetryError> {
    let begun = request.runtime.block_on(begun_with(request, hop, &lane, version))?;
    let present = request.bound.modules.get(&hop.name).map(|module| module.module.digest());
    let attempt = match begun {
        Some((hash, digest)) if hash != request.plan.config_hash || digest.as_deref() != present => {
            let unfinished = |source| RetryError::Unfinished(Box::new(source));
            let kept = Artifacts {
                lake: request.lake,
                read: request.read,
                scratch: request.scratch,
                runtime: request.runtime,
            };
            let plan = kept.plan(&hash).map_err(unfinished)?;
            let hop = kept.hop(&plan, &hop.name, digest.as_deref()).map_err(unfinished)?;
            let plan = Plan { hops: vec![hop.clone()], ..plan };
            let bound = bind(&plan, request.sandbox, request.lake, request.runtime).map_err(first)?;
            prepare(request, &plan, &bound, &hop, lane, version)?
        }
        _ => prepare(request, request.plan, request.bound, hop, lane, version)?,
    };
    let retried = work(&hop.name, attempt)?;
    // If there were no row to retry, no table would be ahead.
    Ok(retried.map_or_else(
        || Retried { reason: None, version, finished: true, rows: 0, taken: Vec::new(), refused: 0, left: Vec::new() },
        |retried| Retried { finished: true, ..retried },
    ))
}

/// The configuration and module of the commits that an interrupted retry made.
async fn begun_with(
    request: &Retry<'_>,
    hop: &HopSpec,
    lane: &Lane,
    version: u64,
) -> Result<Option<(String, Option<String>)>, RetryError> {
    let app = format!("{}/{}/{lane}", request.plan.name, hop.name);
    for spec in hop.to.iter().filter_map(|(_, table)| request.plan.table(table)) {
        let table = request.lake.table(spec).await?;
        if table.version().is_none() {
            continue;
        }
        let mut history = table.history().await?;
        while let Some(step) = history.try_next().await? {
            if let Step::Commit(commit) = step
                && commit.transactions.iter().any(|(other, at)| *other == app && *at == version as i64)
                && let Some(hash) = commit.made("configHash")
            {
                return Ok(Some((hash.to_owned(), commit.digest().map(str::to_owned))));
            }
        }
    }
    Ok(None)
}

fn prepare(
    request: &Retry<'_>,
    plan: &Plan,
    bound: &Bound,
    hop: &HopSpec,
    lane: Lane,
    version: u64,
) -> Result<Attempt, RetryError> {
    let module = bound.modules.get(&hop.name).cloned();
    if let Some(module) = &module
        && (module.descriptor.stateful || !module.descriptor.row_preserving)
    {
        let module = module.descriptor.name.clone();
        return Err(RetryError::NotByRow { hop: hop.name.clone(), module });
    }
    let names: Vec<_> = hop.lookups.iter().map(|(_, table)| table.clone()).collect();
    let memory = hop.module.as_ref().map_or(0, |module| module.limits.memory);
    let lookups = request.runtime.block_on(Lookups::read(request.lake, plan, &hop.name, &names, memory))?;
    let reason = lane.strip_prefix("#quarantine/").map(str::to_owned);
    let (upstream, decoded) = match upstream_schema(plan, hop, bound, request.runtime)? {
        Some(incoming) => (Some(incoming.rows), incoming.decoded),
        None => (None, None),
    };
    Ok(Attempt {
        plan: plan.clone(),
        hop: hop.clone(),
        module,
        upstream,
        decoded,
        schemas: bound.schemas.clone(),
        existing: bound.existing.clone(),
        lookups,
        lake: request.lake.clone(),
        runtime: request.runtime.clone(),
        lane,
        version,
        reason,
    })
}

fn work(hop: &str, attempt: Attempt) -> Result<Option<Retried>, RetryError> {
    on_guest_thread(&format!("retry-{hop}"), || attempt.run())
        .map_err(|source| PipelineError::Thread { hop: hop.to_owned(), source })?
}

fn first(mut problems: Vec<PipelineError>) -> RetryError {
    RetryError::Pipeline(Box::new(problems.swap_remove(0)))
}
