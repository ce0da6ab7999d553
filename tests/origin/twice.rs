//! One pipeline that runs twice at the same time: whoever comes second takes nothing that was
//! taken, or stops.

use std::process::Stdio;

use sluicebox_core::crash::Point;

use super::crash::Example;
use super::support::crashes;
use crate::harness::sluice;

/// Runs of two processes; in which order they commit differs from one to the next.
const ROUNDS: usize = 8;

#[tokio::test]
async fn two_runs_of_one_pipeline_count_every_row_once() {
    let example = Example::new();
    let expected = example.expected().await;
    for round in 0..ROUNDS {
        let lake = example.lake(&format!("twice-{round}"));
        // The second commits at other places than the first, so that neither's rows are the other's.
        let files = [example.file(), example.file_with_other_commits()];
        if round % 2 == 1 {
            // The tables are there already when both begin, so that neither makes them.
            assert!(crashes(&example.arguments_of(&files[0], &lake), Point::Quarantined.as_str(), 2 + round / 2));
        }
        let children = files.map(|file| {
            sluice::command()
                .args(example.arguments_of(&file, &lake))
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program under test can be started")
        });
        for child in children {
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => {}
                // Either may stop, and both may: what counts is that nothing is counted twice.
                Some(1) => assert!(
                    said.contains("one run of a pipeline") || said.contains("stop one of them"),
                    "it stopped for another reason: {said}"
                ),
                other => panic!("it ended with {other:?}: {said}"),
            }
        }
        example.run(&lake);
        example.check(&lake, &expected, "two runs at once").await;
    }
}
