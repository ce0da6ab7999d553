//! Errors of operations, and whether the request or the work was wrong.

use std::io;

use thiserror::Error;

use crate::fixtures::FixturesError;
use crate::quarantine::QuarantineError;
use crate::replay::NotReplayed;
use crate::table::TableError;
use sluicebox_config::{Loaded, Problems};
use sluicebox_core::fault::{Fault, Remedy, in_one_line};
use sluicebox_pipeline::PipelineError;

/// Whether a request was wrong, or the work failed. A command line maps it to exit codes, a server to HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: a pipeline file, a name, an argument. The same request gives the same answer.
    Usage,
    /// The request was right, and doing it failed.
    Failure,
}

/// Any error of an operation.
#[derive(Debug, Error)]
pub enum OperationError {
    /// Nothing was run.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// A lake or a table could not be read or maintained.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An operation on quarantine failed.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// A replay failed.
    #[error(transparent)]
    Replay(#[from] NotReplayed),
    /// Fixtures could not be run.
    #[error(transparent)]
    Fixtures(#[from] FixturesError),
}

/// Why an operation on a pipeline ended before it did anything.
#[derive(Debug, Error)]
pub enum NotStarted {
    /// The pipeline file is not valid.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The pipeline does not fit its modules, its sources or the existing tables.
    #[error("the pipeline could not be bound: {}", lines(problems).join("; "))]
    Unbound {
        /// The file, with the places of the problems.
        loaded: Box<Loaded>,
        /// All problems; never empty.
        problems: Vec<PipelineError>,
    },
    /// The lake could not be opened, or the sandbox could not be set up.
    #[error(transparent)]
    Pipeline(#[from] Box<PipelineError>),
    /// The operating system refused threads or files for the runtime.
    #[error("the runtime could not start: {0}")]
    Runtime(#[source] io::Error),
}

fn lines(problems: &[PipelineError]) -> Vec<String> {
    problems.iter().map(|problem| in_one_line(problem)).collect()
}

impl OperationError {
    /// Whether the request was wrong or the work failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotStarted(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::Quarantine(error) => error.kind(),
            Self::Replay(error) => error.kind(),
            Self::Fixtures(error) => error.kind(),
        }
    }

    /// The errors, each in one line with its causes.
    pub fn lines(&self) -> Vec<String> {
        match self.not_started() {
            Some(error) => error.lines(),
            None => vec![in_one_line(self)],
        }
    }

    /// Why nothing was started, if nothing was.
    pub fn not_started(&self) -> Option<&NotStarted> {
        match self {
            Self::NotStarted(error)
            | Self::Quarantine(QuarantineError::NotStarted(error))
            | Self::Replay(NotReplayed::NotStarted(error))
            | Self::Fixtures(FixturesError::NotStarted(error)) => Some(error),
            Self::Table(_) | Self::Quarantine(_) | Self::Replay(_) | Self::Fixtures(_) => None,
        }
    }

    fn inner(&self) -> &dyn Fault {
        match self {
            Self::NotStarted(error) => error,
            Self::Table(error) => error,
            Self::Quarantine(error) => error,
            Self::Replay(error) => error,
            Self::Fixtures(error) => error,
        }
    }
}

impl Fault for OperationError {
    fn remedy(&self) -> Remedy {
        self.inner().remedy()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }
}

impl NotStarted {
    /// Whether the pipeline file is wrong, or something that it needs failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Problems(_) => ErrorKind::Usage,
            Self::Unbound { problems, .. } if problems.iter().all(PipelineError::is_in_file) => ErrorKind::Usage,
            Self::Unbound { .. } | Self::Pipeline(_) | Self::Runtime(_) => ErrorKind::Failure,
        }
    }

    /// The errors, each in one line.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.iter().map(|problem| problem.message.clone()).collect(),
            Self::Unbound { problems, .. } => lines(problems),
            Self::Pipeline(_) | Self::Runtime(_) => vec![in_one_line(self)],
        }
    }
}

impl Fault for NotStarted {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Pipeline(error) => error.remedy(),
            Self::Unbound { problems, .. } if problems.iter().all(|problem| problem.remedy() == Remedy::Retry) => {
                Remedy::Retry
            }
            Self::Problems(_) | Self::Unbound { .. } | Self::Runtime(_) => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Problems(problems) => problems.hint(),
            Self::Unbound { problems, .. } => match problems.as_slice() {
                [only] => only.hint(),
                _ => None,
            },
            Self::Pipeline(error) => error.hint(),
            Self::Runtime(_) => Some("is a limit on threads or open files set?".into()),
        }
    }
}
