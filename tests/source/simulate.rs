//! Generated rows.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type};
use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{Dataset, EventMix, SimulateSpec, SourceKind, SourceSpec};
use sluicebox_simulate::{self as simulate, Events};
use sluicebox_sources::{self as source, OpenSource};

use super::harness::{Folder, shown};

fn spec(dataset: Dataset, rows: u64) -> SimulateSpec {
    SimulateSpec { dataset, rows, seed: 42, bad: 0.0, events: EventMix::default() }
}

fn all(spec: &SimulateSpec) -> RecordBatch {
    let parts: Vec<_> = simulate::batches(spec, 8_192).collect();
    concat_batches(&simulate::schema(spec.dataset), &parts).unwrap()
}

#[test]
fn any_range_is_a_part_of_the_whole() {
    for dataset in [Dataset::Customers, Dataset::Products, Dataset::Orders] {
        let spec = SimulateSpec { bad: 0.1, ..spec(dataset, 1_000) };
        let whole = all(&spec);
        assert_eq!(whole.num_rows(), 1_000);
        for (from, to) in [(0, 1), (1, 2), (17, 600), (999, 1_000)] {
            assert_eq!(simulate::rows(&spec, from..to), whole.slice(from as usize, (to - from) as usize));
        }
        assert_ne!(all(&SimulateSpec { seed: 43, ..spec }), whole);
    }
}

#[test]
fn the_shop_is_as_described() {
    let customers = all(&spec(Dataset::Customers, 20_000));
    let emails = customers.column(2).null_count();
    assert!((800..1_200).contains(&emails), "{emails} emails are null");
    assert!(customers.column(3).as_string::<i32>().iter().flatten().all(|address| address.lines().count() == 2));
    let products = all(&spec(Dataset::Products, 2_000));
    let categories: HashSet<_> = products.column(2).as_string::<i32>().iter().flatten().collect();
    assert_eq!(categories.len(), 6);
    assert!(
        products
            .column(3)
            .as_primitive::<Decimal128Type>()
            .values()
            .iter()
            .all(|cents| (500..=100_000).contains(cents))
    );
    let orders = all(&spec(Dataset::Orders, 50_000));
    let (status, ordered) = (orders.column(5).as_string::<i32>(), orders.column(3).as_primitive::<Date32Type>());
    let shipped = orders.column(6).as_primitive::<Date32Type>();
    for row in 0..orders.num_rows() {
        assert_eq!(shipped.is_valid(row), status.value(row) == "completed");
        assert!(shipped.is_null(row) || shipped.value(row) > ordered.value(row));
    }
    for (column, most) in [(1, 20_000), (2, 2_000), (4, 5)] {
        let values = orders.column(column).as_primitive::<Int32Type>();
        assert_eq!(values.null_count(), 0);
        assert!(values.values().iter().all(|value| (1..=most).contains(value)));
    }
}

#[test]
fn bad_rows_are_as_many_as_asked_for() {
    let orders = all(&SimulateSpec { bad: 0.2, ..spec(Dataset::Orders, 20_000) });
    let int = |column: usize| orders.column(column).as_primitive::<Int32Type>();
    let mut seen = HashSet::new();
    let bad = (0..orders.num_rows())
        .filter(|row| {
            let key = (int(0).value(*row), int(2).value(*row));
            let null = (0..3).any(|column| int(column).is_null(*row));
            null || int(4).value(*row) < 0 || int(2).value(*row) > 2_000 || !seen.insert(key)
        })
        .count();
    assert!((3_600..4_400).contains(&bad), "{bad} of 20,000 are bad");
}

