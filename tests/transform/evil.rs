//! One test for each deed of `guest-transforms/evil`: an error of its own, and a host
//! that carries on.

use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{Call, Cause, FailureKind, Job, JobError, MessageError, RowProblem};

use super::modules::{batch, bind, config, evil, on_guest_thread, push};

/// Does the deed while another job of the same sandbox is at work, which must not notice.
fn deed(deed: &str, at: &str) -> JobError {
    let (config, at) = (config(deed, at), at.to_owned());
    on_guest_thread(move || {
        let limits = Limits { time: std::time::Duration::from_secs(10), ..Limits::default() };
        let binding = bind(&config, batch(5).schema());
        let mut honest = Job::open(&evil(), "{}", bind("{}", batch(5).schema()), &limits, None).unwrap();
        honest.push(0, &batch(5), None).unwrap();

        let mut job = match Job::open(&evil(), &config, binding, &limits, None) {
            Ok(job) => job,
            Err(error) => return error,
        };
        let result = job
            .push(0, &batch(5), None)
            .and_then(|_| job.end_of_input(0))
            .and_then(|_| job.flush(None))
            .and_then(|_| job.snapshot());
        let error = result.expect_err("the deed went unnoticed");
        if matches!(error.cause, Cause::Failure { .. }) {
            assert!(job.flush(None).is_ok() || at == "flush", "a reported failure is not the end of a job");
        } else {
            let after = job.push(0, &batch(5), None).unwrap_err();
            assert!(matches!(after.cause, Cause::Ended), "{after}");
        }

        let output = honest.push(0, &batch(5), None).unwrap();
        assert_eq!(output.metrics, [("rows-so-far".to_owned(), 10.0)]);
        error
    })
}

fn message(lie: &str) -> String {
    let error = deed(&format!("ipc-{lie}"), "push");
    assert_eq!(error.remedy(), Remedy::Quarantine);
    match error.cause {
        Cause::Message { port, source } => {
            assert_eq!(port, "out");
            match source {
                MessageError::Values { source } => format!("values: {source}"),
                source => source.to_string(),
            }
        }
        cause => panic!("{lie}: {cause}"),
    }
}

#[test]
fn traps_have_names_and_places() {
    let error = deed("panic", "push");
    assert!(matches!(error.cause, Cause::Panic), "{error}");
    assert!(error.trace.frames.iter().any(|frame| frame.contains("evil::act")), "{error}");
    assert!(error.trace.log.iter().any(|line| line.contains("I will not")), "{error}");
    assert_eq!(error.remedy(), Remedy::Quarantine);

    let error = deed("panic-logged", "push");
    assert!(error.to_string().contains("I will not\\u{1b}[2J and here is why"), "{error}");

    assert!(matches!(deed("abort", "push").cause, Cause::Panic));
    assert!(matches!(deed("divide", "push").cause, Cause::DivisionByZero));
    assert!(matches!(deed("out-of-bounds", "push").cause, Cause::OutOfBounds));
    let error = deed("recurse", "push");
    assert!(matches!(error.cause, Cause::OutOfBounds | Cause::Stack { .. }), "{error}");
}

#[test]
fn traps_in_every_call() {
    for at in ["open", "push", "end-of-input", "flush", "snapshot"] {
        let error = deed("panic", at);
        assert_eq!(error.call.to_string(), at);
        assert!(matches!(error.cause, Cause::Panic), "{error}");
    }
    let error = evil().describe(&config("panic", "describe"), &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("failed in describe: it panicked"), "{error}");
}

#[test]
fn capabilities_are_refused_by_name() {
    for (name, import, reason) in [
        ("open-file", "wasi:filesystem/", "a module has no files"),
        ("write-file", "wasi:filesystem/", "a module has no files"),
        ("connect", "wasi:sockets/", "a module has no network"),
        ("exit", "wasi:cli/exit@", "a module cannot end its process"),
        ("sleep", "wasi:clocks/", "a module cannot wait"),
        ("stdin", "wasi:cli/stdin@", "a module has no standard input"),
    ] {
        let error = deed(name, "push");
        let Cause::Refused { import: asked, reason: said } = &error.cause else { panic!("{name}: {error}") };
        assert!(asked.starts_with(import) && said.starts_with(reason), "{name}: {error}");
        assert_eq!(error.remedy(), Remedy::Stop);
    }
    // The language itself says that there are no threads.
    assert!(matches!(deed("thread", "push").cause, Cause::Panic));
}

#[test]
fn the_environment_is_empty() {
    let metrics = push(&config("environment", "push"), &Limits::default()).unwrap().metrics;
    assert!(metrics.iter().all(|(name, value)| name == "rows-so-far" || *value == 0.0), "{metrics:?}");
}

