//! A file of this machine, opened as what it was when somebody looked at it.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::FormatError;

/// A regular file, and of how many bytes it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    path: PathBuf,
    bytes: Option<u64>,
}

impl LocalFile {
    /// A file that nobody writes to: all of it is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), bytes: None }
    }

    /// A file as it was listed: what is written behind its first `bytes` meanwhile is not read.
    pub fn listed(path: impl Into<PathBuf>, bytes: u64) -> Self {
        Self { path: path.into(), bytes: Some(bytes) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of it are read, where that was said.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Opens it. What took its place meanwhile and is no file, as a pipe without a writer, is refused and not
    /// waited for.
    ///
    /// # Errors
    /// It cannot be opened, or it is no regular file.
    pub fn open(&self) -> Result<File, FormatError> {
        // A file takes no notice of the flag.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&self.path);
        let file = file.map_err(FormatError::Open)?;
        match file.metadata().map_err(FormatError::Open)?.is_file() {
            true => Ok(file),
            false => Err(FormatError::Open(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))),
        }
    }

    /// Opens it for a format that has to see its end.
    ///
    /// # Errors
    /// As [`LocalFile::open`]; or its size is not what was listed.
    pub(crate) fn open_whole(&self) -> Result<File, FormatError> {
        let file = self.open()?;
        let found = file.metadata().map_err(FormatError::Open)?.len();
        match self.bytes {
            Some(listed) if listed != found => Err(FormatError::Resized { listed, found }),
            _ => Ok(file),
        }
    }
}
