//! Writes log entries: atomically, durably, and only where none exists.

use std::collections::{BTreeSet, HashMap};

use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::DeltaOperation;
use serde_json::Value;
use sluicebox_stores::{Location, PutError, StoreError, put_new, sync_folder};

use super::error::DeltaError;
use super::log;

/// Why a log entry was not written.
pub(crate) enum EntryError {
    /// An entry of that version exists.
    Exists,
    /// Another error; the entry may have landed all the same.
    Failed(DeltaError),
}

impl From<DeltaError> for EntryError {
    fn from(error: DeltaError) -> Self {
        Self::Failed(error)
    }
}

impl From<PutError> for EntryError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Exists => Self::Exists,
            PutError::Failed(error) => Self::Failed(error.into()),
        }
    }
}

/// Writes the log entry of `version`, if there is none.
pub(super) async fn write_entry(
    location: &Location,
    version: u64,
    actions: Vec<Action>,
    operation: DeltaOperation,
    info: HashMap<String, Value>,
    transactions: Vec<Transaction>,
) -> Result<(), EntryError> {
    // Every folder that got a new entry, up to the table's folder.
    let folders: BTreeSet<String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Add(add) => Some(add.path.as_str()),
            _ => None,
        })
        .flat_map(|path| path.match_indices('/').map(|(end, _)| path[..end].to_owned()).chain([String::new()]))
        .collect();
    let data = CommitData::new(actions, operation, info, transactions);
    let bytes =
        data.get_bytes().map_err(|error| DeltaError::delta("write the log of", &location.name)(error.into()))?;
    let path = log::entry_path(version);
    if let Some(root) = location.folder.clone() {
        let flushed = tokio::task::spawn_blocking(move || {
            folders.into_iter().try_for_each(|folder| sync_folder(&root.join(folder)))
        });
        let flushed = flushed.await.map_err(StoreError::task("write the log of", &location.name));
        flushed.and_then(|flushed| flushed).map_err(DeltaError::from)?;
    }
    Ok(put_new(location, &path, bytes).await?)
}