#[test]
fn clock_and_random_numbers_are_the_same_in_every_job() {
    for (name, metrics) in [("clock", 2), ("random", 1)] {
        let first = push(&config(name, "push"), &Limits::default()).unwrap().metrics;
        assert_eq!(first.len(), metrics + 1, "{first:?}");
        assert_eq!(push(&config(name, "push"), &Limits::default()).unwrap().metrics, first);
    }
}

#[test]
fn standard_streams_are_log_lines() {
    push(&config("print", "push"), &Limits::default()).unwrap();
}

#[test]
fn messages_that_are_none() {
    assert!(message("empty").contains("0 bytes are too few"));
    assert!(message("garbage").contains("continuation marker"));
    assert!(message("garbage-metadata").starts_with("it is not an Arrow IPC message"));
    assert!(message("metadata-huge").contains("2147483647 bytes and 64 are there"));
    assert!(message("metadata-negative").contains("-8 bytes"));
    assert_eq!(message("schema"), "it is a Schema message and must be a RecordBatch");
    assert_eq!(message("dictionary"), "it is a DictionaryBatch message and must be a RecordBatch");
    assert_eq!(message("version-4"), "its metadata version is V4 and must be V5");
    assert_eq!(message("compressed"), "its body is compressed");
}

#[test]
fn bodies_that_are_not_as_declared() {
    assert!(message("trailing").contains("40 bytes and 48 follow"));
    assert!(message("short-body").contains("follow"));
    assert!(message("body-negative").contains("-1 bytes"));
    for lie in ["offset-outside", "end-outside", "offset-negative", "length-negative", "offset-overflow"] {
        assert!(message(lie).starts_with("a buffer of column `id` lies at"), "{lie}");
    }
}

#[test]
fn counts_that_are_not_the_schemas() {
    assert_eq!(message("few-buffers"), "it has 3 buffers and its schema demands 5");
    assert_eq!(message("many-buffers"), "it has 1005 buffers and its schema demands 5");
    assert_eq!(message("few-nodes"), "it has 1 arrays and its schema demands 2");
    assert_eq!(message("many-nodes"), "it has 1002 arrays and its schema demands 2");
    assert_eq!(message("variadic"), "it has 2 variadic buffer counts and its schema demands 0");
    assert!(message("rows-negative").starts_with("it declares -1 rows"));
    assert_eq!(message("rows-disagree"), "column `id` declares 2 values with 0 nulls");
    assert!(message("node-huge").starts_with("column `name` declares 9223372036854775807 values"));
    assert!(message("nulls-negative").ends_with("2 values with -1 nulls"));
    assert!(message("nulls-too-many").ends_with("2 values with 3 nulls"));
    assert_eq!(message("null-in-not-null"), "column `id` has 1 nulls and its schema allows none");
    assert_eq!(message("short-validity"), "the validity of column `name` has 0 bytes for 2 values");
}

#[test]
fn values_that_are_not_valid() {
    for lie in [
        "wrong-type",
        "short-values",
        "bad-utf8",
        "offsets-fall",
        "offsets-negative",
        "offsets-outside",
        "offsets-split-character",
        "wrong-null-count",
    ] {
        assert!(message(lie).starts_with("values: "), "{lie}: {}", message(lie));
    }
    let error = deed("wrong-schema", "push");
    assert!(matches!(error.cause, Cause::Message { .. }), "{error}");
    let honest = push(&config("ipc-honest", "push"), &Limits::default()).unwrap();
    assert_eq!(honest.batches[0].1.num_rows(), 2);
}

#[test]
fn rows_that_cannot_be_continued() {
    for (name, row, problem) in [
        ("row-outside", 5, RowProblem::OutOfRange { rows: 5 }),
        ("row-max", u32::MAX, RowProblem::OutOfRange { rows: 5 }),
        ("row-twice", 0, RowProblem::Twice),
        ("row-falling", 0, RowProblem::OutOfOrder),
        ("row-twice-apart", 1, RowProblem::Twice),
    ] {
        let error = deed(name, "push");
        match &error.cause {
            Cause::Row { port, row: named, problem: found, .. } => {
                assert_eq!((port.as_str(), *named, *found), ("kept", row, problem), "{name}");
            }
            _ => panic!("{name}: {error}"),
        }
    }
    assert!(matches!(deed("kept-late", "flush").cause, Cause::NoInput { .. }));
    assert!(matches!(deed("port", "push").cause, Cause::NoPort { port: 7, ports: 2 }));
}

