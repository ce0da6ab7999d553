//! A row is counted once.

use sluicebox_core::batch::Positions;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::WriteMode;
use sluicebox_delta::DeltaError;

use super::support::{Sandbox, at, commit, data_files, put, rows, sorted, spec, upsert};

#[tokio::test]
async fn rows_and_positions_come_back() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!((table.version(), table.schema()), (None, None));
    let first = put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f1", 2)).await.expect("commit");
    assert_eq!((first.version, first.rows, first.files_added, first.already), (1, 2, 1, false));
    put(&mut table, &[rows(&[3], &["c"])], at("f2", 1)).await.expect("commit");

    let again = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!(sorted(&again).await, ["1|a", "2|b", "3|c"]);
    let positions = again.positions("shop/hop/").await.expect("positions");
    assert_eq!((positions.get("f1"), positions.get("f2")), (Some(2), Some(1)));
    assert!(again.positions("shop/ho/").await.expect("positions").is_empty());
    assert_eq!(sandbox.lake.tables().await.expect("tables"), [("silver".to_owned(), "words".to_owned())]);
    let info = again.info().await.expect("info");
    assert_eq!((info.version, info.rows, info.files), (2, Some(3), 2));
    assert_eq!(info.maker["hop"], "hop");
    assert_eq!(info.maker["positions"]["f2"], 1);
}

#[tokio::test]
async fn the_same_positions_are_committed_once() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let repeated = put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    assert!(repeated.already);
    let behind = put(&mut table, &[rows(&[1], &["a"])], at("f", 0)).await.expect("commit");
    assert!(behind.already);
    assert_eq!(sorted(&table).await, ["1|a"]);
    assert_eq!(data_files(&sandbox.path("words")), 1, "the files of the repetition are gone");

    let mut mixed = at("f", 1);
    mixed.advance("g".into(), 1);
    let error = put(&mut table, &[rows(&[2], &["b"])], mixed).await.expect_err("mixed");
    assert!(matches!(error, DeltaError::MixedPositions { .. }), "{error}");
    assert_eq!(data_files(&sandbox.path("words")), 1);
}

#[tokio::test]
async fn a_stale_handle_sees_what_it_missed() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut one = sandbox.lake.table(&spec).await.expect("table");
    put(&mut one, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let mut two = sandbox.lake.table(&spec).await.expect("table");
    put(&mut one, &[rows(&[2], &["b"])], at("f", 2)).await.expect("commit");
    // The second handle still stands at position 1.
    let repeated = put(&mut two, &[rows(&[2], &["b"])], at("f", 2)).await.expect("commit");
    assert!(repeated.already);
    let next = put(&mut two, &[rows(&[3], &["c"])], at("f", 3)).await.expect("commit");
    assert!(!next.already);
    assert_eq!(sorted(&two).await, ["1|a", "2|b", "3|c"]);
}

