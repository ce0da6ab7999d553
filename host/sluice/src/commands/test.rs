//! `sluice test`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Exit;
use super::session::{fail, is_module, print, sandbox, variable};
use crate::report;
use sluicebox_config as config;
use sluicebox_core::plan::Limits;
use sluicebox_pipeline::PipelineError;
use sluicebox_pipeline::fixture::{self, CaseResult};
use sluicebox_sandbox::{Sandbox, spawn_guest_thread};

#[derive(clap::Args)]
#[command(after_help = "\
A case is a folder: in/<port>.jsonl for every input port, out/<port>.jsonl for every output
port, rejected.jsonl with {\"row\": 0, \"code\": \"…\"} lines, and config.json if the module needs
settings. Given a module, its cases are in --fixtures; given a pipeline, every hop that names
`fixtures` is tested with its own settings.

  sluice test target/wasm32-wasip2/release/clean.wasm --fixtures fixtures
  sluice test pipelines/retail.toml --var data=.")]
pub struct Args {
    /// A compiled module, or a pipeline file.
    file: PathBuf,
    /// The folder with the cases of a module.
    #[arg(long, default_value = "fixtures")]
    fixtures: PathBuf,
    /// The module's configuration, as JSON.
    #[arg(long, default_value = "{}")]
    config: String,
    /// Sets a variable of the pipeline; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
}

/// A module and where its cases are.
struct Subject {
    name: String,
    path: PathBuf,
    config: String,
    limits: Limits,
    fixtures: PathBuf,
}

/// Runs fixtures.
pub fn run(args: &Args) -> Exit {
    let subjects = match subjects(args) {
        Ok(subjects) => subjects,
        Err(exit) => return exit,
    };
    let sandbox = match sandbox() {
        Ok(sandbox) => sandbox,
        Err(exit) => return exit,
    };
    let tested = spawn_guest_thread("test", move || {
        subjects.iter().map(|subject| (subject.name.clone(), cases(&sandbox, subject))).collect::<Vec<_>>()
    });
    let tested = match tested.map(std::thread::JoinHandle::join) {
        Ok(Ok(tested)) => tested,
        Ok(Err(_)) | Err(_) => {
            report::message("the test thread could not run", None);
            return Exit::Failed;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for (name, result) in tested {
        match result {
            Ok(cases) => {
                for case in cases {
                    if case.differences.is_empty() {
                        passed += 1;
                        report::line(format_args!("  ok     {name}/{}", case.name));
                    } else {
                        failed += 1;
                        report::line(format_args!("  FAILED {name}/{}", case.name));
                        for difference in case.differences {
                            report::line(format_args!("    {difference}"));
                        }
                    }
                }
            }
            Err(error) => {
                failed += 1;
                print(&error, None);
            }
        }
    }
    report::line(format_args!("{passed} passed, {failed} failed"));
    if failed == 0 { Exit::Done } else { Exit::Failed }
}

fn subjects(args: &Args) -> Result<Vec<Subject>, Exit> {
    if is_module(&args.file) {
        if !matches!(serde_json::from_str(&args.config), Ok(serde_json::Value::Object(_))) {
            report::message(
                &format!("`--config` is not a JSON object: {}", args.config),
                Some("write it in single quotes: --config '{\"country\": \"FR\"}'"),
            );
            return Err(Exit::Usage);
        }
        let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![Subject {
            name,
            path: args.file.clone(),
            config: args.config.clone(),
            limits: Limits::default(),
            fixtures: args.fixtures.clone(),
        }]);
    }
    let loaded = config::load(&args.file, &args.vars.iter().cloned().collect()).map_err(|problems| {
        report::problems(&problems);
        Exit::Usage
    })?;
    let subjects: Vec<_> = loaded
        .plan
        .hops
        .into_iter()
        .filter_map(|hop| {
            let module = hop.module?;
            Some(Subject {
                name: hop.name,
                path: module.path,
                config: module.config,
                limits: module.limits,
                fixtures: module.fixtures?,
            })
        })
        .collect();
    if subjects.is_empty() {
        let error = PipelineError::Fixture { path: args.file.clone(), message: "no hop of it names `fixtures`".into() };
        return Err(fail(&error));
    }
    Ok(subjects)
}

fn cases(sandbox: &Arc<Sandbox>, subject: &Subject) -> Result<Vec<CaseResult>, PipelineError> {
    let module = sandbox.load(Path::new(&subject.path)).map_err(|source| PipelineError::Admission {
        hop: subject.name.clone(),
        path: subject.path.clone(),
        source: Box::new(source),
    })?;
    fixture::run(&module, &subject.config, &subject.limits, &subject.fixtures)
}
