//! Files of Event Hubs Capture: partitions, each event once, whatever files come again or late.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use sluicebox_core::batch::{Positions, Reject};
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{
    CaptureFiles, CaptureSpec, Gaps, LayoutPart, MessageFormat, SourceKind, SourceSpec, TimePart, Timestamps,
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
            reset: 0,
        },
        format: MessageFormat::Json,
        columns: Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])),
        raw: true,
        timestamps: Timestamps::Exact,
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
    let mut read = Read { positions: done.clone(), ..Read::default() };
    read_into(spec, done, None, &mut read).map(|()| read)
}

/// Reads what is left to read after positions that were recorded at `since`, up to what stops it.
fn read_into(
    spec: &CaptureSpec,
    done: &Positions,
    since: Option<DateTime<Utc>>,
    read: &mut Read,
) -> Result<(), SourceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let source =
        SourceSpec { name: "captured".to_owned(), kind: SourceKind::Capture(spec.clone()), names: Default::default() };
    let mut open = source::open(OpenSource {
        spec: &source,
        done,
        since,
        contract: None,
        known: None,
        runtime: runtime.handle(),
        follow: false,
    })?;
    while let Next::Rows(next) = open.next()? {
        read.positions.merge(&next.batch.positions);
        read.rejects.extend(next.rejects);
        read.rows.push(next.batch.rows);
    }
    Ok(())
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

/// Events of a hub that began at `start`, in seconds since 1970: one a second, whose `id` is the number and `plus`.
fn life(numbers: std::ops::Range<i64>, start: i64, plus: i64) -> Vec<Captured> {
    let event = |number: i64| {
        let mut event = Captured::new(number, format!("{{\"id\": {}}}", number + plus));
        let at = DateTime::from_timestamp(start + number, 0).expect("a time");
        event.millis = Some(at.timestamp_millis());
        event.enqueued = at.format("%m/%d/%Y %I:%M:%S %p").to_string();
        event
    };
    numbers.map(event).collect()
}

/// The path of a file of partition 0 that was begun at a time, in seconds since 1970.
fn path_at(time: i64, more: &str) -> String {
    let at = DateTime::from_timestamp(time, 0).expect("a time");
    format!("orders/0/{}{more}.avro", at.format("%Y/%m/%d/%H/%M/%S"))
}

const BEGUN: i64 = 1_704_067_200;
const DAY: i64 = 86_400;

/// When the tables were written: after all of these events, and before their files were put here.
fn landed() -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(BEGUN + 400 * DAY, 0)
}

#[test]
fn the_numbers_of_a_hub_that_was_made_anew_stop_the_source_until_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), &path_at(BEGUN, ""), &life(0..5, BEGUN, 0));
    let mut spec = spec(folder.path());
    let first = read(&spec, &Positions::default());
    put(folder.path(), &path_at(BEGUN + 5, ""), &life(5..7, BEGUN, 0));
    put(folder.path(), &path_at(BEGUN + 50 * DAY, ""), &life(0..4, BEGUN + 50 * DAY, 100));
    put(folder.path(), &path_at(BEGUN + 50 * DAY + 4, ""), &life(4..9, BEGUN + 50 * DAY, 100));
    let since = landed();
    let mut second = Read { positions: first.positions.clone(), ..Read::default() };
    let error = read_into(&spec, &first.positions, since, &mut second).expect_err("it begins again");
    assert_eq!(second.events(), expected("orders/0", 5..7), "what the first hub has left comes first");
    let text = error.to_string();
    assert!(text.contains("orders/0 begin again") && text.contains("number 0") && text.contains("number 6"), "{text}");
    assert!(error.hint().expect("a way on").contains("reset = 1"));
    // The same without another event of the first hub, again and again.
    let again = read_into(&spec, &second.positions, since, &mut Read::default()).expect_err("it still begins again");
    assert!(matches!(again, SourceError::BegunAgain { first: 0, .. }), "{again}");
    spec.files.reset = 1;
    let third = read(&spec, &second.positions);
    let anew: Vec<_> = (0..9).map(|number| ("orders/0#1".to_owned(), number, number + 100)).collect();
    assert_eq!(third.events(), anew);
    let mut fourth = Read { positions: third.positions.clone(), ..Read::default() };
    read_into(&spec, &third.positions, since, &mut fourth).expect("nothing is new");
    assert_eq!(fourth.events(), []);
    // And once more.
    put(folder.path(), &path_at(BEGUN + 90 * DAY, ""), &life(0..2, BEGUN + 90 * DAY, 200));
    read_into(&spec, &fourth.positions, since, &mut Read::default()).expect_err("it begins a third time");
    spec.files.reset = 2;
    assert_eq!(read(&spec, &fourth.positions).events(), [("orders/0#2".into(), 0, 200), ("orders/0#2".into(), 1, 201)]);
}

