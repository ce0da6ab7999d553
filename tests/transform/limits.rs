//! Every limit stops a module, says which it was, and can be raised.

use std::time::Duration;

use sluicebox_core::fault::Fault;
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{Call, Cause, Job};

use super::modules::{batch, bind, config, evil, on_guest_thread, push};

fn cause(deed: &str, limits: &Limits) -> (Cause, String) {
    let error = push(&config(deed, "push"), limits).unwrap_err();
    assert_eq!(error.call, Call::Push, "{error}: {:?}", std::error::Error::source(&error));
    let hint = error.hint().unwrap_or_default();
    (error.cause, hint)
}

#[test]
fn time() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let (cause, hint) = cause("spin", &limits);
    assert!(matches!(cause, Cause::Time { limit } if limit == limits.time), "{cause}");
    assert!(hint.contains("`limits.time`"), "{hint}");
}

#[test]
fn time_in_every_call() {
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    on_guest_thread(move || {
        let error = evil().describe(&config("spin", "describe"), &limits).unwrap_err();
        assert!(error.to_string().starts_with("module `evil` failed in describe: it ran longer than 20ms"), "{error}");
        let binding = bind("{}", batch(0).schema());
        for at in ["open", "push", "end-of-input", "flush", "snapshot"] {
            let config = config("spin", at);
            let result = Job::open(&evil(), &config, binding.clone(), &limits, None).and_then(|mut job| {
                job.push(0, &batch(1), None)?;
                job.end_of_input(0)?;
                job.flush(None)?;
                job.snapshot()
            });
            let error = result.unwrap_err();
            assert_eq!(error.call.to_string(), at);
            assert!(matches!(error.cause, Cause::Time { .. }), "{error}");
            assert!(error.trace.frames.iter().any(|frame| frame.contains("spin")), "{error}");
        }
    });
}

#[test]
fn memory() {
    let limits = Limits { memory: 20 << 20, ..Limits::default() };
    let (cause, hint) = cause("allocate", &limits);
    assert!(matches!(cause, Cause::Memory { limit, wanted } if limit == 20 << 20 && wanted > limit), "{cause}");
    assert!(hint.contains("`limits.memory`"), "{hint}");
    // Too little even to begin with.
    let error = push(&config("", "push"), &Limits { memory: 100_000, ..Limits::default() }).unwrap_err();
    assert!(matches!(error.cause, Cause::Memory { limit: 100_000, .. }), "{error}");
    assert_eq!(error.call, Call::Open);
}

#[test]
fn stack() {
    for stack in [128 << 10, 1 << 20] {
        let (cause, hint) = cause("recurse-in-place", &Limits { stack, ..Limits::default() });
        assert!(matches!(cause, Cause::Stack { limit } if limit == stack), "{cause}");
        assert!(hint.contains("`limits.stack`"), "{hint}");
    }
    // With the largest stack of the engine, the one in the module's memory may be out first.
    let (cause, _) = cause("recurse-in-place", &Limits { stack: 4 << 20, ..Limits::default() });
    assert!(matches!(cause, Cause::Stack { .. } | Cause::OutOfBounds), "{cause}");
    let error = push("{}", &Limits { stack: 64 << 20, ..Limits::default() }).unwrap_err();
    assert!(matches!(error.cause, Cause::StackCeiling { .. }), "{error}");
    assert!(error.hint().unwrap().contains("4194304"));
}

#[test]
fn handles() {
    let (cause, hint) = cause("handle-flood", &Limits { handles: 50, ..Limits::default() });
    assert!(matches!(cause, Cause::Handles { limit: 50 }), "{cause}");
    assert!(hint.contains("`limits.handles`"), "{hint}");
}

#[test]
fn output_bytes() {
    let limits = Limits { output_bytes: 1 << 20, memory: 1 << 30, ..Limits::default() };
    for deed in ["huge", "many", "chunks", "alias"] {
        let (cause, hint) = cause(deed, &limits);
        assert!(matches!(cause, Cause::OutputBytes { limit: 1_048_576 }), "{deed}: {cause}");
        assert!(hint.contains("`limits.output_bytes`"), "{hint}");
    }
}

#[test]
fn output_rows() {
    let limits = Limits { output_rows: 250_000, output_bytes: 1 << 30, ..Limits::default() };
    let (cause, hint) = cause("rows", &limits);
    assert!(matches!(cause, Cause::OutputRows { limit: 250_000 }), "{cause}");
    assert!(hint.contains("`limits.output_rows`"), "{hint}");
    let (cause, _) = self::cause("ipc-rows-2-40", &Limits::default());
    assert!(matches!(cause, Cause::OutputRows { .. }), "{cause}");
}

#[test]
fn saved_state() {
    for deed in ["state-flood", "state-empty-flood"] {
        let config = config(deed, "snapshot");
        let limits = Limits { memory: 8 << 20, ..Limits::default() };
        let error = on_guest_thread(move || {
            let binding = bind("{}", batch(0).schema());
            let mut job = Job::open(&evil(), &config, binding, &limits, None).unwrap();
            job.snapshot().unwrap_err()
        });
        assert!(matches!(error.cause, Cause::State { .. }), "{error}");
    }
}

#[test]
fn log_lines_over_the_limit_are_counted() {
    let error = push(&config("log-flood", "open"), &Limits { log_lines: 3, ..Limits::default() });
    assert!(error.is_ok(), "a flood of log lines is no error");
    let (cause, _) = cause("metric-flood", &Limits::default());
    assert!(matches!(cause, Cause::Metrics { limit: 256 }), "{cause}");
}

#[test]
fn raised_limits_let_it_pass() {
    let limits =
        Limits { output_rows: 1 << 30, output_bytes: 1 << 30, time: Duration::from_secs(60), ..Limits::default() };
    let error = push(&config("huge", "push"), &Limits { memory: 2 << 30, ..limits }).unwrap();
    assert_eq!(error.batches[0].1.num_rows(), 1);
}
