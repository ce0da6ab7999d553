//! A run: every group of hops, to the end of every bounded source.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use crossbeam_channel::{RecvTimeoutError, unbounded};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::bind::Bound;
use super::context::HopContext;
use super::downstream::Downstream;
use super::events::Listener;
use super::fault::PipelineError;
use super::flow::{Flow, Inflow};
use super::hop::Hop;
use super::input::{Input, Ready};
use super::intake::Feeder;
use super::lookup::Lookups;
use super::quarantine::QuarantineSink;
use super::queue::{Receiver, queue};
use super::rows::with_marks;
use super::schedule::{self, Group, Taking};
use super::sink::{Sink, lake_error};
use sluicebox_core::meter::Meters;
use sluicebox_core::plan::{Plan, Upstream};
use sluicebox_delta::Table;
use sluicebox_lake::Lake;
use sluicebox_sandbox::spawn_guest_thread;

/// All that a run needs.
pub struct Run {
    /// What to run.
    pub plan: Arc<Plan>,
    /// Its modules and columns.
    pub bound: Arc<Bound>,
    /// Where the tables are.
    pub lake: Lake,
    /// The counters, one a hop, in the plan's order.
    pub meters: Vec<Arc<Meters>>,
    /// Who hears of commits.
    pub listener: Listener,
    /// For I/O.
    pub runtime: Handle,
    /// Ends the run early and in order.
    pub stop: CancellationToken,
    /// Whether unbounded sources are followed for ever.
    pub follow: bool,
}

/// How a run ended.
pub struct Outcome {
    /// What went wrong, by hop.
    pub failures: Vec<PipelineError>,
    /// Hops that did not run because a hop upstream failed.
    pub skipped: Vec<String>,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
}

impl Run {
    /// Runs every group, as many at a time as there are processors, and none whose
    /// upstream failed. Blocks until all have ended.
    pub fn run(self) -> Outcome {
        let groups = schedule::groups(&self.plan);
        Arc::new(self).pass(&groups)
    }

    /// Runs these groups, each after the groups it needs.
    pub(super) fn pass(self: &Arc<Self>, groups: &[Group]) -> Outcome {
        let run = self;
        let at_once = thread::available_parallelism().map_or(1, usize::from);
        let mut outcome = Outcome { failures: Vec::new(), skipped: Vec::new(), interrupted: false };
        let (done, ended) = mpsc::channel::<(usize, Ended)>();
        // Names of hops that did not finish or did not start.
        let mut unfinished: HashSet<String> = HashSet::new();
        let mut state = vec![State::Waiting; groups.len()];
        thread::scope(|scope| {
            loop {
                let mut running = state.iter().filter(|state| **state == State::Running).count();
                for index in 0..groups.len() {
                    if state[index] != State::Waiting {
                        continue;
                    }
                    let needs = &groups[index].needs;
                    let names = groups[index].hops.iter().map(|hop| &run.plan.hops[*hop].name);
                    // Of a finished group only the upstream hops matter.
                    let mut above = groups[index].hops.iter().flat_map(|hop| schedule::above(&run.plan, *hop));
                    if run.stop.is_cancelled() {
                        state[index] = State::Ended;
                        unfinished.extend(names.cloned());
                    } else if above.any(|hop| unfinished.contains(&run.plan.hops[hop].name)) {
                        state[index] = State::Ended;
                        outcome.skipped.extend(names.clone().cloned());
                        unfinished.extend(names.cloned());
                    } else if running < at_once && needs.iter().all(|need| state[*need] == State::Ended) {
                        state[index] = State::Running;
                        running += 1;
                        let (group, done) = (&groups[index], done.clone());
                        scope.spawn(move || {
                            // The receiver lives until every group has answered.
                            let _ = done.send((index, run.run_group(group)));
                        });
                    }
                }
                if running == 0 {
                    break;
                }
                if let Ok((index, ended)) = ended.recv() {
                    state[index] = State::Ended;
                    outcome.failures.extend(ended.failures);
                    unfinished.extend(ended.unfinished);
                }
            }
        });
        outcome.interrupted = run.stop.is_cancelled();
        outcome
    }

    fn run_group(self: &Arc<Self>, group: &Group) -> Ended {
        match self.set_up(&group.hops, None) {
            Ok(ready) => self.join(self.start(ready, None)),
            Err(failure) => Ended {
                failures: vec![failure],
                unfinished: group.hops.iter().map(|hop| self.plan.hops[*hop].name.clone()).collect(),
            },
        }
    }

