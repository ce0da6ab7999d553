//! Errors of a lake.

use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_delta::DeltaError;
use sluicebox_stores::StoreError;

/// An operation of a lake or one of its tables failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A table failed.
    #[error(transparent)]
    Table(#[from] DeltaError),
    /// The lake's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state of a module is damaged.
    #[error("the state '{path}' is damaged")]
    State {
        /// The path from the lake's root.
        path: String,
    },
    /// A module or pipeline that a commit names is missing.
    #[error("'{path}' is not in the lake, though commits name it")]
    NotKept {
        /// Its path.
        path: String,
    },
    /// A stored module does not match its digest.
    #[error("'{path}' is not what was kept there: its SHA-256 is {found}")]
    NotItself {
        /// Its path.
        path: String,
        /// The digest of its content.
        found: String,
    },
}

impl Fault for LakeError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Table(error) => error.remedy(),
            Self::Store(error) => error.remedy(),
            Self::State { .. } | Self::NotKept { .. } | Self::NotItself { .. } => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Table(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::State { .. } => "restore the file from a backup, or delete the hop's tables to make them anew",
            Self::NotKept { .. } => "restore the file from a backup of the lake",
            Self::NotItself { .. } => "somebody changed it; restore the file from a backup of the lake",
        };
        Some(hint.to_owned())
    }
}

impl LakeError {
    /// Whether rows do not have the table's columns, so that whoever mends it wants to know which rows.
    pub fn is_drift(&self) -> bool {
        matches!(self, Self::Table(error) if error.is_drift())
    }
}
