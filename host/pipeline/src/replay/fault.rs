//! Errors of a replay.

use thiserror::Error;

use crate::PipelineError;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_lake::LakeError;

/// Why a replay would not be exact and is refused, or why it failed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No table names the hop as its maker.
    #[error("no table of this lake was made by hop `{hop}`")]
    NoHop {
        /// The hop.
        hop: String,
    },
    /// Hops of several pipelines have that name.
    #[error("hop `{hop}` is in several pipelines: {}", pipelines.join(", "))]
    Ambiguous {
        /// The hop.
        hop: String,
        /// Their names.
        pipelines: Vec<String>,
    },
    /// The hop lands a source, so there is nothing to replay it from.
    #[error("hop `{hop}` lands a source in {table}, and there is nothing below that to make it from")]
    Landing {
        /// The hop.
        hop: String,
        /// Its table.
        table: String,
    },
    /// Commits that are needed are no longer in the log.
    #[error("versions {first} to {last} of {table} are no longer in its log, so nobody knows what made them")]
    Gone {
        /// The table.
        table: String,
        /// The oldest.
        first: u64,
        /// The newest.
        last: u64,
    },
    /// Another program changed rows.
    #[error("version {version} of {table} was made by {engine} ({operation}), not by a hop")]
    Foreign {
        /// The table.
        table: String,
        /// The version.
        version: u64,
        /// The engine in the commit.
        engine: String,
        /// The operation in the commit.
        operation: String,
    },
    /// Rows were retried from quarantine.
    #[error("version {version} of {table} holds rows that were retried from quarantine")]
    Retried {
        /// The table.
        table: String,
        /// The version.
        version: u64,
    },
    /// A commit lacks part of its provenance.
    #[error("version {version} of {table} does not say {missing}")]
    Unsaid {
        /// The table.
        table: String,
        /// The version.
        version: u64,
        /// What is missing.
        missing: String,
    },
    /// The stored pipeline cannot be read.
    #[error("the pipeline {hash} that was kept in the lake cannot be used")]
    Artifacts {
        /// Its hash.
        hash: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What helps.
        hint: Option<String>,
    },
    /// The stored pipeline does not match its hash.
    #[error("the pipeline {hash} that was kept in the lake was changed: its hash is {found}")]
    Changed {
        /// Its name.
        hash: String,
        /// The hash of its content.
        found: String,
    },
    /// The stored pipeline lacks a hop or table that a commit names.
    #[error("the pipeline {hash} that was kept in the lake lacks {missing}, which commits name")]
    Lacks {
        /// Its name.
        hash: String,
        /// What it lacks.
        missing: String,
    },
    /// The start is not a version or position of this table.
    #[error("{table} cannot be replayed from {from}: {reason}")]
    From {
        /// The table.
        table: String,
        /// As it was asked for.
        from: String,
        /// Why not.
        reason: String,
    },
    /// Several hops write tables in turns that cannot be separated.
    #[error("{table} is written by several hops, one of which writes other tables too")]
    Tangled {
        /// The table.
        table: String,
    },
    /// A table depends on itself.
    #[error("{table} is made out of itself")]
    Circle {
        /// The table.
        table: String,
    },
    /// The target lake is not empty.
    #[error("{into} holds tables already")]
    Occupied {
        /// The folder.
        into: String,
    },
    /// A file could not be written.
    #[error("could not write {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A table could not be read.
    #[error(transparent)]
    Lake(#[from] Box<LakeError>),
    /// A hop failed during the replay.
    #[error(transparent)]
    Pipeline(#[from] Box<PipelineError>),
}

impl From<sluicebox_delta::DeltaError> for ReplayError {
    fn from(error: sluicebox_delta::DeltaError) -> Self {
        LakeError::from(error).into()
    }
}

impl From<LakeError> for ReplayError {
    fn from(error: LakeError) -> Self {
        Self::Lake(Box::new(error))
    }
}

impl From<PipelineError> for ReplayError {
    fn from(error: PipelineError) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

impl Fault for ReplayError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Lake(source) => source.remedy(),
            Self::Pipeline(source) => source.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let later = |version: u64| {
            Some(format!(
                "`--from {version}` takes the rows up to that version as they are and replays what came after it"
            ))
        };
        match self {
            Self::NoHop { .. } => {
                Some("`sluice history TABLE` shows the hops that made a table; is --lake the right one?".into())
            }
            Self::Ambiguous { .. } => Some("name the pipeline's file behind the hop".into()),
            Self::Landing { .. } => Some("name a hop that reads a table".into()),
            Self::Gone { last, .. } => later(last + 1),
            Self::Foreign { version, .. } | Self::Retried { version, .. } | Self::Unsaid { version, .. } => {
                later(*version)
            }
            Self::Artifacts { hint, .. } => hint.clone(),
            Self::Changed { .. } | Self::Lacks { .. } => {
                Some("restore the file in `_pipelines` from a backup of the lake".into())
            }
            Self::From { .. } => Some("`sluice history TABLE` shows versions and positions".into()),
            Self::Occupied { .. } => Some("name an empty folder, or leave `--into` out".into()),
            Self::Lake(source) => source.hint(),
            Self::Pipeline(source) => source.hint(),
            Self::Tangled { .. } | Self::Circle { .. } | Self::Io { .. } => None,
        }
    }
}
