//! What a run did, at its end.

use std::time::Duration;

use sluicebox_core::meter::{Expected, Meters};
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::module::HopModule;

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// How it ended.
    pub status: RunStatus,
    /// From its start to its end.
    pub elapsed: Duration,
    /// Every hop, in the order of the plan.
    pub hops: Vec<HopReport>,
    /// What went wrong.
    pub failures: Vec<PipelineError>,
    /// Hops that did not run because one above them failed.
    pub skipped: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Everything there was to do was done.
    Done,
    /// At least one hop stopped at an error.
    Failed,
    /// It was asked to stop, and stopped cleanly.
    Interrupted,
}

impl RunStatus {
    /// Its word in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What one hop did in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct HopReport {
    /// Its name.
    pub hop: String,
    /// The name of its module, if it has one.
    pub module: Option<String>,
    /// SHA-256 of its module, as lower-case hex.
    pub digest: Option<String>,
    /// Rows read from the upstream.
    pub rows_in: u64,
    /// Rows written to tables.
    pub rows_out: u64,
    /// Rows sent to quarantine.
    pub rows_rejected: u64,
    /// Commits made.
    pub commits: u64,
    /// Rows that did not fulfil an expectation, where there were any.
    pub expectations: Vec<(Expected, u64)>,
    /// What the module reported by `metric`, by name, where it did.
    pub metrics: Vec<(String, f64)>,
    /// How often another writer committed first, so that a commit was made again.
    pub conflicts: u64,
    /// The most bytes of rows that waited for the hop, or that it worked on, at one time.
    pub peak_in_flight_bytes: u64,
}

impl HopReport {
    /// What the counters of a hop say.
    pub(crate) fn new(hop: &str, module: Option<&HopModule>, meters: &Meters) -> Self {
        let counts = meters.read();
        Self {
            hop: hop.to_owned(),
            module: module.map(|module| module.descriptor.name.clone()),
            digest: module.map(|module| module.module.digest().to_owned()),
            rows_in: counts.rows_in,
            rows_out: counts.rows_out,
            rows_rejected: counts.rows_rejected,
            commits: counts.commits,
            expectations: meters.unmet(),
            metrics: meters.metrics(),
            conflicts: counts.conflicts,
            peak_in_flight_bytes: counts.peak_in_flight,
        }
    }
}
