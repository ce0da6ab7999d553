//! Tests modules with fixtures: rows in, expected rows out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::error::{ErrorKind, NotStarted};
use crate::pipeline_file::PipelineFile;
use crate::service::Service;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::Limits;
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::fixture::{self, CaseResult};
use sluicebox_sandbox::{Sandbox, spawn_guest_thread};

/// What to test.
#[derive(Clone, Debug)]
pub enum FixturesRequest {
    /// One compiled module.
    Module {
        /// The component.
        path: PathBuf,
        /// Its configuration, a JSON object.
        config: String,
        /// The folder with its cases.
        fixtures: PathBuf,
    },
    /// Every hop of a pipeline that names fixtures, with its own settings.
    Pipeline {
        /// The file.
        path: PathBuf,
        /// Values of its variables, by name.
        vars: BTreeMap<String, String>,
    },
}

/// The result of the fixtures of one module or hop.
pub struct Tested {
    /// The module's or the hop's name.
    pub name: String,
    /// Every case, or why none could be run.
    pub cases: Result<Vec<CaseResult>, PipelineError>,
}

/// Why nothing could be tested.
#[derive(Debug, Error)]
pub enum FixturesError {
    /// The configuration of a module is not a JSON object.
    #[error("`--config` is not a JSON object: {config}")]
    Config {
        /// The text.
        config: String,
    },
    /// The pipeline names no fixtures.
    #[error(transparent)]
    Fixture(Box<PipelineError>),
    /// The pipeline file is wrong, or the sandbox cannot be set up.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),
    /// The operating system refused a thread.
    #[error("the test thread could not run: {0}")]
    Thread(#[source] io::Error),
    /// A panic of this program in the thread that runs modules.
    #[error("the test thread could not run")]
    Panic,
}

/// A module and its cases.
struct Subject {
    name: String,
    path: PathBuf,
    config: String,
    limits: Limits,
    fixtures: PathBuf,
}

/// Whether a path looks like a compiled component.
pub fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm")
}

/// Runs fixtures. Blocks.
///
/// # Errors
/// Why nothing could be tested.
pub fn test(service: &Service, request: FixturesRequest) -> Result<Vec<Tested>, FixturesError> {
    let subjects = subjects(request)?;
    let sandbox = service.sandbox()?;
    let test = move || -> Vec<Tested> {
        let tested = subjects.into_iter();
        tested.map(|subject| Tested { cases: cases(&sandbox, &subject), name: subject.name }).collect()
    };
    let thread = spawn_guest_thread("test", test).map_err(FixturesError::Thread)?;
    thread.join().map_err(|_| FixturesError::Panic)
}

fn subjects(request: FixturesRequest) -> Result<Vec<Subject>, FixturesError> {
    let (path, vars) = match request {
        FixturesRequest::Module { path, config, fixtures } => {
            if !matches!(serde_json::from_str(&config), Ok(serde_json::Value::Object(_))) {
                return Err(FixturesError::Config { config });
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(vec![Subject { name, path, config, limits: Limits::default(), fixtures }]);
        }
        FixturesRequest::Pipeline { path, vars } => (path, vars),
    };
    let loaded = PipelineFile { path: path.clone(), vars, lake: None }.load()?;
    let hops = loaded.plan.hops.into_iter().filter_map(|hop| {
        let module = hop.module?;
        Some(Subject {
            name: hop.name,
            path: module.path,
            config: module.config,
            limits: module.limits,
            fixtures: module.fixtures?,
        })
    });
    let subjects: Vec<Subject> = hops.collect();
    if subjects.is_empty() {
        let error = PipelineError::Fixture { path, message: "no hop of it names `fixtures`".into() };
        return Err(FixturesError::Fixture(Box::new(error)));
    }
    Ok(subjects)
}

fn cases(sandbox: &Arc<Sandbox>, subject: &Subject) -> Result<Vec<CaseResult>, PipelineError> {
    let module = sandbox.load(&subject.path).map_err(|source| PipelineError::Admission {
        hop: subject.name.clone(),
        path: subject.path.clone(),
        source: Box::new(source),
    })?;
    fixture::run(&module, &subject.config, &subject.limits, &subject.fixtures)
}

impl FixturesError {
    /// Whether the request was wrong or the work failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Usage,
            Self::NotStarted(error) => error.kind(),
            Self::Fixture(_) | Self::Thread(_) | Self::Panic => ErrorKind::Failure,
        }
    }
}

impl Fault for FixturesError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::NotStarted(error) => error.remedy(),
            Self::Fixture(error) => error.remedy(),
            Self::Config { .. } | Self::Thread(_) | Self::Panic => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config { .. } => Some("write it in single quotes: --config '{\"country\": \"FR\"}'".into()),
            Self::NotStarted(error) => error.hint(),
            Self::Fixture(error) => error.hint(),
            Self::Thread(_) | Self::Panic => None,
        }
    }
}
