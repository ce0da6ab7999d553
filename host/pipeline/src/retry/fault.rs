//! Errors of a retry.

use thiserror::Error;

use crate::PipelineError;
use crate::replay::ReplayError;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_lake::LakeError;

/// Why a retry is refused or failed. Every row is then where it was, or the next retry finishes what this one began.
#[derive(Debug, Error)]
pub enum RetryError {
    /// The pipeline has no such hop.
    #[error("the pipeline has no hop `{hop}`; its hops: {}", hops.join(", "))]
    NoHop {
        /// The hop.
        hop: String,
        /// Those that it has.
        hops: Vec<String>,
    },
    /// The hop reads its whole upstream whenever it runs.
    #[error("hop `{hop}` takes its whole upstream every time, so its rows come back by running it")]
    Whole {
        /// The hop.
        hop: String,
    },
    /// The output of the module for a row depends on other rows.
    #[error("the module `{module}` of hop `{hop}` does not take rows one by one, so single rows cannot come back")]
    NotByRow {
        /// The hop.
        hop: String,
        /// The module.
        module: String,
    },
    /// Every attempt lost the race against other writers of the quarantine.
    #[error("the quarantine of hop `{hop}` was written to during each of {attempts} attempts to take rows out of it")]
    Busy {
        /// The hop.
        hop: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// An interrupted retry needs something that no longer exists.
    #[error("an earlier retry of hop `{hop}` was interrupted, and it cannot be finished: {why}")]
    Stuck {
        /// The hop.
        hop: String,
        /// What is missing.
        why: String,
    },
    /// A temporary file could not be made.
    #[error("no temporary folder could be made")]
    Scratch(#[source] std::io::Error),
    /// The artifacts of an interrupted retry cannot be read.
    #[error("an earlier retry was interrupted, and what it ran with is needed to finish it")]
    Unfinished(#[source] Box<ReplayError>),
    /// A table could not be read or written.
    #[error(transparent)]
    Lake(#[from] Box<LakeError>),
    /// The hop could not be set up, or its module failed.
    #[error(transparent)]
    Pipeline(#[from] Box<PipelineError>),
}

impl From<sluicebox_delta::DeltaError> for RetryError {
    fn from(error: sluicebox_delta::DeltaError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<LakeError> for RetryError {
    fn from(error: LakeError) -> Self {
        Self::Lake(Box::new(error))
    }
}

impl From<PipelineError> for RetryError {
    fn from(error: PipelineError) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

impl Fault for RetryError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Busy { .. } => Remedy::Retry,
            Self::Lake(source) => source.remedy(),
            Self::Pipeline(source) => source.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Whole { .. } => Some("run the pipeline: what is not refused any more leaves quarantine".into()),
            Self::NotByRow { .. } => {
                Some("a module that promises to be row-preserving can take single rows; otherwise load the corrected rows through the source".into())
            }
            Self::Busy { .. } => Some("retry again when the pipeline is not running".into()),
            Self::Unfinished(source) => source.hint(),
            Self::Lake(source) => source.hint(),
            Self::Pipeline(source) => source.hint(),
            Self::Stuck { .. } => Some("put back what is missing and retry again".into()),
            Self::NoHop { .. } | Self::Scratch(_) => None,
        }
    }
}