    /// Starts hops, each on its own thread. `below` starts and stops with the lanes of the first one.
    pub(super) fn start(self: &Arc<Self>, ready: Vec<Ready>, mut below: Option<Downstream>) -> Vec<Working> {
        let mut threads = Vec::new();
        for Ready { hop, feed } in ready {
            let name = hop.context().spec.name.clone();
            let (run, below) = (self.clone(), below.take());
            let work = move || {
                let done = work(hop, feed, below, &run.runtime, &run.stop);
                if done.is_err() && run.follow {
                    // The other hops would run for ever without it.
                    run.stop.cancel();
                }
                done
            };
            let thread = spawn_guest_thread(&format!("hop-{name}"), move || catch_unwind(AssertUnwindSafe(work)));
            threads.push((name, thread));
        }
        threads
    }

    /// Waits for hops to end, and returns their failures.
    pub(super) fn join(&self, threads: Vec<Working>) -> Ended {
        let mut all = Ended::default();
        for (hop, thread) in threads {
            let failure = match thread.map(thread::JoinHandle::join) {
                Ok(Ok(Ok(Ok(())))) => continue,
                // The upstream hop reports the cause.
                Ok(Ok(Ok(Err(PipelineError::Abandoned { .. })))) => None,
                Ok(Ok(Ok(Err(failure)))) => Some(failure),
                Ok(Ok(Err(panic)) | Err(panic)) => {
                    Some(PipelineError::Panic { hop: hop.clone(), message: panic_message(&*panic) })
                }
                Err(source) => Some(PipelineError::Thread { hop: hop.clone(), source }),
            };
            all.failures.extend(failure);
            all.unfinished.push(hop);
        }
        all
    }

    /// Opens everything that these hops need, upstream hops first. `head` is a running hop that some of them are
    /// downstream of.
    pub(super) fn set_up(&self, hops: &[usize], mut head: Option<&mut Hop>) -> Result<Vec<Ready>, PipelineError> {
        let mut ready: Vec<Ready> = Vec::new();
        for &index in hops {
            let hop = &self.plan.hops[index];
            let context = HopContext::new(
                &self.plan,
                hop,
                self.meters[index].clone(),
                self.listener.clone(),
                self.runtime.clone(),
            );
            let mut live = None;
            let upstream = self.runtime.block_on(self.open_upstream(&context))?;
            if let (Some(above), Upstream::Table(name), Some(table)) =
                (schedule::live_upstream(&self.plan, index), &hop.from, &upstream)
            {
                let above = match hops.iter().position(|hop| *hop == above) {
                    Some(above) => ready.get_mut(above).map(|above| &mut above.hop),
                    None => head.as_deref_mut(),
                };
                if let Some(above) = above {
                    let (to, from) = queue(self.meters[index].clone());
                    above.follow(name, to, table.version(), hop.on_deletes);
                    live = Some(from);
                }
            }
            ready.push(self.runtime.block_on(self.set_up_hop(context, upstream, live))?);
        }
        Ok(ready)
    }

    async fn open_upstream(&self, context: &HopContext) -> Result<Option<Table>, PipelineError> {
        let Upstream::Table(name) = &context.spec.from else { return Ok(None) };
        let failed = lake_error(&context.spec.name, format!("opening {name} failed"));
        match self.plan.table(name) {
            Some(spec) => Ok(Some(self.lake.table(spec).await.map_err(failed)?)),
            None => Ok(None),
        }
    }

    async fn set_up_hop(
        &self,
        context: HopContext,
        upstream: Option<Table>,
        live: Option<Receiver<Flow>>,
    ) -> Result<Ready, PipelineError> {
        let hop = context.spec.clone();
        let module = self.bound.modules.get(&hop.name).cloned();
        super::artifacts::keep(&self.lake, &self.plan, &hop.name, module.as_ref()).await?;
        let mut sinks = Vec::new();
        for (_, name) in &hop.to {
            let failed = || lake_error(&hop.name, format!("opening {name} failed"));
            let Some(spec) = self.plan.table(name) else { continue };
            let mut sink = Sink::open(&self.lake, &self.plan, spec, &context.app).await.map_err(failed())?;
            if let (None, Some(schema)) = (sink.table.schema(), self.bound.schemas.get(name)) {
                sink.table
                    .create(schema, context.provenance(module.as_ref()))
                    .await
                    .map_err(lake_error(&hop.name, format!("creating {name} failed")))?;
                // Another run may have created the table a moment before, and committed to it.
                let recorded = sink.table.positions(&format!("{}/", context.app)).await;
                sink.recorded = recorded.map_err(|error| failed()(error.into()))?;
            }
            sinks.push(sink);
        }
        let quarantine = QuarantineSink::open(&self.lake, &context, context.provenance(module.as_ref()))
            .await
            .map_err(lake_error(&hop.name, format!("opening the quarantine of `{}` failed", hop.name)))?;
        let lookup_names: Vec<_> = hop.lookups.iter().map(|(_, table)| table.clone()).collect();
        let memory = hop.module.as_ref().map_or(0, |module| module.limits.memory);
        let lookups = Lookups::read(&self.lake, &self.plan, &hop.name, &lookup_names, memory).await?;
        let versions = lookups.versions();
        let incoming = upstream.as_ref().and_then(Table::schema);
        let incoming = match context.taking {
            Taking::Changes => incoming.as_ref().map(|table| with_marks(table, &context.system)),
            _ => incoming,
        };
        let lookups = lookups.with_rows_schema(incoming);
        let hop = Hop::new(context, module, lookups, sinks, quarantine, self.lake.clone()).recall().await?;
        self.feed(hop, upstream, versions, live).await
    }
}

