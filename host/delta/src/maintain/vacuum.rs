//! Removing files that no version needs: those of old versions, and those of commits that never were.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt};

use super::{Maintained, Maintenance};
use crate::error::DeltaError;
use crate::table::Table;
use crate::vectors;
use crate::{log, protocol};

/// The folder of what commits changed.
const CHANGES: &str = "_change_data";

/// A file that is removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// From the table's folder.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}

impl Table {
    pub(super) async fn vacuum(&self, task: &Maintenance, done: &mut Maintained) -> Result<(), DeltaError> {
        protocol::can_vacuum(self.name(), self.state()?)?;
        let cutoff = before(task.now, task.upkeep.keep_files);
        let mut old: Vec<ObjectMeta> = Vec::new();
        let mut listing = self.store.list(None);
        while let Some(object) = listing.try_next().await.map_err(DeltaError::store("list", &self.location.name))? {
            if object.last_modified < cutoff && (is_ours_to_remove(&object.location) || is_draft(&object.location)) {
                old.push(object);
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        let needed = self.needed(cutoff, task.followers.first_needed()).await?;
        // Compared as paths, so that no two ways to write one path make a file that is needed look unused.
        let needed: HashSet<Path> = needed.iter().filter_map(|path| Path::parse(path).ok()).collect();
        old.retain(|object| !needed.contains(&object.location));
        old.sort_by(|a, b| a.location.cmp(&b.location));
        for object in old {
            if !task.dry_run {
                self.remove(&object.location).await?;
            }
            done.unused.push(Unused { path: object.location.to_string(), bytes: object.size });
        }
        Ok(())
    }

    /// Every file that the present version names, or that a version names which is younger than
    /// `cutoff` or which a reader has yet to take.
    async fn needed(&self, cutoff: DateTime<Utc>, first_needed: Option<u64>) -> Result<HashSet<String>, DeltaError> {
        let mut needed = HashSet::new();
        for view in self.state()?.log_data().iter() {
            needed.insert(view.path().into_owned());
            if let Some(vector) = view.deletion_vector_descriptor() {
                needed.extend(vector_path(&vector));
            }
        }
        // From the newest version back to the first that is kept.
        let last = self.state()?.version();
        for version in (0..=last).rev() {
            let Some(entry) = log::read(self.store.as_ref(), self.name(), version).await? else {
                // Entries are removed from the old end, so there is none before this one.
                break;
            };
            let at = entry.info.as_ref().and_then(|info| info.timestamp).and_then(DateTime::from_timestamp_millis);
            let young = at.is_none_or(|at| at >= cutoff);
            let wanted = first_needed.is_some_and(|first| version >= first);
            // What a version removed before the cutoff, no version since then has named.
            if !young && !wanted {
                break;
            }
            // A reader that follows is not concerned by files that were only put together.
            for remove in entry.removes.into_iter().filter(|remove| young || remove.data_change) {
                needed.insert(remove.path);
                if let Some(vector) = remove.deletion_vector {
                    needed.extend(vector_path(&vector));
                }
            }
            needed.extend(entry.changes.into_iter().map(|change| change.path));
            for add in entry.adds.into_iter().filter(|add| young || add.data_change) {
                needed.insert(add.path);
                if let Some(vector) = add.deletion_vector {
                    needed.extend(vector_path(&vector));
                }
            }
        }
        Ok(needed)
    }

    /// Removes a file below the table's folder; one that is gone already is as good.
    pub(super) async fn remove(&self, path: &Path) -> Result<(), DeltaError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(DeltaError::store("remove", format!("{}/{path}", self.location.name))(error)),
        }
    }
}

/// The moment that long before `now`; the beginning of time where that is too long.
pub(super) fn before(now: DateTime<Utc>, age: std::time::Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(age)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Whether a path is one that tables write data to: what lies in other hidden folders, such as the
/// log and the landed files, belongs to somebody else.
fn is_ours_to_remove(path: &Path) -> bool {
    let mut parts = path.parts();
    let hidden = |part: &str| (part.starts_with('_') && !part.contains('=')) || part.starts_with('.');
    let Some(name) = path.filename() else {
        return false;
    };
    let first = parts.next();
    let in_changes = first.as_ref().is_some_and(|first| first.as_ref() == CHANGES);
    let elsewhere = path.parts().skip(usize::from(in_changes)).any(|part| hidden(part.as_ref()));
    !elsewhere && (name.ends_with(".parquet") || (name.starts_with("deletion_vector_") && name.ends_with(".bin")))
}

/// Whether a path is what a process left behind that ended while it put a file of the log.
fn is_draft(path: &Path) -> bool {
    let parts: Vec<_> = path.parts().collect();
    let [folder, name] = parts.as_slice() else {
        return false;
    };
    let id = name.as_ref().strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    folder.as_ref() == "_delta_log"
        && id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The file that holds a deletion vector, from the table's folder; `None` for one that lies elsewhere.
fn vector_path(vector: &DeletionVectorDescriptor) -> Option<String> {
    match vector.storage_type {
        StorageType::UuidRelativePath => vectors::relative_path(&vector.path_or_inline_dv),
        StorageType::AbsolutePath => Some(vector.path_or_inline_dv.clone()),
        StorageType::Inline => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_is_ours_to_remove() {
        let ours = |path: &str| is_ours_to_remove(&Path::from(path));
        for path in
            ["part-1.parquet", "a=1/_b=2/part-1.parquet", "_change_data/x.parquet", "_change_data/a=1/x.parquet"]
        {
            assert!(ours(path), "{path}");
        }
        assert!(ours("deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin"));
        for path in
            ["_delta_log/1.checkpoint.parquet", "_files/a.parquet", ".x/a.parquet", "notes.txt", "a/_x/b.parquet"]
        {
            assert!(!ours(path), "{path}");
        }
    }

    #[test]
    fn drafts_of_the_log_are_ours_to_remove() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(is_draft(&Path::from(format!("_delta_log/.{id}.tmp"))));
        for path in [format!("_delta_log/{id}.tmp"), format!(".{id}.tmp"), "_delta_log/.x.tmp".to_owned()] {
            assert!(!is_draft(&Path::from(path.as_str())), "{path}");
        }
    }
}
