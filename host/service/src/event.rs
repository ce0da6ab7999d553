//! What a run tells while it goes on.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::progress::Progress;
use crate::report::RunStatus;
use sluicebox_core::fault::Remedy;
use sluicebox_core::plan::TableName;
use sluicebox_pipeline::events::HopEvent;

/// Something that happened in a run. The first is [`Event::Started`], the last [`Event::Ended`].
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run began.
    Started {
        /// The pipeline.
        pipeline: String,
        /// Its hops, in the order of the plan.
        hops: Vec<String>,
    },
    /// How far every hop has come, about ten times a second and once at the end.
    Progress(Progress),
    /// A table got a version.
    Commit {
        /// The hop.
        hop: String,
        /// Its table.
        table: TableName,
        /// The table's version after the commit.
        version: u64,
        /// Rows that the hop handed to it.
        rows: u64,
    },
    /// Rows are in a hop's quarantine.
    Reject {
        /// The hop.
        hop: String,
        /// How many came since the hop's commit before.
        rows: u64,
    },
    /// A hop, or what it needs, failed.
    Failure {
        /// The hop, where it belongs to one.
        hop: Option<String>,
        /// What failed and why, in one line.
        error: String,
        /// What helps.
        remedy: Remedy,
    },
    /// All failures may pass: the run begins again where the tables are.
    Retry {
        /// How often it did so in a row, this time included.
        attempt: u32,
        /// How long it waits before.
        pause: Duration,
    },
    /// The run is over.
    Ended {
        /// How.
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

/// Where events go. A listener is called on the threads of the run, several at a time, and the run waits for it:
/// one that is slow puts events into a channel.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl Events {
    /// Nobody listens.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `listener` with each event.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Puts events into a channel without a bound. It ends when the last copy of this is dropped.
    pub fn channel() -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        // A receiver that is gone does not want to know.
        let send = move |event| drop(sender.send(event));
        (Self::to(send), receiver)
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Tells an event.
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