#[test]
fn what_is_written_as_csv_is_read_back() {
    for (name, dataset, columns) in [
        (
            "customers",
            Dataset::Customers,
            &[
                ("customer_id", "int32"),
                ("name", "string"),
                ("email", "string"),
                ("address", "string"),
                ("registration_date", "date"),
            ][..],
        ),
        (
            "products",
            Dataset::Products,
            &[
                ("product_id", "int32"),
                ("name", "string"),
                ("category", "string"),
                ("price", "decimal(10,2)"),
                ("stock", "int32"),
            ],
        ),
        (
            "orders",
            Dataset::Orders,
            &[
                ("order_id", "int32"),
                ("customer_id", "int32"),
                ("product_id", "int32"),
                ("order_date", "date"),
                ("quantity", "int32"),
                ("status", "string"),
                ("shipping_date", "date"),
            ],
        ),
    ] {
        let spec = SimulateSpec { bad: 0.05, ..spec(dataset, 3_000) };
        let mut text = Vec::new();
        simulate::write_csv(&spec, &mut text).unwrap();
        let folder = Folder::csv().columns(columns).with(&format!("{name}.csv"), text);
        assert_eq!(folder.schema(None).unwrap(), simulate::schema(dataset));
        let read = folder.read();
        assert_eq!(read.bad(), []);
        let whole = all(&spec);
        let expected: Vec<Vec<String>> = (0..whole.num_rows())
            .map(|row| whole.columns().iter().map(|column| shown(column, row)).collect())
            .collect();
        assert_eq!(read.table(), expected);
    }
}

#[test]
fn a_source_of_generated_rows_resumes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source = SourceSpec {
        name: "s".to_owned(),
        kind: SourceKind::Simulate(spec(Dataset::Orders, 20_000)),
        names: Default::default(),
    };
    let read = |done: &Positions| {
        let mut open = source::open(OpenSource {
            spec: &source,
            done,
            since: None,
            contract: None,
            known: None,
            runtime: runtime.handle(),
            follow: false,
        })
        .unwrap();
        let mut read = super::harness::Read::default();
        while let Some(next) = next_rows(&mut *open) {
            read.positions.merge(&next.batch.positions);
            read.batches.push(next.batch.rows);
        }
        read
    };
    let whole = read(&Positions::default());
    assert_eq!(whole.rows(), 20_000);
    assert_eq!(whole.positions.get("simulate"), Some(20_000));
    let rest = read(&Positions::of("simulate".into(), 12_345));
    assert_eq!(rest.table(), whole.table()[12_345..]);
    assert_eq!(rest.places(), whole.places()[12_345..]);
    assert_eq!(read(&whole.positions).rows(), 0);
}

const EVENTS: [Dataset; 3] = [Dataset::OrderEvents, Dataset::Reviews, Dataset::AppEvents];

/// Events of which every share is bad, late or sent again.
fn mixed(dataset: Dataset, rows: u64) -> SimulateSpec {
    let events = EventMix { late: 0.05, duplicates: 0.02, ..EventMix::default() };
    SimulateSpec { bad: 0.02, events, ..spec(dataset, rows) }
}

fn texts(spec: &SimulateSpec, range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    Events::of(spec, range).iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn an_event_depends_on_the_seed_and_its_number_alone() {
    for dataset in EVENTS {
        let spec = mixed(dataset, 3_000);
        let whole = texts(&spec, 0..3_000);
        for (from, to) in [(0, 1), (1, 2), (17, 600), (2_999, 3_000)] {
            assert_eq!(texts(&spec, from..to), whole[from as usize..to as usize]);
        }
        assert_ne!(texts(&SimulateSpec { seed: 43, ..spec }, 0..3_000), whole);
    }
}

#[test]
fn events_are_bad_late_and_sent_again_as_often_as_asked_for() {
    let spec = mixed(Dataset::OrderEvents, 50_000);
    let (mut broken, mut wrong, mut late, mut again, mut zoneless) = (0, 0, 0, 0, 0);
    let mut seen = HashSet::new();
    let mut latest = String::new();
    for text in texts(&spec, 0..50_000) {
        let Ok(order) = serde_json::from_slice::<serde_json::Value>(&text) else {
            broken += 1;
            continue;
        };
        wrong += u32::from(order["state"].is_null() || order["quantity"].is_string());
        if !seen.insert(order["order_id"].as_str().unwrap().to_owned()) {
            again += 1;
            continue;
        }
        let time = order["timestamp"].as_str().unwrap();
        zoneless += u32::from(!time.ends_with('Z'));
        let time = time.trim_end_matches('Z').to_owned();
        // Less than two seconds could be the next event's own step.
        late += u32::from(time < latest);
        latest = latest.max(time);
    }
    for (name, found, share) in [
        ("broken", broken, 0.012),
        ("wrong", wrong, 0.008),
        ("late", late, 0.05),
        ("sent again", again, 0.02),
        ("without zone", zoneless, 0.1),
    ] {
        let expected = 50_000.0 * share;
        assert!((f64::from(found) - expected).abs() < expected * 0.15, "{found} are {name}, {expected} expected");
    }
}

/// Everything that a source of generated events gives after `done`.
fn drain(spec: &SimulateSpec, done: &Positions) -> (Vec<RecordBatch>, Vec<sluicebox_core::batch::Reject>, Positions) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source =
        SourceSpec { name: "s".to_owned(), kind: SourceKind::Simulate(spec.clone()), names: Default::default() };
    let mut open = source::open(OpenSource {
        spec: &source,
        done,
        since: None,
        contract: None,
        known: None,
        runtime: runtime.handle(),
        follow: false,
    })
    .unwrap();
    let (mut batches, mut rejects, mut positions) = (Vec::new(), Vec::new(), done.clone());
    while let Some(next) = next_rows(&mut *open) {
        positions.merge(&next.batch.positions);
        batches.push(next.batch.rows);
        rejects.extend(next.rejects);
    }
    (batches, rejects, positions)
}

