use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{Example, service};
use sluicebox_core::fault::Remedy;
use sluicebox_service::{Event, Events, RunRequest, RunStatus, run};

/// Everything that a run to its end tells.
fn events(example: &Example) -> (Vec<Event>, sluicebox_service::RunReport) {
    let service = service();
    let session = example.session(&service);
    let (events, told) = Events::channel();
    let report = run(&service, RunRequest { session: &session, follow: false }, &events, &CancellationToken::new());
    drop(events);
    (told.iter().collect(), report)
}

#[test]
fn what_is_told_adds_up_to_the_report() {
    let example = Example::new();
    let (told, report) = events(&example);
    let started = Event::Started { pipeline: "service".into(), hops: vec!["land".into(), "clean".into()] };
    assert_eq!(told.first(), Some(&started));
    assert_eq!(told.last(), Some(&Event::Ended { status: RunStatus::Done }));
    let (mut commits, mut written, mut rejected) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut last = None;
    for event in told {
        match event {
            Event::Commit { hop, rows, .. } => {
                *commits.entry(hop.clone()).or_default() += 1_u64;
                *written.entry(hop).or_default() += rows;
            }
            Event::Reject { hop, rows } => *rejected.entry(hop).or_default() += rows,
            Event::Progress(progress) => last = Some(progress),
            Event::Failure { .. } | Event::Retry { .. } => panic!("nothing failed: {event:?}"),
            Event::Started { .. } | Event::Ended { .. } => {}
        }
    }
    let last = last.expect("progress is told at least once");
    for (hop, progress) in report.hops.iter().zip(&last.hops) {
        assert_eq!(commits.get(&hop.hop).copied().unwrap_or(0), hop.commits, "{}", hop.hop);
        assert_eq!(written.get(&hop.hop).copied().unwrap_or(0), hop.rows_out, "{}", hop.hop);
        assert_eq!(rejected.get(&hop.hop).copied().unwrap_or(0), hop.rows_rejected, "{}", hop.hop);
        assert_eq!((progress.reading.rows_in, progress.reading.rows_out), (hop.rows_in, hop.rows_out), "{}", hop.hop);
    }
}

#[test]
fn a_failure_is_told_with_its_hop_and_what_helps() {
    let example = Example::new();
    std::fs::create_dir_all(example.lake()).expect("a temporary folder is writable");
    std::fs::write(example.lake().join("quarantine"), "in the way").expect("a temporary folder is writable");
    let (told, report) = events(&example);
    assert_eq!(report.status, RunStatus::Failed);
    let failure = told.iter().find_map(|event| match event {
        Event::Failure { hop, error, remedy } => Some((hop.clone(), error.clone(), *remedy)),
        _ => None,
    });
    let (hop, error, remedy) = failure.expect("it is told");
    assert_eq!(hop.as_deref(), Some("land"));
    assert!(error.contains("land"), "{error}");
    assert_eq!(remedy, report.failures.first().map_or(Remedy::Quarantine, sluicebox_core::fault::Fault::remedy));
    assert_eq!(told.last(), Some(&Event::Ended { status: RunStatus::Failed }));
}
