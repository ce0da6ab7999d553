//! Keeping a table in shape: small files put together, files and log entries removed that
//! nobody needs any more.
//!
//! All of it is done by whoever owns the table, between its commits. What is put together is
//! committed at exactly the version after the one that was read, and only while every file that it
//! replaces is still there, so that of two that race one loses and nothing is doubled.

mod compact;
mod log;
mod vacuum;

use chrono::{DateTime, Utc};

use super::error::DeltaError;
use super::table::Table;
use sluicebox_core::plan::Upkeep;

pub use compact::Compaction;
pub use vacuum::Unused;

/// What is to be done to a table.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// The rules of the table.
    pub upkeep: Upkeep,
    /// How many small files of one partition are put together; fewer are left alone.
    pub least_files: usize,
    /// Whether what is old is removed, too.
    pub clean: bool,
    /// The version up to which every reader that follows the table has taken its changes.
    pub followers: Followers,
    /// What ages are counted from.
    pub now: DateTime<Utc>,
    /// Nothing is changed; the report says what would be.
    pub dry_run: bool,
}

/// How far the readers that follow a table have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followers {
    /// Nobody follows it.
    None,
    /// Everybody has taken this version and those before it; who is furthest behind.
    Taken {
        /// The version.
        version: u64,
        /// The reader, as `<pipeline>/<hop>`.
        reader: String,
    },
    /// A reader has not begun, so all of the table's history stays.
    NotBegun {
        /// The reader.
        reader: String,
    },
}

impl Followers {
    /// The first version that a reader still needs; `None` where nobody needs any.
    fn first_needed(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Taken { version, .. } => Some(version + 1),
            Self::NotBegun { .. } => Some(0),
        }
    }
}

/// What was done, or would be.
#[derive(Clone, Debug, Default)]
pub struct Maintained {
    /// Files that were put together, by partition.
    pub compacted: Vec<Compaction>,
    /// Another writer changed the same files meanwhile, so they were left as they are.
    pub lost: bool,
    /// The version that the files were committed as.
    pub version: Option<u64>,
    /// The version of a new checkpoint.
    pub checkpoint: Option<u64>,
    /// Files that no version needs any more.
    pub unused: Vec<Unused>,
    /// Log entries and checkpoints that a newer checkpoint covers.
    pub log: Vec<Unused>,
    /// Why the log was not shortened further, where a reader is the reason.
    pub held_by: Option<String>,
}

impl Maintained {
    /// Whether there was nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.compacted.is_empty() && self.checkpoint.is_none() && self.unused.is_empty() && self.log.is_empty()
    }
}

impl Table {
    /// Does what is due to the table, or says what would be done.
    ///
    /// # Errors
    /// The table cannot be read or written. What was done before stays done.
    pub async fn maintain(&mut self, task: &Maintenance) -> Result<Maintained, DeltaError> {
        self.refresh().await?;
        let mut done = Maintained::default();
        if self.version().is_none() {
            return Ok(done);
        }
        self.compact(task, &mut done).await?;
        if task.clean {
            self.checkpoint(task, &mut done).await?;
            // The log says which files are needed, so it is shortened last.
            self.vacuum(task, &mut done).await?;
            self.shorten_log(task, &mut done).await?;
        }
        Ok(done)
    }

    /// Makes a checkpoint of the present version, unless there is one.
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
