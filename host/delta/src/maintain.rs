//! Maintenance of a table: compacts small files, and removes files and log entries that nobody needs.
//!
//! It is done by the owner of the table, between its commits. A compaction is committed at exactly the version after
//! the one it read, and only while every file that it replaces is still there, so that of two that race one loses and
//! nothing is doubled.

mod compact;
mod forget;
mod log;
mod vacuum;

use chrono::{DateTime, Utc};

use super::error::DeltaError;
use super::table::Table;
use sluicebox_core::plan::Upkeep;

pub use compact::Compaction;
pub use vacuum::Unused;

/// A maintenance task.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// The rules of the table.
    pub upkeep: Upkeep,
    /// How many small files of one partition are compacted; fewer are left alone.
    pub least_files: usize,
    /// Whether old files and log entries are removed, too.
    pub clean: bool,
    /// The version up to which every reader of the table has read its changes.
    pub followers: Followers,
    /// The time that ages are counted from.
    pub now: DateTime<Utc>,
    /// Nothing is changed; the report shows what would be done.
    pub dry_run: bool,
}

/// How far the readers of a table have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followers {
    /// It has no readers.
    None,
    /// All readers have read this version and those before it; and the reader that is furthest behind.
    Taken {
        /// The version.
        version: u64,
        /// The reader, as `<pipeline>/<hop>`.
        reader: String,
    },
    /// A reader has not started, so all of the table's history is kept.
    NotBegun {
        /// The reader.
        reader: String,
    },
}

impl Followers {
    /// The first version that a reader still needs; `None` if none is needed.
    fn first_needed(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Taken { version, .. } => Some(version + 1),
            Self::NotBegun { .. } => Some(0),
        }
    }
}

/// The result of maintenance, or of a dry run.
#[derive(Clone, Debug, Default)]
pub struct Maintained {
    /// Compactions, by partition.
    pub compacted: Vec<Compaction>,
    /// Another writer changed the same files meanwhile, so they were not compacted.
    pub lost: bool,
    /// The version of the compaction.
    pub version: Option<u64>,
    /// The version of a new checkpoint.
    pub checkpoint: Option<u64>,
    /// Removed files that no version needs.
    pub unused: Vec<Unused>,
    /// Removed log entries and checkpoints that a newer checkpoint covers.
    pub log: Vec<Unused>,
    /// The reader because of which more of the log was not removed.
    pub held_by: Option<String>,
    /// That reader, as `<pipeline>/<hop>`.
    pub held_reader: Option<String>,
}

impl Maintained {
    /// Whether there was nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.compacted.is_empty() && self.checkpoint.is_none() && self.unused.is_empty() && self.log.is_empty()
    }
}

impl Table {
    /// Maintains the table, or reports what it would do.
    ///
    /// # Errors
    /// The table cannot be read or written. Finished steps stay done.
    pub async fn maintain(&mut self, task: &Maintenance) -> Result<Maintained, DeltaError> {
        self.refresh().await?;
        let mut done = Maintained::default();
        if self.version().is_none() {
            return Ok(done);
        }
        self.compact(task, &mut done).await?;
        if task.clean {
            self.checkpoint(task, &mut done).await?;
            // The log says which files are needed, so it is cleaned last.
            self.vacuum(task, &mut done).await?;
            self.shorten_log(task, &mut done).await?;
        }
        Ok(done)
    }

    /// Writes a checkpoint of the present version, unless there is one.
    async fn checkpoint(&self, task: &Maintenance, done: &mut Maintained) -> Result<(), DeltaError> {
        let Some(version) = self.version() else {
            return Ok(());
        };
        if self.checkpoints().await?.last() == Some(&version) || version == 0 {
            return Ok(());
        }
        if !task.dry_run {
            self.make_checkpoint().await?;
        }
        done.checkpoint = Some(version);
        Ok(())
    }
}
