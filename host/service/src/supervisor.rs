//! The supervisor: runs a pipeline once to the end of its sources, or again and again until it is stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::event::{Event, Events};
use crate::progress::Ticker;
use crate::report::{HopReport, RunReport, RunStatus};
use crate::service::Service;
use crate::session::Session;
use sluicebox_core::fault::{Fault, Remedy, in_one_line};
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::Plan;
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::events::Listener;
use sluicebox_pipeline::run::{Outcome, Run};

/// How long a following run waits before it looks for new rows.
const POLL: Duration = Duration::from_secs(2);

/// How often a following run starts again after failures that may pass by themselves, without a period in between in
/// which all went well.
const TRIES: u32 = 10;

/// The length of that period.
const SETTLED: Duration = Duration::from_secs(60);

/// What to run, and how.
#[derive(Clone, Copy)]
pub struct RunRequest<'a> {
    /// The pipeline with its lake.
    pub session: &'a Session,
    /// Whether to continue: to look for new rows every two seconds, to follow streams for ever, and to start again
    /// after failures that may pass by themselves.
    pub follow: bool,
}

/// Runs a pipeline until it is done, has failed, or `shutdown` is cancelled; then pending commits are finished. Sends
/// `events`. Blocks. Failures are in the report.
pub fn run(service: &Service, request: RunRequest<'_>, events: &Events, shutdown: &CancellationToken) -> RunReport {
    let started = Instant::now();
    let plan = Arc::new(request.session.loaded.plan.clone());
    let meters: Vec<Arc<Meters>> = plan.hops.iter().map(|_| Arc::default()).collect();
    let hops: Vec<String> = plan.hops.iter().map(|hop| hop.name.clone()).collect();
    events.send(Event::Started { pipeline: plan.name.clone(), hops: hops.clone() });
    let ticker = match events.is_heard() {
        // Without a thread for progress the run is as good.
        true => Ticker::start(hops.into_iter().zip(meters.iter().cloned()).collect(), events.clone()).ok(),
        false => None,
    };
    let supervisor = Supervisor { service, request, plan, meters, events, shutdown };
    let outcome = supervisor.supervise();
    if let Some(ticker) = ticker {
        ticker.finish();
    }
    let report = supervisor.report(outcome, started.elapsed());
    events.send(Event::Ended { status: report.status });
    report
}

struct Supervisor<'a> {
    service: &'a Service,
    request: RunRequest<'a>,
    plan: Arc<Plan>,
    /// One per hop; they count over all passes.
    meters: Vec<Arc<Meters>>,
    events: &'a Events,
    shutdown: &'a CancellationToken,
}

impl Supervisor<'_> {
    /// Runs passes over the pipeline until there is a reason to end.
    fn supervise(&self) -> Outcome {
        let mut attempts = 0;
        loop {
            let begun = Instant::now();
            let mut outcome = self.pass();
            for failure in &outcome.failures {
                self.events.send(failed(failure));
            }
            if !self.request.follow || self.shutdown.is_cancelled() {
                return outcome;
            }
            let mut pause = POLL;
            if !outcome.failures.is_empty() {
                // After a period in which all went well, attempts start from one again.
                attempts = if begun.elapsed() > SETTLED { 1 } else { attempts + 1 };
                let passing = outcome.failures.iter().all(|failure| failure.remedy() == Remedy::Retry);
                if !passing || attempts > TRIES {
                    return outcome;
                }
                for failure in &outcome.failures {
                    tracing::warn!(failure = in_one_line(failure), "beginning again where the tables are");
                }
                pause = POLL * attempts;
                self.events.send(Event::Retry { attempt: attempts, pause });
            }
            self.service.wait(async {
                tokio::select! {
                    () = self.shutdown.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            });
            if self.shutdown.is_cancelled() {
                // Failures that would have been retried do not count for a run that was stopped.
                outcome.failures.clear();
                return outcome;
            }
        }
    }

    /// Runs every hop once, or for ever if it reads an unbounded source.
    fn pass(&self) -> Outcome {
        let listener = match self.events.is_heard() {
            true => {
                let events = self.events.clone();
                Listener::new(move |event| events.send(event.into()))
            }
            false => Listener::default(),
        };
        let run = Run {
            plan: self.plan.clone(),
            bound: self.request.session.bound.clone(),
            lake: self.request.session.lake.clone(),
            meters: self.meters.clone(),
            listener,
            runtime: self.service.handle().clone(),
            // A failure may end the rest of a pass, and not the passes after it.
            stop: self.shutdown.child_token(),
            follow: self.request.follow,
        };
        if run.is_endless() { run.stream(POLL) } else { run.run() }
    }

    fn report(&self, outcome: Outcome, elapsed: Duration) -> RunReport {
        let interrupted = outcome.interrupted || (self.request.follow && self.shutdown.is_cancelled());
        let status = match (outcome.failures.is_empty(), interrupted) {
            (false, _) => RunStatus::Failed,
            (true, true) => RunStatus::Interrupted,
            (true, false) => RunStatus::Done,
        };
        let modules = &self.request.session.bound.modules;
        let hops = self.plan.hops.iter().zip(&self.meters);
        RunReport {
            status,
            elapsed,
            hops: hops.map(|(hop, meters)| HopReport::new(&hop.name, modules.get(&hop.name), meters)).collect(),
            failures: outcome.failures,
            skipped: outcome.skipped,
        }
    }
}

fn failed(failure: &PipelineError) -> Event {
    Event::Failure { hop: failure.hop().map(str::to_owned), error: in_one_line(failure), remedy: failure.remedy() }
}