#[test]
fn a_younger_event_with_a_number_that_the_tables_have_is_another_hubs() {
    let folder = tempfile::tempdir().expect("a folder");
    // The files of the first hub are gone.
    put(folder.path(), &path_at(BEGUN, ""), &life(0..8, BEGUN, 0));
    let done = Positions::of("orders/0".into(), 6);
    let since = DateTime::from_timestamp(BEGUN - DAY, 0);
    let error = read_into(&spec(folder.path()), &done, since, &mut Read::default()).expect_err("it begins again");
    assert!(matches!(error, SourceError::BegunAgain { taken: Some(5), .. }), "{error}");
    let later = DateTime::from_timestamp(BEGUN + DAY, 0);
    let mut read = Read::default();
    read_into(&spec(folder.path()), &done, later, &mut read).expect("these it has");
    assert_eq!(read.events(), expected("orders/0", 6..8));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hub_that_counts_on_is_never_taken_for_another_and_one_that_begins_again_always(
        sizes in proptest::collection::vec(1_i64..5, 1..8),
        again in proptest::collection::vec((0_usize..8, 0_i64..4), 0..4),
        anew in proptest::option::of(proptest::collection::vec(1_i64..5, 1..5)),
        runs in 1_usize..4,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spec = spec(folder.path());
        let (mut files, mut next) = (Vec::new(), 0);
        for size in &sizes {
            files.push((path_at(BEGUN + next, ""), life(next..next + size, BEGUN, 0)));
            next += size;
        }
        // Files that come again, with events before and behind, under a later name.
        for (number, (of, more)) in again.into_iter().enumerate() {
            let first = files[of % sizes.len()].1[0].sequence;
            let numbers = (first - more).max(0)..(first + more + 1).min(next);
            files.push((path_at(BEGUN + next + number as i64, "-again"), life(numbers, BEGUN, 0)));
        }
        let count = files.len();
        let mut second = 0;
        for size in anew.iter().flatten() {
            let start = BEGUN + 10 * DAY;
            files.push((path_at(start + second, ""), life(second..second + size, start, 1_000)));
            second += size;
        }
        // They come in several runs, but for the new hub's, which is there all at once.
        let mut all = Read::default();
        let mut stopped = None;
        for run in 0..runs {
            let until = if run + 1 == runs { files.len() } else { count * (run + 1) / runs };
            files[..until].iter().for_each(|(path, events)| {
                if !folder.path().join(path).exists() {
                    put(folder.path(), path, events);
                }
            });
            let done = all.positions.clone();
            let since = landed().filter(|_| run > 0);
            stopped = read_into(&spec, &done, since, &mut all).err();
        }
        prop_assert_eq!(all.events(), expected("orders/0", 0..next));
        prop_assert_eq!(stopped.is_some(), anew.is_some(), "{:?}", stopped);
        if anew.is_some() {
            spec.files.reset = 1;
            let found = read(&spec, &all.positions).events();
            let wanted: Vec<_> = (0..second).map(|number| ("orders/0#1".to_owned(), number, number + 1_000)).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
