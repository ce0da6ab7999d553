//! `sluice run`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Exit;
use super::session::{PipelineArgs, Session, print};
use crate::report::{self, HopSummary, Progress, Show, Status, Summary, Ticker, Usage};
use sluicebox_core::fault::{Fault, Remedy, in_one_line};
use sluicebox_core::meter::Meters;
use sluicebox_pipeline::run::{Outcome, Run};

/// How long `--follow` waits before it looks for new rows.
const POLL: Duration = Duration::from_secs(2);

/// How often `--follow` begins again after failures that may pass, without a time in between in
/// which all went well.
const TRIES: u32 = 10;

/// How long that time is.
const SETTLED: Duration = Duration::from_secs(60);

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
    let session = match Session::start(&args.pipeline) {
        Ok(session) => session,
        Err(stopped) => {
            if args.json {
                let summary = Summary::not_started(started.elapsed(), stopped.errors);
                report::line(format_args!("{}", summary.to_json()));
            }
            return stopped.exit;
        }
    };
    let stop = CancellationToken::new();
    session.runtime.spawn(stop_on_signal(stop.clone()));

    let plan = Arc::new(session.loaded.plan.clone());
    let bound = Arc::new(session.bound);
    let meters: Vec<_> = plan.hops.iter().map(|_| Arc::new(Meters::default())).collect();
    let hops = plan.hops.iter().zip(&meters);
    let hops = hops.map(|(hop, meters)| report::Hop { name: hop.name.clone(), meters: meters.clone() }).collect();
    // Without a thread to show progress the run is as good.
    let progress = Ticker::start(Progress::new(Show::fitting(args.json), hops)).ok();
    let pass = || {
        let run = Run {
            plan: plan.clone(),
            bound: bound.clone(),
            lake: session.lake.clone(),
            meters: meters.clone(),
            runtime: session.runtime.handle().clone(),
            // What fails may end the rest of a pass, and not what comes after it.
            stop: stop.child_token(),
            follow: args.follow,
        };
        if run.is_endless() { run.stream(POLL) } else { run.run() }
    };
    let mut begun = Instant::now();
    let mut outcome = pass();
    let mut tries = 0;
    while args.follow && !stop.is_cancelled() {
        let mut pause = POLL;
        if !outcome.failures.is_empty() {
            // What ran well for a while is not what failed at once again and again.
            tries = if begun.elapsed() > SETTLED { 1 } else { tries + 1 };
            let passing = outcome.failures.iter().all(|failure| failure.remedy() == Remedy::Retry);
            if !passing || tries > TRIES {
                break;
            }
            for failure in &outcome.failures {
                tracing::warn!(failure = in_one_line(failure), "beginning again where the tables are");
            }
            pause = POLL * tries;
        }
        session.runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        });
        if !stop.is_cancelled() {
            begun = Instant::now();
            outcome = pass();
        } else {
            outcome.failures.clear();
        }
    }
    if let Some(progress) = progress {
        progress.finish();
    }

    for failure in &outcome.failures {
        print(failure, Some(&session.loaded));
    }
    for hop in &outcome.skipped {
        report::note(&format!("hop `{hop}` did not run, because a hop above it failed"));
    }
    let (status, exit) = ended(&outcome, args.follow && stop.is_cancelled());
    // A system that does not say what was used is no reason to fail a run that is done.
    let usage = report::usage().unwrap_or(Usage { cpu_seconds: 0.0, peak_memory_bytes: 0 });
    let hops = plan.hops.iter().enumerate().map(|(index, hop)| {
        let counts = meters[index].read();
        let module = bound.modules.get(&hop.name);
        HopSummary {
            hop: hop.name.clone(),
            module: module.map(|module| module.descriptor.name.clone()),
            digest: module.map(|module| module.module.digest().to_owned()),
            rows_in: counts.rows_in,
            rows_out: counts.rows_out,
            rows_rejected: counts.rows_rejected,
            commits: counts.commits,
            expectations: meters[index].unmet(),
            metrics: meters[index].metrics(),
            conflicts: counts.conflicts,
            peak_in_flight_bytes: counts.peak_in_flight,
        }
    });
    let summary = Summary {
        status,
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: usage.cpu_seconds,
        peak_memory_bytes: usage.peak_memory_bytes,
        hops: hops.collect(),
        errors: outcome.failures.iter().map(|failure| in_one_line(failure)).collect(),
    };
    if args.json {
        report::line(format_args!("{}", summary.to_json()));
    } else {
        eprintln!("{}", summary.to_table());
        eprintln!("Tables: {}", session.location);
        if summary.hops.iter().any(|hop| hop.rows_rejected > 0) {
            eprintln!("Rejected rows: sluice quarantine ls --lake {}", session.location);
        }
    }
    exit
}

fn ended(outcome: &Outcome, followed: bool) -> (Status, Exit) {
    let interrupted = outcome.interrupted || followed;
    match (outcome.failures.is_empty(), interrupted) {
        (false, _) => (Status::Failed, Exit::Failed),
        (true, true) => (Status::Interrupted, Exit::Interrupted),
        (true, false) => (Status::Done, Exit::Done),
    }
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
