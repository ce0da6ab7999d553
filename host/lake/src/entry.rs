//! Log entries: put whole, durably, and only where none is.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path as FsPath;

use bytes::Bytes;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::DeltaOperation;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions};
use serde_json::Value;
use tokio::task::JoinError;

use super::data::{create_folder, sync_folder};
use super::error::LakeError;
use super::location::Location;
use super::log;

/// A name that no other commit or file has.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Why a log entry was not put.
pub(super) enum EntryError {
    /// There is one of that version.
    Exists,
    /// Something else; it may have landed all the same.
    Failed(LakeError),
}

impl From<LakeError> for EntryError {
    fn from(error: LakeError) -> Self {
        Self::Failed(error)
    }
}

/// Puts the log entry of `version`, if there is none yet.
pub(super) async fn write_entry(
    location: &Location,
    version: u64,
    actions: Vec<Action>,
    operation: DeltaOperation,
    info: HashMap<String, Value>,
    transactions: Vec<Transaction>,
) -> Result<(), EntryError> {
    // Every folder that got a name, up to the table's own.
    let folders: BTreeSet<String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Add(add) => Some(add.path.as_str()),
            _ => None,
        })
        .flat_map(|path| path.match_indices('/').map(|(end, _)| path[..end].to_owned()).chain([String::new()]))
        .collect();
    let data = CommitData::new(actions, operation, info, transactions);
    let bytes = data.get_bytes().map_err(|error| LakeError::delta("write the log of", &location.name)(error.into()))?;
    let path = log::entry_path(version);
    if let Some(root) = location.folder.clone() {
        let flushed = tokio::task::spawn_blocking(move || {
            folders.into_iter().try_for_each(|folder| sync_folder(&root.join(folder)))
        });
        flushed.await.map_err(|source| task(location, source))??;
    }
    put_new(location, &path, bytes).await
}

fn task(location: &Location, source: JoinError) -> LakeError {
    LakeError::Task { action: "write the log of", table: location.name.clone(), source }
}

/// Puts a file of the log whole, unless there is one of that name.
pub(super) async fn put_new(location: &Location, path: &Path, bytes: Bytes) -> Result<(), EntryError> {
    if let Some(root) = &location.folder {
        let file = root.join(path.as_ref());
        let written = tokio::task::spawn_blocking(move || put_local(&file, &bytes));
        return written.await.map_err(|source| task(location, source))?;
    }
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match location.store().put_opts(path, bytes.into(), options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => Err(EntryError::Exists),
        Err(error) => {
            let name = format!("{}/{path}", location.name.trim_end_matches('/'));
            Err(EntryError::Failed(LakeError::store("write to the log", name)(error)))
        }
    }
}

/// Puts a file that is either whole or not there, also after a power cut, and never over another.
pub(super) fn put_local(path: &FsPath, bytes: &[u8]) -> Result<(), EntryError> {
    let folder = path.parent().unwrap_or(path);
    if !folder.exists() {
        create_folder(folder)?;
        // The table's folder and its parents may be as new as the log.
        for parent in folder.ancestors().skip(1).take(3) {
            sync_folder(parent)?;
        }
    }
    let draft = folder.join(format!(".{}.tmp", new_id()));
    let put = || -> io::Result<()> {
        let mut file = File::create_new(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A hard link is the one way to put a whole file only where none is.
        fs::hard_link(&draft, path)
    };
    let put = put();
    let _ = fs::remove_file(&draft);
    match put {
        Ok(()) => Ok(sync_folder(folder)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(EntryError::Exists),
        Err(error) => Err(EntryError::Failed(LakeError::io("write", path)(error))),
    }
}
