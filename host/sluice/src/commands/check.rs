//! `sluice check`.

use super::Exit;
use super::session::{PipelineArgs, Session};
use crate::report;

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
    match Session::start(&args.pipeline) {
        Ok(session) => {
            let plan = &session.loaded.plan;
            report::line(format_args!(
                "{}: {} sources, {} hops, {} modules, {} tables: no problem found",
                args.pipeline.file.display(),
                plan.sources.len(),
                plan.hops.len(),
                session.bound.modules.len(),
                plan.tables.len()
            ));
            Exit::Done
        }
        Err(stopped) => stopped.exit,
    }
}
