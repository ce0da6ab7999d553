//! Durable put-if-absent: creates whole files, only where none exist.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::error::StoreError;
use crate::location::Location;

/// A unique name for a commit or file.
pub fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Why a file was not created.
#[derive(Debug)]
pub enum PutError {
    /// A file of that name exists.
    Exists,
    /// Another error; the file may exist all the same.
    Failed(StoreError),
}

impl From<StoreError> for PutError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Creates a whole file, unless one of that name exists.
///
/// # Errors
/// A file of that name exists, or it is not known whether it was created.
pub async fn put_new(location: &Location, path: &Path, bytes: Bytes) -> Result<(), PutError> {
    if let Some(root) = &location.folder {
        let file = root.join(path.as_ref());
        let written = tokio::task::spawn_blocking(move || put_local(&file, &bytes));
        return written.await.map_err(StoreError::task("write to", &location.name))?;
    }
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match location.store().put_opts(path, bytes.into(), options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => Err(PutError::Exists),
        Err(error) => {
            let name = format!("{}/{path}", location.name.trim_end_matches('/'));
            Err(PutError::Failed(StoreError::object("write to the log", name)(error)))
        }
    }
}

/// Creates a local file atomically, also across a power cut, and never over another.
///
/// # Errors
/// As [`put_new`]. It blocks.
pub fn put_local(path: &FsPath, bytes: &[u8]) -> Result<(), PutError> {
    let folder = path.parent().unwrap_or(path);
    if !folder.exists() {
        create_folder(folder)?;
        // The table's folder and its parents may be new, too.
        for parent in folder.ancestors().skip(1).take(3) {
            sync_folder(parent)?;
        }
    }
    let draft = folder.join(format!(".{}.tmp", new_id()));
    let put = || -> io::Result<()> {
        let mut file = File::create_new(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // A hard link is the only way to create a whole file only where none exists.
        fs::hard_link(&draft, path)
    };
    let put = put();
    let _ = fs::remove_file(&draft);
    match put {
        Ok(()) => Ok(sync_folder(folder)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(PutError::Exists),
        Err(error) => Err(PutError::Failed(StoreError::io("write", path)(error))),
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// It cannot be created, or a file is in the way.
pub fn create_folder(folder: &FsPath) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(|source| match folder.ancestors().find(|path| path.exists() && !path.is_dir()) {
        Some(file) => StoreError::NotAFolder { path: file.display().to_string() },
        None => StoreError::Io { action: "create folder", path: folder.display().to_string(), source },
    })
}

/// Syncs a folder, so that the names in it survive a power cut.
///
/// # Errors
/// The file system fails.
pub fn sync_folder(folder: &FsPath) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("flush to disk", folder))
}

/// Removes data files that no commit will name. They are invisible, so a failure is harmless.
pub async fn discard(location: &Location, paths: Vec<String>) {
    let store: Arc<dyn ObjectStore> = location.store();
    for path in paths {
        let removed = match &location.folder {
            Some(folder) => fs::remove_file(folder.join(&path)).map_err(|error| error.to_string()),
            None => match Path::parse(&path) {
                Ok(path) => store.delete(&path).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(error) = removed {
            tracing::debug!(table = %location.name, path, error, "an unused data file stays behind");
        }
    }
}
