//! The command line.

mod check;
mod forget;
mod head;
mod history;
mod infer;
mod maintain;
mod new;
mod plan;
mod quarantine;
mod replay;
mod run;
mod session;
mod simulate;
mod status;
mod test;

use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::report;

/// What the process says to the shell. Others script against these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed while running.
    Failed = 1,
    /// Wrong usage, or a pipeline file that is not valid.
    Usage = 2,
    /// Stopped by a person or a supervisor, in order.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Lands files in a lake, cleans and models them in sandboxed WebAssembly modules, and
/// commits Delta Lake tables exactly once.
#[derive(Parser)]
#[command(name = "sluice", version, styles = STYLES, arg_required_else_help = true, after_help = "\
A pipeline is one TOML file. Start with:
  sluice check pipelines/demo.toml      is the file right, do the modules fit?
  sluice plan  pipelines/demo.toml      what would a run create and read?
  sluice run   pipelines/demo.toml      run it; run it again and only new rows are taken
  sluice head  gold --lake lake         look at the tables

SLUICE_LOG=warn,module=info shows what modules log while they run.
Exit codes: 0 done, 1 failed while running, 2 wrong usage or invalid pipeline, 130 interrupted.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline: every bounded source to its end.
    Run(run::Args),
    /// Validate a pipeline file and its modules without running it.
    Check(check::Args),
    /// Show what a run would create, read and allow.
    Plan(plan::Args),
    /// Show the columns that a run would take from the files of a source, and why.
    Infer(infer::Args),
    /// Run fixtures through modules: rows in, expected rows out.
    Test(test::Args),
    /// Make a transform project that compiles.
    New(new::Args),
    /// Show the tables of a lake.
    Status(status::Args),
    /// Show the first rows of a table, or of every table of a layer.
    Head(head::Args),
    /// Show what became of a table, commit by commit.
    History(history::Args),
    /// Make a hop's tables again out of bronze, and see whether they are the same.
    Replay(replay::Args),
    /// Look at rows that could not go on.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Keep tables in shape: put small files together, remove what nobody needs.
    Maintain(maintain::Args),
    /// Forget a hop that was renamed or removed, so that no table keeps its log for it.
    Forget(forget::Args),
    /// Write generated CSV files, the same for the same seed.
    Simulate(simulate::Args),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_standard_error();
    let exit = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Infer(args) => infer::run(&args),
        Command::Test(args) => test::run(&args),
        Command::New(args) => new::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Head(args) => head::run(&args),
        Command::History(args) => history::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Maintain(args) => maintain::run(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    };
    exit.into()
}

/// Our own warnings, as they happen. `SLUICE_LOG` takes the usual filters, such as `debug` or
/// `warn,module=info`. What libraries and modules log is off by default: what a library cannot do, and the last
/// lines of a module that fails, are part of our error.
fn log_to_standard_error() {
    let filter =
        EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("off,sluice=warn,sluicebox=warn"));
    // Nobody has set a subscriber before: this is the first thing that the program does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(report::LogLines)
        // Colours would be escaped like those that a module or a file name brings.
        .with_ansi(false)
        .without_time()
        .try_init();
}
