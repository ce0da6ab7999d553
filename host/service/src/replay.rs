//! Replays tables from bronze, and compares them with the lake.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{ErrorKind, NotStarted};
use crate::scratch::{self, ScratchError};
use crate::service::{Service, open_lake};
use sluicebox_config as config;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::Plan;
use sluicebox_lake::Lake;
use sluicebox_pipeline::replay::{self as pipeline, Replay, ReplayError, Replayed, Start};

/// What to replay, and where.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRequest<'a> {
    /// The lake. It is only read.
    pub lake: &'a Lake,
    /// The hop whose tables are replayed.
    pub hop: &'a str,
    /// Its pipeline, if several have a hop of this name.
    pub pipeline: Option<&'a str>,
    /// The start; without it, the beginning.
    pub from: Option<Start>,
    /// The empty lake for the replayed tables; without it they are removed.
    pub into: Option<&'a Lake>,
}

/// Why a replay failed or would not be exact.
#[derive(Debug, Error)]
pub enum NotReplayed {
    /// There is no temporary folder for tables and modules.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A folder in it could not be created.
    #[error("{} could not be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sandbox, or a lake for the tables, cannot be opened.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// Why an exact replay is impossible, or what failed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Replays the tables of a hop: every recorded commit of every hop between it and bronze, with the module, the
/// configuration and the positions in the log. Then compares them with those in the lake. Blocks.
///
/// # Errors
/// Why it cannot be exact, or what failed. Differing tables are not an error.
pub fn replay(service: &Service, request: ReplayRequest<'_>) -> Result<Replayed, NotReplayed> {
    let folder = scratch::folder()?;
    let modules = folder.path().join("modules");
    if let Err(source) = std::fs::create_dir(&modules) {
        return Err(NotReplayed::Folder { path: modules, source });
    }
    let into = match request.into {
        Some(into) => into.clone(),
        None => open_lake(&folder.path().join("lake").display().to_string())?,
    };
    let replay = Replay {
        lake: request.lake,
        into: &into,
        scratch: &modules,
        hop: request.hop,
        pipeline: request.pipeline,
        from: request.from,
        read: &read_plan,
        sandbox: &service.sandbox()?,
        runtime: service.handle(),
    };
    Ok(pipeline::replay(&replay)?)
}

/// Parses a pipeline that is stored in the lake under its hash.
pub(crate) fn read_plan(hash: &str, text: String) -> Result<Plan, Box<dyn Fault>> {
    let name = format!("_pipelines/{hash}.toml");
    config::reload(&name, text).map(|loaded| loaded.plan).map_err(|problems| Box::new(problems) as Box<dyn Fault>)
}

impl NotReplayed {
    /// Whether the request was wrong or the work failed. A replay that cannot be exact is a wrong request.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Scratch(_) | Self::Folder { .. } => ErrorKind::Failure,
            Self::NotStarted(error) => error.kind(),
            Self::Replay(_) => ErrorKind::Usage,
        }
    }
}

impl Fault for NotReplayed {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Scratch(_) | Self::Folder { .. } => Remedy::Stop,
            Self::NotStarted(error) => error.remedy(),
            Self::Replay(error) => error.remedy(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Scratch(_) => Some(ScratchError::HINT.into()),
            Self::Folder { .. } => None,
            Self::NotStarted(error) => error.hint(),
            Self::Replay(error) => error.hint(),
        }
    }
}
