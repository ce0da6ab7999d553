//! A file being written: a local file, or the parts of an upload.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::location::Location;
use crate::put::create_folder;

/// Bytes of one part of an upload; stores require at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts in flight. With the part being filled, they bound the memory of an upload.
const PARTS_IN_FLIGHT: usize = 2;

/// An open file. Writing blocks.
#[derive(Debug)]
pub enum Upload {
    /// A local file.
    Local {
        /// Open for writing.
        file: File,
        /// Its path.
        path: PathBuf,
    },
    /// Parts of an upload, which are no file until it is completed.
    Parts {
        /// Taken when it is finished or cancelled.
        upload: Option<WriteMultipart>,
        /// Sends the parts.
        runtime: Handle,
        /// The path of the file.
        path: Path,
    },
}

impl Upload {
    /// A new file at `path` below `location`.
    pub fn create(location: &Location, path: &str, runtime: &Handle) -> Result<Self, StoreError> {
        if let Some(folder) = &location.folder {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                create_folder(parent)?;
            }
            let file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
            return Ok(Self::Local { file, path });
        }
        let name = format!("{}{path}", location.url);
        let path = Path::parse(path).map_err(|source| StoreError::Object {
            action: "name",
            path: name.clone(),
            source: Box::new(source.into()),
        })?;
        let store = location.store();
        let upload =
            runtime.block_on(store.put_multipart(&path)).map_err(StoreError::object("begin an upload to", name))?;
        let upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        Ok(Self::Parts { upload: Some(upload), runtime: runtime.clone(), path })
    }

    /// Completes the file and, on a local disk, syncs it.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Local { file, path } => file.sync_all().map_err(StoreError::io("flush to disk", &path)),
            Self::Parts { upload, runtime, path } => {
                if let Some(upload) = upload.take() {
                    runtime.block_on(upload.finish()).map_err(StoreError::object("finish the upload of", path))?;
                }
                Ok(())
            }
        }
    }

    /// Cancels an upload: its parts are removed in the background.
    pub fn cancel(&mut self) {
        if let Self::Parts { upload, runtime, path } = self
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

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local { file, .. } => file.write(bytes),
            Self::Parts { upload: Some(upload), runtime, .. } => {
                runtime.block_on(async {
                    upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
                    upload.write(bytes);
                    Ok::<_, object_store::Error>(())
                })?;
                Ok(bytes.len())
            }
            Self::Parts { upload: None, .. } => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Local { file, .. } => file.flush(),
            Self::Parts { .. } => Ok(()),
        }
    }
}
