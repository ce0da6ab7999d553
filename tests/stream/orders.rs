//! `pipelines/order-intelligence-kafka.toml` on a real broker: several partitions, read in whatever
//! order they come.

use sluicebox::plan::{Dataset, EventMix, SimulateSpec};
use sluicebox::simulate::Events;

use crate::harness::kafka::broker;
use crate::harness::{Lake, duckdb, root, sluice, text};
use crate::pipeline::orders::{GOLD, is_sound};

const ORDERS: u64 = 60_000;

#[test]
fn orders_of_a_broker_are_the_same_windows() {
    let Some(broker) = broker() else { return };
    let topic = format!("{}-made", broker.topic("orders", 1));
    let rows = ORDERS.to_string();
    let send = ["simulate", "order-events", "--rows", &rows, "--bad", "0.02", "--late", "0.05", "--duplicates", "0.02"];
    let to = ["--to", "kafka", "--brokers", &broker.plain, "--topic", &topic];
    let absent = sluice::run(&[&send[..], &to[..]].concat()).failed(1);
    assert!(absent.stderr.contains(&format!("there is no topic `{topic}`")), "{absent}");
    sluice::run(&[&send[..], &to[..], &["--partitions", "4"]].concat()).ok();
    let folder = Lake::new();
    let (pipeline, lake) = (root().join("pipelines/order-intelligence-kafka.toml"), folder.path().join("lake"));
    let (brokers, var) = (format!("brokers={}", broker.plain), format!("topic={topic}"));
    let run = ["run", text(&pipeline), "--lake", text(&lake), "--json", "--var", &brokers, "--var", &var];
    let first = sluice::run(&run).ok();
    assert_eq!(first.hop("land")["rows_in"], ORDERS, "{first}");
    assert_eq!(sluice::run(&run).ok().hop("land")["rows_in"], 0);

    let events = EventMix { late: 0.05, duplicates: 0.02, ..EventMix::default() };
    let spec = SimulateSpec { dataset: Dataset::OrderEvents, rows: ORDERS, seed: 42, bad: 0.02, events };
    let events = Events::of(&spec, 0..ORDERS);
    let good: Vec<&[u8]> = events.iter().filter(|event| is_sound(event)).collect();
    std::fs::write(lake.join("good.jsonl"), [good.join(&b'\n'), vec![b'\n']].concat()).expect("writable");
    let Some(found) = duckdb::row(&lake, GOLD) else { return };
    assert_eq!(found["different"], 0, "{found}");
    let refused = duckdb::row(
        &lake,
        "select count(*) as n, count(distinct (lane, position)) as places
         from delta_scan('{lake}/quarantine/land') where octet_length(payload) > 0",
    );
    let refused = refused.expect("because DuckDB has read a table before");
    let bad = ORDERS as usize - good.len();
    assert_eq!((&refused["n"], &refused["places"]), (&bad.into(), &bad.into()));
}
