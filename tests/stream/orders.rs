//! `pipelines/order-intelligence-kafka.toml` on a real broker: several partitions, read in whatever
//! order they come.

use std::path::Path;
use std::process::Stdio;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sluicebox_core::plan::{Dataset, EventMix, SimulateSpec};
use sluicebox_simulate::Events;

use super::kill::{count, moment};
use crate::harness::kafka::{broker, own};
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

    check(&lake, ORDERS);
}

/// Orders that come while hosts are killed and brokers end and come back, at so many random moments:
/// `SLUICE_KILLS`, `SLUICE_BROKER_RESTARTS` and `SLUICE_ORDERS` set other numbers.
#[test]
fn orders_that_come_while_hosts_and_brokers_are_killed_are_the_same_windows() {
    let Some(broker) = own("orders-killed") else { return };
    let mut random = ChaCha8Rng::seed_from_u64(14);
    let (kills, restarts) = (count("SLUICE_KILLS", 10), count("SLUICE_BROKER_RESTARTS", 2));
    let orders = count("SLUICE_ORDERS", 60_000) as u64;
    let folder = Lake::new();
    let (file, lake) = (folder.path().join("orders.toml"), folder.path().join("lake"));
    let pipeline =
        std::fs::read_to_string(root().join("pipelines/order-intelligence-kafka.toml")).expect("it is there");
    let pipeline = pipeline
        .replace("time = \"1s\"", "time = \"100ms\"")
        // The group lets go of a host that was killed as soon as it may.
        .replace("format = \"json\"", "format = \"json\"\nsession_timeout = \"2s\"")
        .replace("../guest-transforms", text(&root().join("guest-transforms")));
    std::fs::write(&file, pipeline).expect("a temporary folder is writable");
    let (brokers, log) = (format!("brokers={}", broker.plain), folder.path().join("log"));
    let run = ["run", text(&file), "--lake", text(&lake), "--json", "--var", &brokers];

    broker.make_topic("orders", 4, &[]);
    // About as long as the kills take, so that there are always orders to come.
    let rate = (orders / (kills as u64 * 2)).max(1).to_string();
    let mut sender = sluice::command()
        .args(["simulate", "order-events", "--rows", &orders.to_string(), "--rate", &rate])
        .args(["--bad", "0.02", "--late", "0.05", "--duplicates", "0.02"])
        .args(["--to", "kafka", "--brokers", &broker.plain, "--topic", "orders"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program under test can be started");
    let mut brokers_killed = 0;
    for kill in 0..kills {
        let said = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("writable");
        let mut host = sluice::command().args(run).arg("--follow").stdout(Stdio::null()).stderr(said).spawn().unwrap();
        if kill % (kills / restarts.max(1)).max(1) == 1 && brokers_killed < restarts {
            brokers_killed += 1;
            moment(&mut random, 1_000);
            if random.random_ratio(1, 2) {
                broker.kill()
            } else {
                broker.stop()
            }
            moment(&mut random, 1_000);
            broker.resume();
        }
        moment(&mut random, 3_500);
        // It neither gave up nor ended before it was killed.
        assert!(host.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap_or_default());
        host.kill().expect("it runs");
        host.wait().expect("a killed child can be waited for");
    }
    assert!(sender.wait().expect("it ends").success(), "every order was sent");
    let last = sluice::run(&run).ok();
    assert!(last.hop("land")["rows_in"].as_u64() < Some(orders), "what was taken before is not taken again: {last}");
    check(&lake, orders);
}

/// Works the windows out again from the events, and looks for the bad ones in quarantine.
fn check(lake: &Path, orders: u64) {
    let events = EventMix { late: 0.05, duplicates: 0.02, ..EventMix::default() };
    let spec = SimulateSpec { dataset: Dataset::OrderEvents, rows: orders, seed: 42, bad: 0.02, events };
    let events = Events::of(&spec, 0..orders);
    let good: Vec<&[u8]> = events.iter().filter(|event| is_sound(event)).collect();
    std::fs::write(lake.join("good.jsonl"), [good.join(&b'\n'), vec![b'\n']].concat()).expect("writable");
    let Some(found) = duckdb::row(lake, GOLD) else { return };
    if found["different"] != 0 {
        let told = duckdb::rows(
            lake,
            "select 'quarantine' as what, reason, count(*) as n from delta_scan('{lake}/quarantine/clean') group by all
             union all select 'silver', '', count(*) from delta_scan('{lake}/silver/orders')
             union all select 'silver, each once', '', count(distinct order_id) from delta_scan('{lake}/silver/orders')
             union all select 'bronze', '', count(*) from delta_scan('{lake}/bronze/orders')
             union all select 'bronze, each once', '', count(distinct (_lane, _position)) from delta_scan('{lake}/bronze/orders')
             union all select 'gold', '', sum(orders)::bigint from delta_scan('{lake}/gold/order_windows')",
        );
        panic!("{found}: {told:#?}");
    }
    let refused = duckdb::row(
        lake,
        "select count(*) as n, count(distinct (lane, position)) as places
         from delta_scan('{lake}/quarantine/land') where octet_length(payload) > 0",
    );
    let refused = refused.expect("because DuckDB has read a table before");
    let bad = orders as usize - good.len();
    assert_eq!((&refused["n"], &refused["places"]), (&bad.into(), &bad.into()));
}
