//! The report of a run.

use std::time::Duration;

use sluicebox_core::left_out::LeftOut;
use sluicebox_core::meter::{Expected, Meters};
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::module::HopModule;

/// The report of a run.
#[derive(Debug)]
pub struct RunReport {
    /// Its status.
    pub status: RunStatus,
    /// Its duration.
    pub elapsed: Duration,
    /// Every hop, in the order of the plan.
    pub hops: Vec<HopReport>,
    /// Its failures.
    pub failures: Vec<PipelineError>,
    /// Hops that did not run because a hop upstream failed.
    pub skipped: Vec<String>,
}

/// The status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Everything was done.
    Done,
    /// At least one hop stopped at an error.
    Failed,
    /// It was stopped, and stopped cleanly.
    Interrupted,
}

impl RunStatus {
    /// Its name in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The report of one hop.
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
    /// Rows that did not fulfil an expectation, if any.
    pub expectations: Vec<(Expected, u64)>,
    /// The metrics of the module, by name, if any.
    pub metrics: Vec<(String, f64)>,
    /// Files that its source was asked for and left out.
    pub left_out: LeftOut,
    /// How often a commit was retried because another writer committed first.
    pub conflicts: u64,
    /// The most bytes of rows that ever waited for the hop or that it worked on.
    pub peak_in_flight_bytes: u64,
}

impl HopReport {
    /// The report from the counters of a hop.
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
            left_out: meters.left_out(),
            conflicts: counts.conflicts,
            peak_in_flight_bytes: counts.peak_in_flight,
        }
    }
}
