//! What most commands begin and end with: arguments that several have, the service and the lake, and errors.

use std::path::PathBuf;

use super::Exit;
use crate::report;
use sluicebox_config::Loaded;
use sluicebox_core::fault::Fault;
use sluicebox_lake::Lake;
use sluicebox_service::{ErrorKind, NotStarted, OperationError, PipelineFile, RunStatus, Service, Session, open_lake};

/// The pipeline file and what fills it in.
#[derive(clap::Args)]
pub struct PipelineArgs {
    /// The pipeline file.
    pub file: PathBuf,
    /// The lake: a folder or a URL. Takes the place of the file's own.
    #[arg(long, value_name = "DIR|URL")]
    pub lake: Option<String>,
    /// Sets a variable of the pipeline; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub vars: Vec<(String, String)>,
}

/// Reads NAME=VALUE.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}

impl PipelineArgs {
    /// Reads the file, and prints what is odd about it. Gives it with the place of the lake.
    pub fn load(&self) -> Result<(Loaded, String), NotStarted> {
        let file = PipelineFile {
            path: self.file.clone(),
            vars: self.vars.iter().cloned().collect(),
            lake: self.lake.clone(),
        };
        let loaded = file.load()?;
        report::warnings(&loaded.warnings);
        let location = file.location(&loaded);
        Ok((loaded, location))
    }

    /// Does everything that comes before running.
    pub fn start(&self) -> Result<(Service, Session), NotStarted> {
        let (loaded, location) = self.load()?;
        let service = Service::start()?;
        let session = Session::open(&service, loaded, location)?;
        Ok((service, session))
    }
}

/// Starts the service and opens a lake.
pub fn start(location: &str) -> Result<(Service, Lake), NotStarted> {
    let lake = open_lake(location)?;
    Ok((Service::start()?, lake))
}

/// How a command ends: prints why, where it did not come to its end, to standard error and with `json` also as the
/// last line of standard output.
pub fn end(result: Result<Exit, OperationError>, json: bool) -> Exit {
    let error = match result {
        Ok(exit) => return exit,
        Err(error) => error,
    };
    report::operation(&error);
    if json {
        report::json_line(report::failed(&error.lines()));
    }
    error.kind().into()
}

/// Prints an error and says that it failed.
pub fn fail(error: &dyn Fault) -> Exit {
    report::error(error);
    Exit::Failed
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Failure => Self::Failed,
        }
    }
}

impl From<RunStatus> for Exit {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Done => Self::Done,
            RunStatus::Failed => Self::Failed,
            RunStatus::Interrupted => Self::Interrupted,
        }
    }
}