/// How some hops ended.
#[derive(Default)]
pub(super) struct Ended {
    /// What went wrong.
    pub(super) failures: Vec<PipelineError>,
    /// Hops that did not finish, for whatever reason.
    unfinished: Vec<String>,
}

/// A running hop with its name, or why no thread could be started.
pub(super) type Working = (String, std::io::Result<thread::JoinHandle<thread::Result<Result<(), PipelineError>>>>);

/// Runs a hop from its first row to its last commit.
fn work(
    mut hop: Hop,
    feed: Input,
    mut below: Option<Downstream>,
    runtime: &Handle,
    stop: &CancellationToken,
) -> Result<(), PipelineError> {
    let (to, intake) = queue(hop.context().meter.clone());
    let name = hop.context().spec.name.clone();
    let upstream = hop.context().upstream();
    let meter = hop.context().meter.clone();
    let scanned = matches!(feed, Input::Scan { .. });
    if matches!(feed, Input::Nothing) {
        return hop.idle();
    }
    // A source stays open until the last commit is made, because its lanes go to another host as soon as it closes.
    let (mut source, feed) = match feed {
        Input::Source(source) => (Some(source), Input::Nothing),
        other => (None, other),
    };
    let (told, committed) = unbounded();
    if source.is_some() {
        hop.tell(told);
    }
    let gone = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let feeder = {
            let feeder = Feeder { hop: &name, upstream: &upstream, to, runtime, stop, gone: &gone };
            let source = source.as_deref_mut();
            let feed = move || match feed {
                Input::Follow { table, after, changes, on_deletes, live } => {
                    feeder.follow_table(&table, after, (changes, on_deletes), live)
                }
                Input::Scan { table, groups, versions } => {
                    feeder.scan_table(&table, groups.map(|groups| *groups), versions)
                }
                Input::Source(_) | Input::Nothing => match source {
                    Some(source) => feeder.read_source(source, &meter, &committed),
                    None => Ok(()),
                },
            };
            thread::Builder::new().name(format!("feed-{name}")).spawn_scoped(scope, feed)
        };
        let feeder = feeder.map_err(|source| PipelineError::Thread { hop: name.clone(), source })?;
        let taken = take_all(&mut hop, &intake, below.as_mut());
        // The feeder notices that its receiver is gone, and ends.
        gone.store(true, Ordering::SeqCst);
        drop(intake);
        let fed = feeder
            .join()
            .unwrap_or_else(|panic| Err(PipelineError::Panic { hop: name.clone(), message: panic_message(&*panic) }));
        taken.map(|()| fed)
    });
    let ended = match result {
        Ok(Ok(())) => hop.finish(!(scanned && stop.is_cancelled())),
        Ok(Err(abandoned @ PipelineError::Abandoned { .. })) => {
            hop.abandon();
            Err(abandoned)
        }
        // Rows read before the upstream failed are good and may be committed.
        Ok(Err(failure)) => hop.finish(false).and(Err(failure)),
        Err(failure) => {
            hop.abandon();
            Err(failure)
        }
    };
    match below.map_or(Ok(()), Downstream::ended) {
        Ok(()) => ended,
        // A downstream hop failed, by itself or because this one did.
        Err(failure) => ended.and(Err(failure)),
    }
}

fn take_all(hop: &mut Hop, intake: &Receiver<Inflow>, mut below: Option<&mut Downstream>) -> Result<(), PipelineError> {
    loop {
        match intake.recv_timeout(hop.patience()) {
            Ok(Inflow::Rows(next)) => hop.take(next)?,
            Ok(Inflow::Lanes(change, answer)) => {
                let from = hop.change_lanes(&change)?;
                if let Some(below) = &mut below {
                    below.change(hop, change.first)?;
                }
                // A feeder that is gone has failed and reports that itself.
                let _ = answer.send(from);
            }
            Err(RecvTimeoutError::Timeout) => hop.tick()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended,
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
