//! A pipeline, bound to its modules and its lake, for running, planning and retrying.

use std::sync::Arc;

use crate::error::NotStarted;
use crate::service::{Service, open_lake};
use sluicebox_config::Loaded;
use sluicebox_lake::Lake;
use sluicebox_pipeline::bind::{Bound, bind};

/// A plan, bound to its modules and its lake.
pub struct Session {
    /// The file as it was read.
    pub loaded: Loaded,
    /// The lake's location as requested.
    pub location: String,
    /// The lake.
    pub lake: Lake,
    /// The modules and the tables' columns.
    pub bound: Arc<Bound>,
}

/// The number of parts of a pipeline that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its sources.
    pub sources: usize,
    /// Its hops.
    pub hops: usize,
    /// The hops with a module.
    pub modules: usize,
    /// Its tables.
    pub tables: usize,
}

impl Session {
    /// Opens the lake at `location`, loads and describes every module, and matches its ports with the columns of the
    /// tables around it. Writes nothing. Blocks.
    ///
    /// # Errors
    /// The lake or the sandbox cannot be opened, or all problems of the pipeline.
    pub fn open(service: &Service, loaded: Loaded, location: String) -> Result<Self, NotStarted> {
        let sandbox = service.sandbox()?;
        let lake = open_lake(&location)?;
        match bind(&loaded.plan, &sandbox, &lake, service.handle()) {
            Ok(bound) => Ok(Self { loaded, location, lake, bound: Arc::new(bound) }),
            Err(problems) => Err(NotStarted::Unbound { loaded: Box::new(loaded), problems }),
        }
    }

    /// What was checked.
    pub fn checked(&self) -> Checked {
        let plan = &self.loaded.plan;
        Checked {
            sources: plan.sources.len(),
            hops: plan.hops.len(),
            modules: self.bound.modules.len(),
            tables: plan.tables.len(),
        }
    }
}
