//! Where the bytes of a data file go: a local file, or the parts of an upload.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::runtime::Handle;

use crate::error::LakeError;
use crate::location::Location;

/// Bytes of one part of an upload; stores ask for at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts in flight: with the one being filled, they bound the memory of an upload.
const PARTS_IN_FLIGHT: usize = 2;

/// An open data file. Writing blocks, so it happens on a thread that may.
pub(crate) enum Sink {
    /// A file that is invisible until a commit names it.
    Local { file: File, path: PathBuf },
    /// An upload that does not exist until it is complete.
    Upload { upload: Option<WriteMultipart>, runtime: Handle, path: Path },
}

impl Sink {
    /// A new file at `path` below `location`.
    pub(crate) fn create(location: &Location, path: &str, runtime: &Handle) -> Result<Self, LakeError> {
        if let Some(folder) = &location.folder {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                create_folder(parent)?;
            }
            let file = File::create_new(&path).map_err(LakeError::io("create", &path))?;
            return Ok(Self::Local { file, path });
        }
        let name = format!("{}{path}", location.url);
        let path = Path::parse(path).map_err(|source| LakeError::Store {
            action: "name",
            path: name.clone(),
            source: Box::new(source.into()),
        })?;
        let store = location.store();
        let upload =
            runtime.block_on(store.put_multipart(&path)).map_err(LakeError::store("begin an upload to", name))?;
        let upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(Self::Upload { upload: Some(upload), runtime: runtime.clone(), path })
    }

    /// Makes the file whole and, on a local disk, sure to survive a power cut.
    pub(crate) fn finish(&mut self) -> Result<(), LakeError> {
        match self {
            Self::Local { file, path } => file.sync_all().map_err(LakeError::io("flush to disk", &path)),
            Self::Upload { upload, runtime, path } => {
                if let Some(upload) = upload.take() {
                    runtime.block_on(upload.finish()).map_err(LakeError::store("finish the upload of", path))?;
                }
                Ok(())
            }
        }
    }

    /// Gives up an upload: what was sent of it is removed in the background.
    pub(crate) fn cancel(&mut self) {
        if let Self::Upload { upload, runtime, path } = self
            && let Some(upload) = upload.take()
        {
            let path = path.clone();
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::debug!(%path, %error, "an unfinished upload stays behind");
                }
            });
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local { file, .. } => file.write(bytes),
            Self::Upload { upload: Some(upload), runtime, .. } => {
                runtime.block_on(async {
                    upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
                    upload.write(bytes);
                    Ok::<_, object_store::Error>(())
                })?;
                Ok(bytes.len())
            }
            Self::Upload { upload: None, .. } => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Local { file, .. } => file.flush(),
            Self::Upload { .. } => Ok(()),
        }
    }
}

/// Creates a folder and its parents, and says which path is in the way if that fails.
pub(crate) fn create_folder(folder: &FsPath) -> Result<(), LakeError> {
    fs::create_dir_all(folder).map_err(|source| match folder.ancestors().find(|path| path.exists() && !path.is_dir()) {
        Some(file) => LakeError::NotAFolder { path: file.display().to_string() },
        None => LakeError::Io { action: "create folder", path: folder.display().to_string(), source },
    })
}

/// Flushes a folder, so that the names in it survive a power cut as well as the files do.
pub(crate) fn sync_folder(folder: &FsPath) -> Result<(), LakeError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(LakeError::io("flush to disk", folder))
}

/// Removes a data file that no commit will name. It is invisible, so failing to is no harm.
pub(crate) async fn discard(location: &Location, paths: Vec<String>) {
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
