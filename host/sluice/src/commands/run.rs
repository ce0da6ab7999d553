//! `sluice run`.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Exit;
use super::session::PipelineArgs;
use crate::report::{self, Display, Show, Summary};
use sluicebox_service::{Events, RunRequest, run as run_pipeline};

#[derive(clap::Args)]
#[command(after_help = "\
Progress lies in the tables themselves: run again and only what is new is taken; stop or
kill a run anywhere and the next one continues without losing or repeating a row.

  sluice run pipelines/c2c-users.toml --var data=drops --lake /srv/lake
  sluice run orders.toml --json | tail -1 | jq .hops")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Keep running: look for new rows every two seconds until interrupted.
    #[arg(long)]
    follow: bool,
    /// Print JSON lines; the last one is the summary.
    #[arg(long)]
    json: bool,
}

/// Runs a pipeline.
pub fn run(args: &Args) -> Exit {
    let started = Instant::now();
    let (service, session) = match args.pipeline.start() {
        Ok(started) => started,
        Err(reason) => {
            report::not_started(&reason);
            if args.json {
                let summary = Summary::not_started(started.elapsed(), reason.lines());
                report::json_line(summary.to_json());
            }
            return reason.kind().into();
        }
    };
    let stop = CancellationToken::new();
    service.handle().spawn(stop_on_signal(stop.clone()));
    let display = Display::new(Show::fitting(args.json));
    let events = Events::to(move |event| display.take(event));
    let done = run_pipeline(&service, RunRequest { session: &session, follow: args.follow }, &events, &stop);

    for failure in &done.failures {
        report::pipeline(failure, Some(&session.loaded));
    }
    for hop in &done.skipped {
        report::note(&format!("hop `{hop}` did not run, because a hop above it failed"));
    }
    let summary = Summary::of(&done, started.elapsed());
    if args.json {
        report::json_line(summary.to_json());
    } else {
        report::aside(format_args!("{}", summary.to_table()));
        report::aside(format_args!("Tables: {}", session.location));
        if summary.hops.iter().any(|hop| hop.rows_rejected > 0) {
            report::aside(format_args!("Rejected rows: sluice quarantine ls --lake {}", session.location));
        }
    }
    done.status.into()
}

/// The first signal ends the run in order; the second ends the process, which is as safe: uncommitted rows are read
/// again.
async fn stop_on_signal(stop: CancellationToken) {
    signal().await;
    stop.cancel();
    report::note("stopping: finishing the commits at hand (again to stop at once)");
    signal().await;
    std::process::exit(Exit::Interrupted as i32);
}

async fn signal() {
    use tokio::signal::unix;
    let Ok(mut terminate) = unix::signal(unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        // Without a handler the default action ends the process, which is safe too.
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending::<()>().await },
        _ = terminate.recv() => {}
    }
}
