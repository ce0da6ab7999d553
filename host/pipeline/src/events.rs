//! What hops tell while they run: each commit, and the rows that were put into quarantine.

use std::fmt;
use std::sync::Arc;

use sluicebox_core::plan::TableName;

/// Something that a hop did and that the lake holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopEvent {
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
    /// Rows are in the hop's quarantine.
    Reject {
        /// The hop.
        hop: String,
        /// How many came since the commit before.
        rows: u64,
    },
}

/// Who hears of events. It is called on the hop's own thread, which waits for it meanwhile.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<dyn Fn(HopEvent) + Send + Sync>>);

impl Listener {
    /// Hears every event.
    pub fn new(listener: impl Fn(HopEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells an event, which is made only where somebody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> HopEvent) {
        if let Some(listener) = &self.0 {
            listener(event());
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "no listener" })
    }
}