#[test]
fn every_event_is_a_row_with_its_bytes_or_a_reject_with_its_bytes() {
    for dataset in EVENTS {
        let spec = mixed(dataset, 10_000);
        let whole = texts(&spec, 0..10_000);
        let (batches, rejects, positions) = drain(&spec, &Positions::default());
        assert_eq!(positions.get("simulate"), Some(10_000));
        let mut found = vec![None; whole.len()];
        for rows in &batches {
            let at = rows.column_by_name("_position").unwrap().as_primitive::<arrow_array::types::Int64Type>();
            let raw = rows.column_by_name("_raw").unwrap().as_binary::<i32>();
            assert_eq!(rows.column_by_name("_rescued").unwrap().null_count(), rows.num_rows(), "nothing is undeclared");
            for row in 0..rows.num_rows() {
                assert_eq!(found[at.value(row) as usize].replace(raw.value(row).to_vec()), None);
            }
        }
        assert!(rejects.len() > 100, "{} rejects", rejects.len());
        for reject in rejects {
            assert!(reject.reason.as_str().starts_with("json."), "{}", reject.reason);
            assert_eq!(found[reject.position as usize].replace(reject.payload), None);
        }
        assert_eq!(found, whole.into_iter().map(Some).collect::<Vec<_>>());
    }
}

#[test]
fn a_source_of_generated_events_resumes_and_keeps_to_its_rate() {
    let spec = mixed(Dataset::OrderEvents, 2_000);
    let (whole, all, _) = drain(&spec, &Positions::default());
    let schema = whole[0].schema();
    let whole = concat_batches(&schema, &whole).unwrap();
    let (rest, some, _) = drain(&spec, &Positions::of("simulate".into(), 1_234));
    let rest = concat_batches(&schema, &rest).unwrap();
    assert_eq!(rest, whole.slice(whole.num_rows() - rest.num_rows(), rest.num_rows()));
    assert_eq!(some, all.into_iter().filter(|reject| reject.position >= 1_234).collect::<Vec<_>>());
    let rate = EventMix { rate: 4_000, ..spec.events.clone() };
    let began = std::time::Instant::now();
    drain(&SimulateSpec { events: rate, ..spec }, &Positions::default());
    // Never sooner than they are due; how much later is not for a test to say.
    assert!(began.elapsed().as_secs_f64() >= 0.49, "{:?}", began.elapsed());
}

/// What comes next that is rows; nothing at the end.
fn next_rows(source: &mut dyn source::Source) -> Option<source::SourceBatch> {
    loop {
        match source.next().unwrap() {
            source::Next::Idle => {}
            next => return next.rows(),
        }
    }
}
