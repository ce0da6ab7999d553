//! `sluice test`.

use std::path::PathBuf;

use super::Exit;
use super::session::{end, variable};
use crate::report;
use sluicebox_service::fixtures::{FixturesRequest, is_module, test};
use sluicebox_service::{OperationError, Service};

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

/// Runs fixtures.
pub fn run(args: &Args) -> Exit {
    end(show(args), false)
}

fn show(args: &Args) -> Result<Exit, OperationError> {
    let request = match is_module(&args.file) {
        true => FixturesRequest::Module {
            path: args.file.clone(),
            config: args.config.clone(),
            fixtures: args.fixtures.clone(),
        },
        false => FixturesRequest::Pipeline { path: args.file.clone(), vars: args.vars.iter().cloned().collect() },
    };
    let (mut passed, mut failed) = (0, 0);
    for tested in test(&Service::start()?, request)? {
        let cases = match tested.cases {
            Ok(cases) => cases,
            Err(error) => {
                failed += 1;
                report::pipeline(&error, None);
                continue;
            }
        };
        for case in cases {
            let name = format!("{}/{}", tested.name, case.name);
            if case.differences.is_empty() {
                passed += 1;
                report::line(format_args!("  ok     {name}"));
                continue;
            }
            failed += 1;
            report::line(format_args!("  FAILED {name}"));
            for difference in case.differences {
                report::line(format_args!("    {difference}"));
            }
        }
    }
    report::line(format_args!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
