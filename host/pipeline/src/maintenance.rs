//! Maintenance of a table by the hop that writes it, between its commits.

use std::time::Instant;

use chrono::Utc;
use tokio::runtime::Handle;

use sluicebox_core::plan::{Plan, TableSpec, Upkeep, Upstream};
use sluicebox_delta::{Committed, Followers, Maintenance, Table};
use sluicebox_lake::{Lake, LakeError};

/// Decides when a table needs maintenance: by the time since the last, and by the small files written since.
pub struct Maintainer {
    upkeep: Upkeep,
    small_bytes: u64,
    /// The hops of the plan that read the table, as `<pipeline>/<hop>`.
    readers: Vec<String>,
    looked: Instant,
    /// Small files in the partition with the most of them. `None` until counted.
    small: Option<u64>,
}

/// What maintenance is due after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Compaction,
    Everything,
}

impl Maintainer {
    /// The maintainer of a table of a plan.
    pub fn new(plan: &Plan, spec: &TableSpec) -> Self {
        Self {
            upkeep: spec.upkeep.clone(),
            small_bytes: spec.layout.file_bytes / 2,
            readers: readers(plan, spec),
            looked: Instant::now(),
            small: None,
        }
    }

    /// Maintains the table if it is due. Failures are logged only: the rows are committed, and the next commit tries
    /// again.
    pub fn after_commit(&mut self, table: &mut Table, committed: &Committed, lake: &Lake, runtime: &Handle) {
        let done = self.due(table, committed).and_then(|due| match due {
            Due::Nothing => Ok(()),
            _ => self.look_after(table, lake, due, runtime),
        });
        if let Err(error) = done {
            self.small = None;
            tracing::warn!(table = table.name(), %error, "the table could not be kept in shape");
        }
    }

    fn due(&mut self, table: &Table, committed: &Committed) -> Result<Due, LakeError> {
        if self.upkeep.every.is_some_and(|every| self.looked.elapsed() >= every) {
            return Ok(Due::Everything);
        }
        if self.upkeep.compact_at == 0 {
            return Ok(Due::Nothing);
        }
        let added = committed.files_added as u64;
        let small = match self.small {
            // An overestimate: the files may belong to several partitions.
            Some(small) if committed.bytes_added / added.max(1) < self.small_bytes => small + added,
            Some(small) => small,
            None => table.small_files()? as u64,
        };
        self.small = Some(small);
        if small < self.upkeep.compact_at {
            return Ok(Due::Nothing);
        }
        let small = table.small_files()? as u64;
        self.small = Some(small);
        Ok(if small < self.upkeep.compact_at { Due::Nothing } else { Due::Compaction })
    }

    fn look_after(&mut self, table: &mut Table, lake: &Lake, due: Due, runtime: &Handle) -> Result<(), LakeError> {
        let clean = due == Due::Everything;
        let followers = match clean {
            true => runtime.block_on(lake.followers(table.name(), &self.readers))?,
            false => Followers::None,
        };
        let least = if clean { 2 } else { self.upkeep.compact_at };
        let task = task(&self.upkeep, least, clean, followers);
        let done = runtime.block_on(table.maintain(&task))?;
        if clean {
            self.looked = Instant::now();
        }
        self.small = None;
        tracing::debug!(
            table = table.name(),
            compacted = done.compacted.iter().map(|each| each.files).sum::<usize>(),
            removed = done.unused.len() + done.log.len(),
            "kept in shape"
        );
        Ok(())
    }
}

/// The maintenance to do on a table now.
pub fn task(upkeep: &Upkeep, least_files: u64, clean: bool, followers: Followers) -> Maintenance {
    let least_files = match upkeep.compact_at {
        0 => usize::MAX,
        _ => usize::try_from(least_files).unwrap_or(usize::MAX),
    };
    Maintenance { upkeep: upkeep.clone(), least_files, clean, followers, now: Utc::now(), dry_run: false }
}

/// The hops of a plan that read a table, as `<pipeline>/<hop>`.
pub fn readers(plan: &Plan, spec: &TableSpec) -> Vec<String> {
    let reads = plan.hops.iter().filter(|hop| hop.from == Upstream::Table(spec.name.clone()));
    reads.map(|hop| format!("{}/{}", plan.name, hop.name)).collect()
}
