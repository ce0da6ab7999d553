//! The hops that hang on one whose source is shared.
//!
//! Of all hosts that share a source one runs them: the one that has its first lane. The group of
//! its readers decides who that is, and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::PipelineError;
use super::hop::Hop;
use super::run::{Run, Working};

/// The hops below a shared one, at work or not.
pub(super) struct Downstream {
    run: Arc<Run>,
    hops: Vec<usize>,
    working: Option<Vec<Working>>,
    /// Whether this host has the duties that only one has, for others to see.
    leading: Arc<AtomicBool>,
}

impl Downstream {
    /// These hops, none at work.
    pub(super) fn new(run: Arc<Run>, hops: Vec<usize>, leading: Arc<AtomicBool>) -> Self {
        Self { run, hops, working: None, leading }
    }

    /// Starts or ends them, as the lanes of the hop above have it. Nothing may be pending there.
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

    /// Waits for them; the hop above has ended, so they do.
    pub(super) fn ended(mut self) -> Result<(), PipelineError> {
        self.leading.store(false, Ordering::SeqCst);
        self.end()
    }

    fn end(&mut self) -> Result<(), PipelineError> {
        let ended = self.run.join(self.working.take().unwrap_or_default());
        ended.failures.into_iter().next().map_or(Ok(()), Err)
    }
}