#[test]
fn rejections_that_name_nothing() {
    assert!(matches!(
        deed("reject-outside", "push").cause,
        Cause::Reject { problem: RowProblem::OutOfRange { .. }, .. }
    ));
    assert!(matches!(deed("reject-twice", "push").cause, Cause::Reject { problem: RowProblem::Twice, .. }));
    assert!(matches!(deed("reject-no-reason", "push").cause, Cause::NoReason { reason: 5, reasons: 1, .. }));
    assert!(matches!(deed("reject-flood", "push").cause, Cause::Rejections { rejections: 1_000_000, left: 5 }));
}

#[test]
fn a_promise_to_keep_rows_is_held() {
    let lost = |name| match deed(name, "push").cause {
        Cause::NotPreserved { rows, out, rejected } => (rows, out, rejected),
        cause => panic!("{name}: {cause}"),
    };
    assert_eq!(lost("preserve-lose"), (5, 4, 0));
    assert_eq!(lost("preserve-invent"), (5, 6, 0));
    assert_eq!(lost("preserve-both"), (5, 5, 1));
    assert_eq!(lost("preserve-kept-lose"), (5, 4, 0));
    assert!(matches!(deed("preserve-kept-both", "push").cause, Cause::Row { row: 1, problem: RowProblem::Twice, .. }));
    assert!(matches!(deed("preserve-late", "flush").cause, Cause::NotPreserved { rows: 0, out: 1, rejected: 0 }));
    assert_eq!(push(&config("preserve-all", "push"), &Limits::default()).unwrap().batches[0].1.num_rows(), 5);
    let output = push(&config("preserve-kept-all", "push"), &Limits::default()).unwrap();
    assert_eq!((output.batches[0].1.num_rows(), output.rejections.len()), (4, 1));
}

#[test]
fn imports_out_of_season() {
    for (name, at) in [
        ("emit", "open"),
        ("emit", "snapshot"),
        ("reject", "open"),
        ("reject", "flush"),
        ("reject", "snapshot"),
        ("put-state", "open"),
        ("put-state", "push"),
        ("put-state", "flush"),
    ] {
        let error = deed(name, at);
        assert!(matches!(error.cause, Cause::NotNow { import } if import == name), "{name} in {at}: {error}");
        assert_eq!(error.call.to_string(), at);
    }
    for name in ["emit", "reject", "put-state"] {
        let error = evil().describe(&config(name, "describe"), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(&format!("called `sink.{name}`")), "{error}");
    }
}

#[test]
fn failures_are_values() {
    for (name, kind) in [
        ("fail-config", FailureKind::Config),
        ("fail-input", FailureKind::Input),
        ("fail-state", FailureKind::State),
        ("fail-internal", FailureKind::Internal),
    ] {
        for at in ["open", "push", "flush", "snapshot"] {
            let error = deed(name, at);
            assert!(matches!(error.cause, Cause::Failure { kind: told, .. } if told == kind), "{error}");
            assert!(error.to_string().len() < 6_000 && !error.to_string().contains('\n'));
        }
    }
    let error = deed("fail-config", "open");
    assert_eq!(error.call, Call::Open);
    assert_eq!(error.to_string(), "module `evil` failed in open: its configuration is wrong: `colour` is not a colour");
    assert_eq!(error.remedy(), Remedy::Stop);
    assert_eq!(deed("fail-input", "push").remedy(), Remedy::Quarantine);
}

#[test]
fn metrics_have_names() {
    assert!(matches!(deed("metric-name", "push").cause, Cause::MetricName { .. }));
}

#[test]
fn logs_are_cut() {
    push(&config("log-long", "push"), &Limits::default()).unwrap();
}

#[test]
fn descriptors_that_make_no_sense() {
    use std::error::Error;
    for (name, says) in [
        ("describe-garbage", "continuation marker"),
        ("describe-empty-schema", "too few for a message"),
        ("describe-batch-for-schema", "header is RecordBatch"),
        ("describe-dictionary", "does not cross the boundary"),
        ("describe-deep", "nests deeper"),
        ("describe-odd-field", "lacks what its type calls for"),
        ("describe-wide", "more than 2000"),
        ("describe-row-replaced", "column `_row`"),
        ("describe-name", "letters, digits"),
        ("describe-huge", "too much data"),
        ("describe-no-outputs", "0 output ports"),
        ("describe-no-rows", "none of its input ports takes rows"),
        ("describe-many-ports", "too much data"),
        ("describe-twice", "two of its output ports are named `out`"),
        ("describe-no-such-input", "continues rows of `nowhere`"),
    ] {
        let error = evil().describe(&config(name, ""), &Limits::default()).unwrap_err();
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            words = format!("{words}: {error}");
            source = error.source();
        }
        assert!(words.contains(says), "{name}: {words}");
        assert!(!words.contains('\u{1b}'));
    }
}
