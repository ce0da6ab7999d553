//! `sluice check`.

use super::Exit;
use super::session::{PipelineArgs, end};
use crate::report;
use sluicebox_service::OperationError;

#[derive(clap::Args)]
#[command(after_help = "\
Reads the file, loads every module, asks each what it wants and gives, and matches that
with the columns of the tables around it. Nothing is written.")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Checks a pipeline.
pub fn run(args: &Args) -> Exit {
    end(check(args), false)
}

fn check(args: &Args) -> Result<Exit, OperationError> {
    let (_, session) = args.pipeline.start()?;
    let checked = session.checked();
    report::line(format_args!(
        "{}: {} sources, {} hops, {} modules, {} tables: no problem found",
        args.pipeline.file.display(),
        checked.sources,
        checked.hops,
        checked.modules,
        checked.tables
    ));
    Ok(Exit::Done)
}
