//! Files kept beside their table, and quarantine.

use std::path::Path;

use chrono::DateTime;
use sluicebox_core::batch::{Reject, Stage};
use sluicebox_core::plan::{Layer, TableName};
use sluicebox_core::reject::RejectCode;
use sluicebox_delta::Provenance;
use sluicebox_lake::{LandedFile, quarantine_batch, quarantine_schema};

use super::support::{Sandbox, at, put, sorted};

#[tokio::test]
async fn a_landed_file_is_kept_as_it_is() {
    let sandbox = Sandbox::new();
    let name = TableName { layer: Layer::Bronze, name: "drops".to_owned() };
    let from = sandbox.folder.path().join("a b%20ü.csv");
    std::fs::write(&from, b"x,y\n1,2\n").expect("write");
    let lane = "2024/a b%20ü.csv";
    let landed = |from: &Path| {
        let metadata = std::fs::metadata(from);
        let open = from.to_owned();
        LandedFile {
            lane: lane.to_owned(),
            location: from.display().to_string(),
            bytes: metadata.as_ref().map_or(0, std::fs::Metadata::len),
            modified: metadata.and_then(|own| own.modified()).map_or(DateTime::UNIX_EPOCH, DateTime::from),
            open: Box::new(move || Ok(Box::new(std::fs::File::open(open)?))),
        }
    };
    let kept = sandbox.folder.path().join("lake/bronze/drops/_files").join(lane);
    for _ in 0..2 {
        sandbox.lake.keep_file(&name, landed(&from)).await.expect("keep");
        assert_eq!(std::fs::read(&kept).expect("kept"), b"x,y\n1,2\n");
    }
    let first = std::fs::metadata(&kept).expect("kept").modified().expect("time");
    sandbox.lake.keep_file(&name, landed(&from)).await.expect("keep");
    assert_eq!(std::fs::metadata(&kept).expect("kept").modified().expect("time"), first, "not copied again");
    std::fs::write(&from, b"x,y\n1,2\n3,4\n").expect("write");
    sandbox.lake.keep_file(&name, landed(&from)).await.expect("keep");
    assert_eq!(std::fs::read(&kept).expect("kept"), b"x,y\n1,2\n3,4\n");
    let mut cut = landed(&from);
    (cut.bytes, cut.lane) = (100, "cut.csv".to_owned());
    let error = sandbox.lake.keep_file(&name, cut).await.expect_err("it has shrunk");
    assert!(error.to_string().contains("ü.csv"), "{error}");
    assert!(!sandbox.folder.path().join("lake/bronze/drops/_files/cut.csv").exists(), "no half of a file");
    let error = sandbox.lake.keep_file(&name, landed(Path::new("/no/such/file"))).await.expect_err("no file");
    assert!(error.to_string().contains("/no/such/file"), "{error}");
    assert!(sandbox.lake.tables().await.expect("tables").is_empty(), "a folder of files is no table");
}

#[tokio::test]
async fn rejects_are_rows() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.quarantine("clean_orders").await.expect("table");
    table.create(&quarantine_schema(), Provenance::default()).await.expect("create");
    let reject = Reject {
        lane: "f.csv".into(),
        position: 7,
        line: Some(8),
        reason: RejectCode::CsvColumnCount.into(),
        message: "3 fields instead of 2".into(),
        stage: Stage::Source,
        payload: b"1,2,\xFF".to_vec(),
    };
    let maker = Provenance {
        pipeline: "shop".into(),
        hop: "clean_orders".into(),
        module: Some(("m".into(), "d1".into())),
        ..Provenance::default()
    };
    let at_time = DateTime::from_timestamp_millis(1_700_000_000_123).expect("a time");
    let batch = quarantine_batch(&maker, &[reject], at_time);
    put(&mut table, &[batch], at("f.csv", 8)).await.expect("commit");
    assert_eq!(
        sorted(&table).await,
        [
            "2023-11-14T22:13:20.123Z|clean_orders|m|d1|f.csv|7|8|csv.column-count|3 fields instead of 2|312c322cff|source|shop"
        ]
    );
    assert_eq!(sandbox.lake.tables().await.expect("tables"), [("quarantine".to_owned(), "clean_orders".to_owned())]);
}
