//! Pipelines and modules from the artifacts of the lake, ready to run again.

use std::fs;
use std::path::Path;

use tokio::runtime::Handle;

use super::fault::ReplayError;
use super::ledger::ReadPlan;
use sluicebox_core::plan::{HopSpec, Plan};
use sluicebox_lake::Lake;

/// The artifacts of a lake.
pub struct Artifacts<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// Reads the text of a pipeline.
    pub read: ReadPlan<'a>,
    /// A folder for modules while they run.
    pub scratch: &'a Path,
    /// For I/O.
    pub runtime: &'a Handle,
}

impl Artifacts<'_> {
    /// The pipeline with that hash.
    ///
    /// # Errors
    /// It is missing, or has been changed.
    pub fn plan(&self, hash: &str) -> Result<Plan, ReplayError> {
        self.runtime.block_on(plan(self.lake, self.read, hash))
    }

    /// A hop of a pipeline, with the module of that digest.
    ///
    /// # Errors
    /// The pipeline has no such hop, or the module is missing.
    pub fn hop(&self, plan: &Plan, name: &str, digest: Option<&str>) -> Result<HopSpec, ReplayError> {
        let lacks = |missing: String| ReplayError::Lacks { hash: plan.config_hash.clone(), missing };
        let mut hop =
            plan.hops.iter().find(|hop| hop.name == name).cloned().ok_or_else(|| lacks(format!("a hop `{name}`")))?;
        match (&mut hop.module, digest) {
            (None, None) => {}
            (Some(module), Some(digest)) => {
                let path = self.scratch.join(format!("{digest}.wasm"));
                if !path.exists() {
                    let component = self.runtime.block_on(self.lake.module(digest))?;
                    fs::write(&path, component)
                        .map_err(|source| ReplayError::Io { path: path.display().to_string(), source })?;
                }
                module.path = path;
            }
            (Some(_), None) => return Err(lacks(format!("a hop `{name}` without a module"))),
            (None, Some(_)) => return Err(lacks(format!("a module in hop `{name}`"))),
        }
        Ok(hop)
    }
}

/// The pipeline with that hash.
pub(super) async fn plan(lake: &Lake, read: ReadPlan<'_>, hash: &str) -> Result<Plan, ReplayError> {
    let text = lake.pipeline(hash).await?;
    let plan = read(hash, text).map_err(|error| {
        let hint = error.hint();
        ReplayError::Artifacts { hash: hash.to_owned(), source: error, hint }
    })?;
    if plan.config_hash != hash {
        return Err(ReplayError::Changed { hash: hash.to_owned(), found: plan.config_hash });
    }
    Ok(plan)
}
