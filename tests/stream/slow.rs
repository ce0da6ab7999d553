//! A hop that is slower than its topic: the reader stays a member of its group, and fetches no more
//! than it may.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use sluicebox::batch::Positions;
use sluicebox::plan::{KafkaSpec, MessageFormat, OnLost, SourceKind, SourceSpec, StreamStart};
use sluicebox::source::{self, Next, OpenSource};

use super::support::DEADLINE;
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
        max_in_flight: 1 << 20,
        capture: None,
    };
    let spec = SourceSpec { name: "events".into(), kind: SourceKind::Kafka(spec) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = Positions::default();
    let request =
        OpenSource { spec: &spec, done: &done, since: None, known: None, runtime: runtime.handle(), follow: true };
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
