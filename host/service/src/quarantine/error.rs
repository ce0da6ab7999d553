//! Errors of operations on quarantine.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{ErrorKind, NotStarted};
use crate::scratch::ScratchError;
use crate::table::TableError;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_formats::FormatError;
use sluicebox_lake::LakeError;
use sluicebox_pipeline::retry::RetryError;

/// Rows in quarantine could not be shown, exported or retried.
#[derive(Debug, Error)]
pub enum QuarantineError {
    /// The hop has no rows in quarantine.
    #[error("no row of hop `{hop}` is in quarantine")]
    Nothing {
        /// The hop.
        hop: String,
    },
    /// The hop's rows in quarantine have other reasons.
    #[error("no row of hop `{hop}` is in quarantine for the reason `{reason}`")]
    NoSuchReason {
        /// The hop.
        hop: String,
        /// The requested reason.
        reason: String,
        /// The present reasons.
        reasons: Vec<String>,
    },
    /// The file name does not tell the format.
    #[error("`{}` has no ending that says how to write it", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// A folder cannot be written to.
    #[error("cannot write in {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be finished.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The rows could not be written in the file's format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The lake has no tables, or cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no temporary folder for modules.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The sandbox could not be set up.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// The retry failed.
    #[error(transparent)]
    Retry(#[from] RetryError),
}

impl From<LakeError> for QuarantineError {
    fn from(error: LakeError) -> Self {
        Self::Table(error.into())
    }
}

impl QuarantineError {
    /// Whether the request was wrong or the work failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Ending { .. } => ErrorKind::Usage,
            Self::Table(error) => error.kind(),
            Self::NotStarted(error) => error.kind(),
            Self::Nothing { .. }
            | Self::NoSuchReason { .. }
            | Self::Folder { .. }
            | Self::File { .. }
            | Self::Format(_)
            | Self::Scratch(_)
            | Self::Retry(_) => ErrorKind::Failure,
        }
    }
}

impl Fault for QuarantineError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Format(error) => error.remedy(),
            Self::Table(error) => error.remedy(),
            Self::NotStarted(error) => error.remedy(),
            Self::Retry(error) => error.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing { .. } => Some("`sluice quarantine ls` shows which hops have some".into()),
            Self::NoSuchReason { reasons, .. } => {
                let reasons: Vec<String> = reasons.iter().map(|reason| format!("`{reason}`")).collect();
                Some(format!("its reasons: {}", reasons.join(", ")))
            }
            Self::Ending { .. } => Some("name a file that ends in .jsonl, .csv or .parquet".into()),
            Self::Folder { .. } | Self::File { .. } => None,
            Self::Format(error) => error.hint(),
            Self::Table(error) => error.hint(),
            Self::Scratch(_) => Some(ScratchError::HINT.into()),
            Self::NotStarted(error) => error.hint(),
            Self::Retry(error) => error.hint(),
        }
    }
}
