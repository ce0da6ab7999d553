//! A hop that is slower than its topic: the reader stays a member of its group, and fetches no more
//! than it may.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use rand::{Rng, SeedableRng};
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{KafkaSpec, MessageFormat, OnLost, SourceKind, SourceSpec, StreamStart, Timestamps};
use sluicebox_sources::{self as source, Next, OpenSource};

use super::support::{DEADLINE, landing, source};
use crate::harness::kafka::broker;

#[test]
fn a_reader_that_had_to_wait_goes_on_where_it_was() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("slow", 2);
    let messages = 60_000;
    for partition in 0..2 {
        broker.write(&topic, partition, (0..messages).map(|id| format!("{{\"id\":{id}}}")));
    }
    let spec = KafkaSpec {
        connection: broker.connection(),
        topics: vec![topic.clone()],
        group: Some(topic.clone()),
        session_timeout: Duration::from_secs(6),
        start: StreamStart::Earliest,
        on_lost: OnLost::Stop,
        format: MessageFormat::Json,
        columns: Schema::new(vec![Field::new("id", DataType::Int64, true)]).into(),
        raw: false,
        timestamps: Timestamps::Exact,
        max_in_flight: 1 << 20,
        reset: 0,
        capture: None,
    };
    let spec = SourceSpec { name: "events".into(), kind: SourceKind::Kafka(spec), names: Default::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = Positions::default();
    let request = OpenSource {
        spec: &spec,
        done: &done,
        since: None,
        known: None,
        contract: None,
        runtime: runtime.handle(),
        follow: true,
    };
    let mut source = source::open(request).unwrap();
    let mut next = BTreeMap::new();
    let (mut rows, mut waited, mut assigned) = (0, false, 0);
    let begun = Instant::now();
    while rows < 2 * messages {
        assert!(begun.elapsed() < DEADLINE, "{rows} rows came");
        match source.next().unwrap() {
            Next::Rows(batch) => {
                let lane = batch.batch.positions.iter().next().map(|(lane, _)| lane.to_string()).unwrap();
                let positions = batch.batch.rows.column_by_name("_position").unwrap().as_primitive::<Int64Type>();
                for position in positions.values() {
                    let next = next.entry(lane.clone()).or_insert(0);
                    assert_eq!(position, next, "in {lane}, every message once and in order");
                    *next += 1;
                }
                rows += positions.len();
            }
            Next::Lanes(change) => {
                assigned += change.assigned.len();
                assert_eq!(change.revoked, [], "it was taken for dead");
                source.assign(&Positions::default()).unwrap();
            }
            Next::Idle => {}
            Next::End => panic!("a run that goes on has no end"),
        }
        if rows > 20_000 && !waited {
            // Longer than it fetches ahead for a hop that takes nothing, and than the group's patience.
            let since = Instant::now();
            while since.elapsed() < Duration::from_secs(8) {
                source.wait();
                std::thread::park_timeout(Duration::from_millis(500));
            }
            waited = true;
        }
    }
    assert!(waited && assigned == 2, "{assigned} partitions were assigned");
}

/// Bytes of rows that may wait for a hop, or be worked on by it.
const IN_FLIGHT: u64 = 64 << 20;

#[test]
fn what_waits_for_a_slow_hop_is_counted_and_bounded() {
    let Some(broker) = broker() else { return };
    let topic = broker.topic("heavy", 1);
    let (messages, bytes): (u64, u64) = (4_000, 64 << 10);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    broker.write(
        &topic,
        0,
        (0..messages).map(|id| {
            // Text that does not compress makes the writer slower than the reader.
            let text: String = (0..bytes / 2).map(|_| format!("{:02x}", random.random::<u8>())).collect();
            format!("{{\"id\":{id},\"text\":\"{text}\"}}")
        }),
    );
    let columns = "format = \"json\"\ncolumns = { id = \"int64\", text = \"string\" }\nmax_in_flight = \"4 MiB\"";
    let run = landing(&source(broker, &[&topic], columns), "flush = { rows = 500 }").run().ok();
    let land = run.hop("land");
    assert_eq!(land["rows_in"], messages);
    let peak = land["peak_in_flight_bytes"].as_u64().expect("a number");
    // All that passed was several times as much, and nothing else holds rows between the reader and the hop.
    assert!(2 * messages * bytes > 4 * IN_FLIGHT);
    assert!((IN_FLIGHT / 8..=IN_FLIGHT).contains(&peak), "{peak} bytes were in flight");
    let all = run.summary()["peak_memory_bytes"].as_u64().expect("a number");
    assert!(all < 3 * messages * bytes, "{all} bytes of memory for {} bytes of messages", messages * bytes);
}