#[tokio::test]
async fn a_lane_that_another_run_moved_part_of_the_way_stops_the_commit() {
    for mode in [WriteMode::Append, upsert("id", None)] {
        let sandbox = Sandbox::new();
        let spec = spec("words", mode);
        let mut one = sandbox.lake.table(&spec).await.expect("table");
        put(&mut one, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
        let mut two = sandbox.lake.table(&spec).await.expect("table");
        put(&mut one, &[rows(&[2], &["b"])], at("f", 2)).await.expect("commit");
        // It has begun behind 1, and row 2 is in the table by now.
        let error = put(&mut two, &[rows(&[2, 3], &["b", "c"])], at("f", 3)).await.expect_err("overtaken");
        assert!(matches!(&error, DeltaError::Overtaken { lane, .. } if lane == "shop/hop/f"), "{error}");
        assert!(error.hint().is_some());
        let again = sandbox.lake.table(&spec).await.expect("table");
        assert_eq!(sorted(&again).await, ["1|a", "2|b"]);
        assert_eq!(data_files(&sandbox.path("words")), 2, "its files are gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_that_race_lose_nothing() {
    for mode in [WriteMode::Append, upsert("id", None)] {
        let sandbox = Sandbox::new();
        let spec = spec("words", mode);
        let mut first = sandbox.lake.table(&spec).await.expect("table");
        put(&mut first, &[rows(&[0], &["start"])], at("start", 1)).await.expect("commit");
        let writers = (0..4_i64).map(|writer| {
            let (lake, spec) = (sandbox.lake.clone(), spec.clone());
            tokio::spawn(async move {
                let mut table = lake.table(&spec).await.expect("table");
                for round in 0..5_i64 {
                    let id = 1 + writer * 5 + round;
                    // All of them fight for one row, too.
                    let batch = rows(&[id, 0], &["new", "last"]);
                    put(&mut table, &[batch], at(&format!("lane{writer}"), round + 1)).await.expect("commit");
                }
            })
        });
        for writer in futures::future::join_all(writers).await {
            writer.expect("no panic");
        }
        first.refresh().await.expect("refresh");
        assert_eq!(first.version(), Some(21));
        let mut expected: Vec<String> = (1..=20).map(|id| format!("{id}|new")).collect();
        match spec.mode {
            WriteMode::Append => {
                expected.push("0|start".to_owned());
                expected.extend((0..20).map(|_| "0|last".to_owned()));
            }
            _ => expected.push("0|last".to_owned()),
        }
        expected.sort();
        assert_eq!(sorted(&first).await, expected);
        assert_eq!(first.positions("shop/hop/").await.expect("positions").get("lane3"), Some(5));
    }
}

#[tokio::test]
async fn nothing_but_positions() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[], &[])], at("f", 7)).await.expect("commit");
    assert_eq!(table.version(), Some(1));
    let again = sandbox.lake.table(&spec).await.expect("table");
    assert_eq!(again.positions("shop/hop/").await.expect("positions").get("f"), Some(7));
    assert_eq!(data_files(&sandbox.path("words")), 0);
}

#[tokio::test]
async fn abandoned_rows_leave_nothing() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let mut writer = table.begin().await.expect("begin");
    writer.write(&rows(&(0..100_000).collect::<Vec<_>>(), &vec!["x"; 100_000])).expect("write");
    assert!(writer.bytes_buffered() > 0);
    assert_eq!(data_files(&sandbox.path("words")), 2);
    writer.abandon().await;
    assert_eq!(data_files(&sandbox.path("words")), 1);
    let mut writer = table.begin().await.expect("begin");
    writer.write(&rows(&(0..100_000).collect::<Vec<_>>(), &vec!["x"; 100_000])).expect("write");
    drop(writer);
    assert_eq!(data_files(&sandbox.path("words")), 1);
}

#[tokio::test]
async fn ten_thousand_lanes_survive_checkpoints() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    let lanes: Positions = (0..10_000).map(|lane| (format!("folder/f{lane}.csv").into(), lane)).collect();
    put(&mut table, &[rows(&[1], &["a"])], lanes).await.expect("commit");
    for round in 0..25 {
        put(&mut table, &[rows(&[round], &["a"])], at("folder/f5.csv", 100 + round)).await.expect("commit");
    }
    let log = std::fs::read_dir(sandbox.path("words").join("_delta_log")).expect("log");
    let names: Vec<String> =
        log.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    assert!(names.contains(&"00000000000000000020.checkpoint.parquet".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    // What came before the checkpoint must not be needed any more.
    for version in 0..20 {
        std::fs::remove_file(sandbox.path("words").join(format!("_delta_log/{version:020}.json"))).expect("remove");
    }
    let again = sandbox.lake.table(&spec).await.expect("table");
    let positions = again.positions("shop/hop/").await.expect("positions");
    assert_eq!(positions.iter().count(), 10_000);
    assert_eq!(positions.get("folder/f9999.csv"), Some(9_999));
    assert_eq!(positions.get("folder/f5.csv"), Some(124));
    assert_eq!(again.info().await.expect("info").rows, Some(26));
}

#[tokio::test]
async fn a_table_must_be_created_first() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    let Err(error) = table.begin().await else { panic!("began") };
    assert!(matches!(error, DeltaError::NotCreated { .. }));
    assert!(error.hint().is_some());
    assert!(sorted(&table).await.is_empty());
    let _ = commit(at("f", 1));
}
