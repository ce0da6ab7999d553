//! The events of a run.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::progress::Progress;
use crate::report::RunStatus;
use sluicebox_core::fault::Remedy;
use sluicebox_core::plan::TableName;
use sluicebox_pipeline::events::HopEvent;

/// An event of a run. The first is [`Event::Started`], the last [`Event::Ended`].
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run started.
    Started {
        /// The pipeline.
        pipeline: String,
        /// Its hops, in the order of the plan.
        hops: Vec<String>,
    },
    /// The progress of every hop, about ten times a second and once at the end.
    Progress(Progress),
    /// A table was committed.
    Commit {
        /// The hop.
        hop: String,
        /// Its table.
        table: TableName,
        /// The table's version after the commit.
        version: u64,
        /// Rows written to it.
        rows: u64,
    },
    /// Rows were committed to a hop's quarantine.
    Reject {
        /// The hop.
        hop: String,
        /// The number of rows since the hop's last commit.
        rows: u64,
    },
    /// A hop failed.
    Failure {
        /// The hop, if the failure belongs to one.
        hop: Option<String>,
        /// What failed and why, in one line.
        error: String,
        /// What to do about it.
        remedy: Remedy,
    },
    /// All failures may pass by themselves: the run starts again at the positions of the tables.
    Retry {
        /// The number of attempts in a row, including this one.
        attempt: u32,
        /// The pause before it.
        pause: Duration,
    },
    /// The run ended.
    Ended {
        /// Its status.
        status: RunStatus,
    },
}

impl From<HopEvent> for Event {
    fn from(event: HopEvent) -> Self {
        match event {
            HopEvent::Commit { hop, table, version, rows } => Self::Commit { hop, table, version, rows },
            HopEvent::Reject { hop, rows } => Self::Reject { hop, rows },
        }
    }
}

/// The listener of events. It is called on the threads of the run, several at a time, and the run waits for it: a
/// slow one should use a channel.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl Events {
    /// No listener.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `listener` with each event.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Sends events to an unbounded channel, which ends when the last copy of this is dropped.
    pub fn channel() -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        // A receiver that is gone is ignored.
        let send = move |event| drop(sender.send(event));
        (Self::to(send), receiver)
    }

    /// Whether there is a listener.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Sends an event.
    pub fn send(&self, event: Event) {
        if let Some(listener) = &self.0 {
            listener(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_heard() { "Events" } else { "Events to nobody" })
    }
}
