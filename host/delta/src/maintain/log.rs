//! Log cleanup: removes entries that a checkpoint covers and nobody needs.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _};

use super::vacuum::{Unused, before};
use super::{Followers, Maintained, Maintenance};
use crate::error::DeltaError;
use crate::table::Table;
use sluicebox_stores::checkpoint_name;

impl Table {
    /// The versions of the complete checkpoints, ascending.
    pub(super) async fn checkpoints(&self) -> Result<Vec<u64>, DeltaError> {
        Ok(whole_checkpoints(&self.log_files().await?))
    }

    async fn log_files(&self) -> Result<Vec<ObjectMeta>, DeltaError> {
        let folder = Path::from("_delta_log");
        let failed = DeltaError::store("list", format!("{}/{folder}", self.location.name));
        self.store.list(Some(&folder)).try_collect().await.map_err(failed)
    }

    pub(super) async fn shorten_log(&self, task: &Maintenance, done: &mut Maintained) -> Result<(), DeltaError> {
        let files = self.log_files().await?;
        let cutoff = before(task.now, task.upkeep.keep_log.max(task.upkeep.keep_files));
        // Versions from this one on are young enough to be kept.
        let young = files
            .iter()
            .filter(|file| file.last_modified >= cutoff)
            .filter_map(|file| entry_name(file.location.filename()?))
            .min()
            .unwrap_or(u64::MAX);
        let needed = task.followers.first_needed().unwrap_or(u64::MAX);
        // In a dry run the new checkpoint does not exist.
        let made = task.dry_run.then_some(done.checkpoint).flatten();
        let boundary = |limit: u64| whole_checkpoints(&files).into_iter().chain(made).filter(|at| *at <= limit).max();
        let Some(first_kept) = boundary(young.min(needed)) else {
            return Ok(());
        };
        if boundary(young) > Some(first_kept) {
            done.held_reader = match &task.followers {
                Followers::Taken { reader, .. } | Followers::NotBegun { reader } => Some(reader.clone()),
                Followers::None => None,
            };
            done.held_by = match &task.followers {
                Followers::Taken { reader, version } => Some(format!("{reader}, which has taken version {version}")),
                Followers::NotBegun { reader } => Some(format!("{reader}, which has not begun")),
                Followers::None => None,
            };
        }
        let mut old: Vec<ObjectMeta> = files
            .into_iter()
            .filter(|file| {
                let version = file.location.filename().and_then(version_of);
                version.is_some_and(|version| version < first_kept) && file.last_modified < cutoff
            })
            .collect();
        // The oldest first, so that an interrupted cleanup leaves a consistent log.
        old.sort_by(|a, b| a.location.cmp(&b.location));
        for file in old {
            if !task.dry_run {
                self.remove(&file.location).await?;
            }
            done.log.push(Unused { path: file.location.to_string(), bytes: file.size });
        }
        Ok(())
    }
}

fn whole_checkpoints(files: &[ObjectMeta]) -> Vec<u64> {
    let mut found: std::collections::BTreeMap<(u64, Option<usize>), usize> = std::collections::BTreeMap::new();
    for name in files.iter().filter_map(|file| file.location.filename()).filter_map(checkpoint_name) {
        *found.entry(name).or_default() += 1;
    }
    let whole = found.into_iter().filter(|((_, parts), count)| parts.is_none_or(|parts| parts == *count));
    let mut versions: Vec<u64> = whole.map(|((version, _), _)| version).collect();
    versions.dedup();
    versions
}

/// The version of a log entry's file.
fn entry_name(name: &str) -> Option<u64> {
    name.strip_suffix(".json").filter(|version| version.len() == 20)?.parse().ok()
}

/// The version of a file of the log, if it is removed with that version.
fn version_of(name: &str) -> Option<u64> {
    let checksum = |name: &str| name.strip_suffix(".crc").filter(|version| version.len() == 20)?.parse().ok();
    entry_name(name).or_else(|| checkpoint_name(name).map(|(version, _)| version)).or_else(|| checksum(name))
}
