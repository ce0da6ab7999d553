//! Files of Event Hubs Capture: partitions, each event once, whatever files come again or late.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_core::plan::{
    CaptureFiles, CaptureSpec, Gaps, LayoutPart, MessageFormat, SourceKind, SourceSpec, TimePart,
};
use sluicebox_sources::{self as source, Next, OpenSource, SourceError};
use std::time::Duration;

use crate::harness::capture::{Captured, container, put};
use crate::harness::data;

/// `{EventHub}/{PartitionId}/{Year}/…/{Second}`.
fn layout() -> Vec<LayoutPart> {
    let slash = || LayoutPart::Text("/".to_owned());
    let mut parts = vec![LayoutPart::EventHub, slash(), LayoutPart::PartitionId];
    for part in [TimePart::Year, TimePart::Month, TimePart::Day, TimePart::Hour, TimePart::Minute, TimePart::Second] {
        parts.extend([slash(), LayoutPart::Time(part)]);
    }
    parts
}

fn spec(folder: &Path) -> CaptureSpec {
    CaptureSpec {
        files: CaptureFiles {
            path: folder.to_str().expect("a path in UTF-8").to_owned(),
            layout: layout(),
            hub: None,
            gaps: Gaps::Wait,
            overlap: Duration::from_secs(3_600),
        },
        format: MessageFormat::Json,
        columns: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])),
        raw: true,
    }
}

#[derive(Default)]
struct Read {
    rows: Vec<RecordBatch>,
    rejects: Vec<Reject>,
    positions: Positions,
}

impl Read {
    /// Lane, position and `id` of every row, in the order in which they came.
    fn events(&self) -> Vec<(String, i64, i64)> {
        let mut events = Vec::new();
        for rows in &self.rows {
            let lane = rows.column_by_name("_lane").expect("a lane");
            let lane = arrow_cast::cast(lane, &DataType::Utf8).expect("text");
            let number = |name: &str| rows.column_by_name(name).expect("a column").as_primitive::<Int64Type>().clone();
            let (position, id) = (number("_position"), number("id"));
            for row in 0..rows.num_rows() {
                events.push((lane.as_string::<i32>().value(row).to_owned(), position.value(row), id.value(row)));
            }
        }
        events
    }
}

fn try_read(spec: &CaptureSpec, done: &Positions) -> Result<Read, SourceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let source = SourceSpec { name: "captured".to_owned(), kind: SourceKind::Capture(spec.clone()) };
    let mut open = source::open(OpenSource {
        spec: &source,
        done,
        since: None,
        contract: None,
        known: None,
        runtime: runtime.handle(),
        follow: false,
    })?;
    let mut read = Read { positions: done.clone(), ..Read::default() };
    while let Next::Rows(next) = open.next()? {
        read.positions.merge(&next.batch.positions);
        read.rejects.extend(next.rejects);
        read.rows.push(next.batch.rows);
    }
    Ok(read)
}

fn read(spec: &CaptureSpec, done: &Positions) -> Read {
    try_read(spec, done).unwrap_or_else(|error| panic!("{error}"))
}

/// Events of these numbers, whose `id` is the number.
fn events(numbers: std::ops::Range<i64>) -> Vec<Captured> {
    numbers.map(|number| Captured::new(number, format!("{{\"id\": {number}}}"))).collect()
}

fn expected(lane: &str, numbers: std::ops::Range<i64>) -> Vec<(String, i64, i64)> {
    numbers.map(|number| (lane.to_owned(), number, number)).collect()
}

#[test]
fn partitions_are_lanes_and_are_read_side_by_side_in_the_order_of_time() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "orders/0/2024/01/01/00/00/00.avro", &events(0..10));
    put(folder.path(), "orders/0/2024/01/01/00/10/00.avro", &events(10..13));
    put(folder.path(), "orders/1/2024/01/01/00/05/00.avro", &events(100..104));
    put(folder.path(), "orders/1/2024/01/01/00/06/00.avro", &[]);
    std::fs::write(folder.path().join("orders/1/2024/01/01/00/07.avro"), "").expect("writable");
    std::fs::remove_file(folder.path().join("orders/1/2024/01/01/00/07.avro")).expect("writable");
    std::fs::write(folder.path().join("orders/1/2024/01/01/00/06/01.avro"), "").expect("writable");
    let spec = spec(folder.path());
    let whole = read(&spec, &Positions::default());
    let in_order = [expected("orders/0", 0..10), expected("orders/1", 100..104), expected("orders/0", 10..13)].concat();
    assert_eq!(whole.events(), in_order);
    assert_eq!(whole.positions, [("orders/0".into(), 13), ("orders/1".into(), 104)].into_iter().collect());
    assert_eq!(read(&spec, &whole.positions).events(), []);
    // From the middle of a file, as after a crash.
    let middle: Positions = [("orders/0".into(), 7), ("orders/1".into(), 102)].into_iter().collect();
    let rest = [expected("orders/0", 7..10), expected("orders/1", 102..104), expected("orders/0", 10..13)].concat();
    assert_eq!(read(&spec, &middle).events(), rest);
}

#[test]
fn an_event_that_was_captured_twice_comes_once() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "orders/0/2024/01/01/00/00/00.avro", &events(0..10));
    put(folder.path(), "orders/0/2024/01/01/00/01/00.avro", &events(4..15));
    put(folder.path(), "orders/0/2024/01/01/00/01/00-again.avro", &events(4..15));
    put(folder.path(), "orders/0/2024/01/01/00/02/00.avro", &events(0..15));
    put(folder.path(), "orders/0/2024/01/01/00/03/00.avro", &events(15..16));
    let whole = read(&spec(folder.path()), &Positions::default());
    assert_eq!(whole.events(), expected("orders/0", 0..16));
}

