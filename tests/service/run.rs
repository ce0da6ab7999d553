use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Example, service};
use sluicebox_service::head::{Scope, head, tables_of};
use sluicebox_service::quarantine::{self, ReasonCount};
use sluicebox_service::status::status;
use sluicebox_service::{Event, Events, RunRequest, RunStatus, run};

#[test]
fn a_run_and_the_looks_at_its_tables_agree() {
    let (example, service) = (Example::new(), service());
    let session = example.session(&service);
    let request = RunRequest { session: &session, follow: false };
    let report = run(&service, request, &Events::none(), &CancellationToken::new());
    assert_eq!((report.status, report.failures.len(), report.skipped.len()), (RunStatus::Done, 0, 0));
    let land = &report.hops[0];
    assert_eq!((land.hop.as_str(), land.rows_in, land.rows_out, land.rows_rejected), ("land", 3, 2, 1));

    let found = service.wait(status(&session.lake, "here")).expect("a lake with tables");
    let rows = |name: &str| found.tables.iter().find(|(table, _)| table.to_string() == name).map(|(_, info)| info.rows);
    assert_eq!(rows("bronze.rows"), Some(Some(2)));
    assert_eq!(rows("silver.rows"), Some(Some(report.hops[1].rows_out)));
    assert_eq!(rows("quarantine.land"), Some(Some(land.rows_rejected)));

    let scope = Scope::parse("silver").expect("a layer");
    let tables = service.wait(tables_of(&session.lake, "here", &scope)).expect("there is one");
    let first = service.wait(head(&session.lake, &tables[0], 1)).expect("it can be read");
    assert_eq!(first.rows.iter().map(|rows| rows.num_rows()).sum::<usize>(), 1, "no more than was asked for");

    let counts = service.wait(quarantine::list(&session.lake, "here")).expect("it can be read");
    assert!(matches!(counts.as_slice(), [ReasonCount { hop, rows: 1, .. }] if hop == "land"), "{counts:?}");
}

#[test]
fn a_run_that_follows_takes_what_comes_and_ends_when_it_is_told_to() {
    let (example, service) = (Example::new(), service());
    let session = example.session(&service);
    let shutdown = CancellationToken::new();
    let (events, told) = Events::channel();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&service, RunRequest { session: &session, follow: true }, &events, &shutdown));
        let silver = |version| {
            let mut next = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(60)).ok());
            let commit = next.find(|event| {
                matches!(event, Event::Commit { table, version: at, .. }
                    if table.to_string() == "silver.rows" && *at >= version)
            });
            assert!(commit.is_some(), "version {version} does not come");
        };
        silver(1);
        example.add("second.csv", "id,name\n4,four\n");
        silver(2);
        shutdown.cancel();
        running.join().expect("a run does not panic")
    });
    assert_eq!(report.status, RunStatus::Interrupted);
    assert_eq!(report.hops[0].rows_in, 4, "each file was read once");
}
