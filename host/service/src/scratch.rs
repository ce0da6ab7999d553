//! Temporary folders of operations.

use std::io;

use tempfile::TempDir;
use thiserror::Error;

/// No temporary folder could be created.
#[derive(Debug, Error)]
#[error("no temporary folder could be made: {0}")]
pub struct ScratchError(#[source] io::Error);

impl ScratchError {
    /// The hint.
    pub(crate) const HINT: &str = "is TMPDIR writable?";
}

/// A folder that is removed when it is dropped.
pub(crate) fn folder() -> Result<TempDir, ScratchError> {
    TempDir::new().map_err(ScratchError)
}