#[test]
fn a_partition_waits_for_a_file_that_is_late_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "orders/0/2024/01/01/00/00/00.avro", &events(0..10));
    put(folder.path(), "orders/0/2024/01/01/00/02/00.avro", &events(15..20));
    put(folder.path(), "orders/1/2024/01/01/00/09/00.avro", &events(0..2));
    let spec = spec(folder.path());
    let first = read(&spec, &Positions::default());
    assert_eq!(first.events(), [expected("orders/0", 0..10), expected("orders/1", 0..2)].concat());
    assert_eq!(read(&spec, &first.positions).events(), [], "it still waits");
    let mut skipping = spec.clone();
    skipping.files.gaps = Gaps::Skip;
    assert_eq!(read(&skipping, &first.positions).events(), expected("orders/0", 15..20));
    // It comes under a name of before, and the rest with it.
    put(folder.path(), "orders/0/2024/01/01/00/01/00.avro", &events(10..15));
    let second = read(&spec, &first.positions);
    assert_eq!(second.events(), expected("orders/0", 10..20));
    assert_eq!(read(&spec, &second.positions).events(), []);
}

#[test]
fn what_stands_beside_the_body_is_kept_and_bad_bodies_are_rejects() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = events(5..10);
    all[0].key = Some("customer 7".to_owned());
    all[0].properties = vec![("tenant".to_owned(), "a".to_owned())];
    all[1].millis = None;
    all[1].enqueued = "2024-01-02T15:04:06Z".to_owned();
    all[2].body = None;
    all[3].body = Some(b"{\"id\": 8".to_vec());
    put(folder.path(), "orders/3/2024/01/01/00/00/00.avro", &all);
    let found = read(&spec(folder.path()), &Positions::default());
    assert_eq!(found.events().iter().map(|event| event.1).collect::<Vec<_>>(), [5, 6, 9]);
    let rejects: Vec<_> = found
        .rejects
        .iter()
        .map(|reject| (reject.position, reject.reason.as_str(), reject.payload.as_slice()))
        .collect();
    assert_eq!(rejects, [(7, "capture.no-body", &b""[..]), (8, "json.syntax", b"{\"id\": 8")]);
    assert_eq!(found.positions.get("orders/3"), Some(10));
    let rows = &found.rows[0];
    let times = rows.column_by_name("_timestamp").expect("times").as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.values()[..], [1_704_207_845_678_000, 1_704_207_846_000_000, 1_704_207_845_678_000]);
    let key = rows.column_by_name("_key").expect("keys").as_binary::<i32>();
    assert_eq!((key.value(0), key.is_null(1)), (&b"customer 7"[..], true));
    let headers = rows.column_by_name("_headers").expect("headers").as_string::<i32>();
    assert_eq!((headers.value(0), headers.is_null(1)), (r#"[{"key":"tenant","value":"a"}]"#, true));
    let raw = rows.column_by_name("_raw").expect("bodies").as_binary::<i32>();
    assert_eq!(raw.value(0), b"{\"id\": 5}");
}

#[test]
fn what_is_no_captured_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "orders/0/2024/01/01/00/00/00.avro", &events(0..3));
    let spec = spec(folder.path());
    let stray = folder.path().join("orders/notes.avro");
    std::fs::write(&stray, container(&[])).expect("writable");
    let error = try_read(&spec, &Positions::default()).err().expect("a path of another layout");
    assert!(matches!(&error, SourceError::Layout { file, .. } if file.ends_with("notes.avro")), "{error}");
    std::fs::remove_file(&stray).expect("writable");
    let cut = folder.path().join("orders/0/2024/01/01/00/01/00.avro");
    std::fs::create_dir_all(cut.parent().expect("a folder")).expect("writable");
    let whole = container(&events(3..30));
    std::fs::write(&cut, &whole[..whole.len() - 40]).expect("writable");
    let error = try_read(&spec, &Positions::default()).err().expect("a file that is cut off");
    assert!(matches!(&error, SourceError::File { file, .. } if file.ends_with("01/00.avro")), "{error}");
}

#[test]
fn a_real_captured_file_is_read() {
    let Some(folder) = data("eventhub-capture") else { return };
    let mut parts = vec![LayoutPart::Text("p".to_owned()), LayoutPart::PartitionId];
    for (text, part) in [
        ("--", TimePart::Year),
        ("-", TimePart::Month),
        ("-", TimePart::Day),
        ("--", TimePart::Hour),
        ("-", TimePart::Minute),
        ("-", TimePart::Second),
    ] {
        parts.extend([LayoutPart::Text(text.to_owned()), LayoutPart::Time(part)]);
    }
    let columns = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("type", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
    ]));
    let mut spec = CaptureSpec { columns, ..spec(&folder) };
    (spec.files.layout, spec.files.hub) = (parts, Some("metering".to_owned()));
    let found = read(&spec, &Positions::default());
    let rows: usize = found.rows.iter().map(RecordBatch::num_rows).sum();
    assert_eq!((rows, found.rejects.len()), (20, 0));
    assert_eq!(found.positions, Positions::of("metering/9".into(), 24));
    let times = found.rows[0].column_by_name("_timestamp").expect("times").as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(0), 1_670_605_816_046_000);
    let key = found.rows[0].column_by_name("_key").expect("keys").as_binary::<i32>();
    assert_eq!(key.value(0), b"d8b14c3c-fcfa-4bf4-d034-be8c3f3ecab5");
    assert_eq!(read(&spec, &Positions::of("metering/9".into(), 20)).positions.get("metering/9"), Some(24));
}
