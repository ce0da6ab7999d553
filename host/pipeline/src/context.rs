//! The context of a hop: its part of the plan, its counters and its runtime.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::events::Listener;
use super::landing::Landing;
use super::module::HopModule;
use super::schedule::{self, Taking};
use sluicebox_core::columns::SystemNames;
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::{HopSpec, Plan, Upstream};
use sluicebox_delta::Provenance;
use sluicebox_sandbox as transform;
use sluicebox_sources::capabilities;

/// What a hop needs from its run.
pub struct HopContext {
    /// The hop.
    pub spec: HopSpec,
    /// `<pipeline>/<hop>`, the first parts of its `txn` application ids.
    pub app: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The plan's hash, for the commit's provenance.
    pub config_hash: String,
    /// Its counters.
    pub meter: Arc<Meters>,
    /// Who hears of its commits.
    pub listener: Listener,
    /// For the I/O of sources and tables.
    pub runtime: Handle,
    /// What the hop reads from its upstream.
    pub taking: Taking,
    /// What the columns of its source are called.
    pub landing: Landing,
    /// What the host's own columns are called.
    pub system: SystemNames,
    /// Whether files that were read to their end are kept beside the table.
    pub keep_files: bool,
}

impl HopContext {
    /// The context of one hop of a plan.
    pub fn new(plan: &Plan, spec: &HopSpec, meter: Arc<Meters>, listener: Listener, runtime: Handle) -> Self {
        Self {
            spec: spec.clone(),
            app: format!("{}/{}", plan.name, spec.name),
            pipeline: plan.name.clone(),
            config_hash: plan.config_hash.clone(),
            meter,
            listener,
            runtime,
            taking: schedule::taking(plan, spec),
            landing: Landing::of(plan, spec),
            system: plan.system.clone(),
            keep_files: match &spec.from {
                Upstream::Source(name) => plan.source(name).is_some_and(|source| capabilities(source).keeps_files),
                Upstream::Table(_) => false,
            },
        }
    }

    /// The provenance of this hop's commits, without row counts.
    pub fn provenance(&self, module: Option<&HopModule>) -> Provenance {
        Provenance {
            pipeline: self.pipeline.clone(),
            hop: self.spec.name.clone(),
            config_hash: self.config_hash.clone(),
            module: module.map(|module| (module.descriptor.name.clone(), module.module.digest().to_owned())),
            contract: module.map(|_| transform::CONTRACT.to_owned()),
            ..Provenance::default()
        }
    }

    /// Whether the hop reads its whole upstream and makes one commit of it.
    pub fn whole(&self) -> bool {
        self.taking.is_whole()
    }

    /// The name of the upstream. For a table it is also the lane.
    pub fn upstream(&self) -> String {
        match &self.spec.from {
            Upstream::Source(name) => name.clone(),
            Upstream::Table(name) => name.to_string(),
        }
    }
}
