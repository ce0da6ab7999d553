//! What can go wrong with a lake, and what to do about it.

use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_delta::DeltaError;
use sluicebox_stores::StoreError;

/// A lake or one of its tables could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// One of its tables could not.
    #[error(transparent)]
    Table(#[from] DeltaError),
    /// The place of the lake could not be reached, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state is not what was put there.
    #[error("the state '{path}' is damaged")]
    State {
        /// From the lake's root.
        path: String,
    },
    /// A module or pipeline that a commit names was never kept, or was removed.
    #[error("'{path}' is not in the lake, though commits name it")]
    NotKept {
        /// Where it should be.
        path: String,
    },
    /// A kept module is not the one that its name says.
    #[error("'{path}' is not what was kept there: its SHA-256 is {found}")]
    NotItself {
        /// Where it lies.
        path: String,
        /// Its digest.
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
