//! A run that follows unbounded sources.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::downstream::Downstream;
use super::fault::PipelineError;
use super::run::{Outcome, Run};
use super::schedule::{self, Group};
use sluicebox_core::plan::Upstream;
use sluicebox_sources::capabilities;

impl Run {
    /// Whether a hop of the plan reads an unbounded source.
    pub fn is_endless(&self) -> bool {
        self.follow && schedule::groups(&self.plan).iter().any(|group| self.endless(group).is_some())
    }

    /// Runs the hops of unbounded sources for ever, and all others again and again with `pause` in between. Ends when
    /// it is stopped or a hop fails.
    pub fn stream(self, pause: Duration) -> Outcome {
        let stopped = self.stop.clone();
        let run = Arc::new(Run { stop: stopped.child_token(), ..self });
        let (endless, rest) = run.parts();
        // The leader of several sources is the leader of the first one.
        let leading: Vec<_> = endless.iter().map(|(_, shared)| Arc::new(AtomicBool::new(!shared))).collect();
        let mut outcome = Outcome { failures: Vec::new(), skipped: Vec::new(), interrupted: false };
        let (done, ended) = mpsc::channel();
        thread::scope(|scope| {
            for ((group, shared), leading) in endless.iter().zip(&leading) {
                let (run, done, leading) = (&run, done.clone(), leading.clone());
                scope.spawn(move || {
                    let failures = run.run_endless(group, *shared, leading);
                    // If one group ends, the run ends.
                    run.stop.cancel();
                    // The receiver lives until every group has answered.
                    let _ = done.send(failures);
                });
            }
            drop(done);
            loop {
                match ended.recv_timeout(pause) {
                    Ok(failures) => outcome.failures.extend(failures),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        let leads = leading.first().is_none_or(|leading| leading.load(Ordering::SeqCst));
                        if leads && !rest.is_empty() && !run.stop.is_cancelled() {
                            let passed = run.pass(&rest);
                            if !passed.failures.is_empty() {
                                run.stop.cancel();
                            }
                            outcome.failures.extend(passed.failures);
                            outcome.skipped = passed.skipped;
                        }
                    }
                }
            }
        });
        outcome.interrupted = stopped.is_cancelled();
        outcome
    }

    /// The groups of unbounded sources, each with whether its source is shared; and all other groups.
    fn parts(&self) -> (Vec<(Group, bool)>, Vec<Group>) {
        let groups = schedule::groups(&self.plan);
        let kept: Vec<usize> = (0..groups.len()).filter(|at| self.endless(&groups[*at]).is_none()).collect();
        let (mut endless, mut rest) = (Vec::new(), Vec::new());
        for group in groups {
            match self.endless(&group) {
                Some(shared) => endless.push((group, shared)),
                None => {
                    let needs = group.needs.iter().filter_map(|need| kept.iter().position(|at| at == need)).collect();
                    rest.push(Group { needs, ..group });
                }
            }
        }
        (endless, rest)
    }

    /// Whether the source of a group is unbounded: `Some`, with whether it is shared.
    fn endless(&self, group: &Group) -> Option<bool> {
        let head = &self.plan.hops[*group.hops.first()?];
        let Upstream::Source(name) = &head.from else { return None };
        let able = capabilities(self.plan.source(name)?);
        able.unbounded.then_some(able.shared)
    }

    fn run_endless(self: &Arc<Self>, group: &Group, shared: bool, leading: Arc<AtomicBool>) -> Vec<PipelineError> {
        let (head, below) = match shared {
            true => group.hops.split_at(1),
            false => group.hops.split_at(group.hops.len()),
        };
        let below = shared.then(|| Downstream::new(self.clone(), below.to_vec(), leading));
        match self.set_up(head, None) {
            Ok(ready) => self.join(self.start(ready, below)).failures,
            Err(failure) => vec![failure],
        }
    }
}
