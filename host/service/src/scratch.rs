//! Folders for the time of one operation.

use std::io;

use tempfile::TempDir;
use thiserror::Error;

/// No temporary folder could be made.
#[derive(Debug, Error)]
#[error("no temporary folder could be made: {0}")]
pub struct ScratchError(#[source] io::Error);

impl ScratchError {
    /// What helps.
    pub(crate) const HINT: &str = "is TMPDIR writable?";
}

/// A folder that is removed when it is dropped.
pub(crate) fn folder() -> Result<TempDir, ScratchError> {
    TempDir::new().map_err(ScratchError)
}
