//! What most commands begin with: the pipeline file, the lake, the sandbox, a runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Exit;
use crate::report;
use sluicebox_config::{self as config, Loaded, Problems};
use sluicebox_core::fault::{Fault, in_one_line};
use sluicebox_lake::Lake;
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::bind::{Bound, bind};
use sluicebox_sandbox::{CacheDir, Sandbox};

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
    /// Reads the file; prints every problem in it.
    pub fn load(&self) -> Result<Loaded, Exit> {
        let loaded = self.read().map_err(|problems| {
            report::problems(&problems);
            Exit::Usage
        })?;
        report::warnings(&loaded.warnings);
        Ok(loaded)
    }

    /// Reads the file.
    fn read(&self) -> Result<Loaded, Problems> {
        let vars: BTreeMap<_, _> = self.vars.iter().cloned().collect();
        config::load(&self.file, &vars)
    }

    /// Where the lake is: as the command line says, else as the file says.
    pub fn lake(&self, loaded: &Loaded) -> String {
        self.lake.clone().or_else(|| loaded.lake.clone()).unwrap_or_else(|| "lake".into())
    }
}

/// A plan, bound to its modules and its lake.
pub struct Session {
    /// The file as it was read.
    pub loaded: Loaded,
    /// Where the lake is, for printing.
    pub location: String,
    /// The lake.
    pub lake: Lake,
    /// The modules and the tables' columns.
    pub bound: Bound,
    /// For I/O.
    pub runtime: Runtime,
}

/// Why nothing ran. It is printed already.
pub struct NotStarted {
    /// How the program ends.
    pub exit: Exit,
    /// What was wrong, each in one line.
    pub errors: Vec<String>,
}

impl From<Exit> for NotStarted {
    fn from(exit: Exit) -> Self {
        Self { exit, errors: vec!["the run could not be set up; standard error says why".into()] }
    }
}

impl Session {
    /// Does everything that comes before running; prints what is wrong.
    pub fn start(args: &PipelineArgs) -> Result<Self, NotStarted> {
        let loaded = args.read().map_err(|problems| {
            report::problems(&problems);
            NotStarted { exit: Exit::Usage, errors: problems.iter().map(|problem| problem.message.clone()).collect() }
        })?;
        report::warnings(&loaded.warnings);
        let location = args.lake(&loaded);
        let runtime = runtime()?;
        let sandbox = sandbox()?;
        let lake = open_lake(&location)?;
        let bound = bind(&loaded.plan, &sandbox, &lake, runtime.handle()).map_err(|problems| {
            for problem in &problems {
                print(problem, Some(&loaded));
            }
            // What the file says or names is wrong; what the lake or a disk does is a failure.
            let usage = problems.iter().all(|problem| match problem {
                PipelineError::Admission { .. }
                | PipelineError::Describe { .. }
                | PipelineError::Bind { .. }
                | PipelineError::Ports { .. }
                | PipelineError::Table { .. }
                | PipelineError::Expect { .. } => true,
                PipelineError::Source { source, .. } => source.is_misnamed(),
                _ => false,
            });
            let errors = problems.iter().map(|problem| in_one_line(problem)).collect();
            NotStarted { exit: if usage { Exit::Usage } else { Exit::Failed }, errors }
        })?;
        Ok(Self { loaded, location, lake, bound, runtime })
    }
}

/// Prints an error of the pipeline, drawn at the place in its file where it belongs to one.
pub fn print(error: &PipelineError, loaded: Option<&Loaded>) {
    match (error.key(), loaded) {
        (Some(key), Some(loaded)) => report::problem(&loaded.places.fault(&key, error)),
        _ => report::error(error),
    }
}

/// Opens the lake, or prints why not.
pub fn open_lake(location: &str) -> Result<Lake, Exit> {
    Lake::open(location).map_err(|error| fail(&PipelineError::OpenLake(Box::new(error))))
}

/// Sets up the sandbox, or prints why not.
pub fn sandbox() -> Result<Arc<Sandbox>, Exit> {
    Sandbox::new(CacheDir::User).map_err(|error| fail(&PipelineError::Sandbox(Box::new(error))))
}

/// Starts the runtime that does I/O, or prints why not.
pub fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| {
        report::message(
            &format!("the runtime could not start: {error}"),
            Some("is a limit on threads or open files set?"),
        );
        Exit::Failed
    })
}

/// Prints an error and says that it failed.
pub fn fail(error: &dyn Fault) -> Exit {
    report::error(error);
    Exit::Failed
}

/// Whether a path looks like a compiled component.
pub fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm")
}

/// Says that a lake has no tables, which is seldom what was meant.
pub fn no_tables(location: &str) -> Exit {
    report::message(&format!("{location} holds no tables"), Some("is --lake the folder that `sluice run` wrote to?"));
    Exit::Failed
}
