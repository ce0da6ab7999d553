//! The downstream hops of a hop whose source is shared by several hosts.
//!
//! One of these hosts runs them: the leader, which has the source's first lane. The consumer group decides which host
//! that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::PipelineError;
use super::hop::Hop;
use super::run::{Run, Working};

/// The downstream hops of a shared hop, running or not.
pub(super) struct Downstream {
    run: Arc<Run>,
    hops: Vec<usize>,
    working: Option<Vec<Working>>,
    /// Whether this host is the leader. Others read it.
    leading: Arc<AtomicBool>,
}

impl Downstream {
    /// These hops, not running.
    pub(super) fn new(run: Arc<Run>, hops: Vec<usize>, leading: Arc<AtomicBool>) -> Self {
        Self { run, hops, working: None, leading }
    }

    /// Starts or stops the hops when this host becomes the leader or ceases to be. Nothing may be pending in `head`.
    pub(super) fn change(&mut self, head: &mut Hop, first: bool) -> Result<(), PipelineError> {
        head.lead(first);
        self.leading.store(first, Ordering::SeqCst);
        match (first, self.working.is_some()) {
            (true, false) => {
                tracing::debug!(hop = head.context().spec.name, "the hops below are run here");
                let ready = self.run.set_up(&self.hops, Some(head))?;
                self.working = Some(self.run.start(ready, None));
                Ok(())
            }
            (false, true) => {
                tracing::debug!(hop = head.context().spec.name, "the hops below are run elsewhere");
                head.end_followers();
                self.end()
            }
            _ => Ok(()),
        }
    }

    /// Waits for the hops to end, after the upstream hop has ended.
    pub(super) fn ended(mut self) -> Result<(), PipelineError> {
        self.leading.store(false, Ordering::SeqCst);
        self.end()
    }

    fn end(&mut self) -> Result<(), PipelineError> {
        let ended = self.run.join(self.working.take().unwrap_or_default());
        ended.failures.into_iter().next().map_or(Ok(()), Err)
    }
}
