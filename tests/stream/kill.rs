//! Killed anywhere, with brokers that come and go: every event counts once.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::support::{Following, Pipeline};
use crate::harness::kafka::{Broker, own};

/// How many of something a test does, as a variable says or as is enough for every day.
pub fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Orders of which some come twice, some are bad, and gold sums are by minute and state.
const PIPELINE: &str = r#"
[pipeline]
name = "orders"

[sources.orders]
type = "kafka"
brokers = "BROKERS"
topics = ["TOPIC"]
GROUP
session_timeout = "2s"
format = "json"
columns = { order_id = "int64 not null", minute = "int64", state = "string", amount = "int64" }

[tables.silver.orders]
mode = "upsert"
key = ["order_id"]

[tables.gold.minutes]
mode = "accumulate"
key = ["minute", "state"]
sum = ["amount"]
count = "orders"

[hops.land]
from = "orders"
to = "bronze.orders"
flush = { time = "100ms", rows = 5_000 }

[hops.clean]
from = "bronze.orders"
to = "silver.orders"
flush = { time = "200ms" }

[hops.windows]
from = "bronze.orders"
to = "gold.minutes"
flush = { time = "200ms" }
"#;

const PARTITIONS: i32 = 4;

/// What the tables must hold in the end.
#[derive(Default)]
struct Truth {
    messages: i64,
    good: i64,
    bad: i64,
    orders: BTreeMap<i64, i64>,
    minutes: BTreeMap<(i64, String), (i64, i64)>,
}

impl Truth {
    /// Writes some more orders and remembers them.
    fn write(&mut self, broker: &Broker, topic: &str, random: &mut ChaCha8Rng, orders: i64) {
        for partition in 0..PARTITIONS {
            let mut bodies = Vec::new();
            for _ in 0..orders / i64::from(PARTITIONS) {
                self.messages += 1;
                if random.random_ratio(1, 50) {
                    self.bad += 1;
                    bodies.push(format!("{{\"order_id\": {}", self.messages));
                    continue;
                }
                // One order of fifty is the one before it again.
                let id = if random.random_ratio(1, 50) { self.good - 1 } else { self.good };
                // An order is always of the same partition, as its key would have it.
                let id = id.max(0) * i64::from(PARTITIONS) + i64::from(partition);
                let (minute, state) = (id / 1_000, format!("s{}", id % 7));
                let amount = id % 100;
                self.good += 1;
                self.orders.insert(id, amount);
                let sum = self.minutes.entry((minute, state.clone())).or_default();
                *sum = (sum.0 + 1, sum.1 + amount);
                bodies.push(json!({ "order_id": id, "minute": minute, "state": state, "amount": amount }).to_string());
            }
            broker.write(topic, partition, bodies);
        }
    }

    /// Compares the tables, read by another program than the one that wrote them.
    fn check(&self, pipeline: &Pipeline) {
        let count = |table: &str, what: &str| format!("(select {what} from delta_scan('{{lake}}/{table}'))");
        let statement = format!(
            "select {} as bronze, {} as places, {} as silver, {} as bad",
            count("bronze/orders", "count(*)"),
            count("bronze/orders", "count(distinct _lane || ' ' || _position)"),
            count("silver/orders", "count(*)"),
            count("quarantine/land", "count(*)"),
        );
        let Some(row) = pipeline.row(&statement) else { return };
        let expected = json!({
            "bronze": self.good, "places": self.good, "silver": self.orders.len(), "bad": self.bad,
        });
        assert_eq!(row, expected, "{}", pipeline.said());
        let statement = "select minute, state, orders, amount from delta_scan('{lake}/gold/minutes') order by 1, 2";
        let Some(rows) = pipeline.rows(statement) else { return };
        let expected: Vec<Value> = self
            .minutes
            .iter()
            .map(|((minute, state), (orders, amount))| {
                json!({ "minute": minute, "state": state, "orders": orders, "amount": amount })
            })
            .collect();
        assert_eq!(rows.len(), expected.len());
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected);
        }
    }
}

fn pipeline(broker: &Broker, topic: &str, group: &str) -> Pipeline {
    let text = PIPELINE.replace("BROKERS", &broker.plain).replace("TOPIC", topic).replace("GROUP", group);
    Pipeline::new(&text)
}

/// Lets a random moment pass. Not a wait for anything: the moment is what is random.
pub fn moment(random: &mut ChaCha8Rng, most: u64) {
    let (_never, moment) = mpsc::channel::<()>();
    let _ = moment.recv_timeout(Duration::from_millis(random.random_range(50..most)));
}

/// Waits until every table has everything.
fn settle(pipeline: &Pipeline, messages: i64) {
    pipeline.wait_for("bronze.orders", "orders/land", messages);
    // The hops below are done when they stand at bronze's last version.
    let bronze = || super::support::log_version(&pipeline.lake.table("bronze.orders"));
    for (table, app) in [("silver.orders", "orders/clean"), ("gold.minutes", "orders/windows")] {
        pipeline.wait_for(table, app, bronze());
    }
}

#[test]
fn killed_hosts_and_brokers_lose_nothing_and_repeat_nothing() {
    let Some(broker) = own("kill") else { return };
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let topic = broker.topic("orders", PARTITIONS);
    let pipeline = pipeline(&broker, &topic, "");
    let mut truth = Truth::default();
    let (kills, restarts) = (count("SLUICE_KILLS", 30), count("SLUICE_BROKER_RESTARTS", 3));
    let orders = count("SLUICE_ORDERS", 120_000) as i64;
    for kill in 0..kills {
        truth.write(&broker, &topic, &mut random, orders / kills as i64);
        let run = pipeline.follow();
        if kill % (kills / restarts.max(1)).max(1) == 1 {
            moment(&mut random, 800);
            if random.random_ratio(1, 2) {
                broker.kill()
            } else {
                broker.stop()
            }
            moment(&mut random, 800);
            broker.resume();
        }
        moment(&mut random, 1_500);
        run.kill();
    }
    let run = pipeline.follow();
    // So that this run has something to do and is well on its way when it is ended.
    truth.write(&broker, &topic, &mut random, 4_000);
    settle(&pipeline, truth.messages);
    assert_eq!(run.stop(), Some(130), "{}", pipeline.said());
    truth.check(&pipeline);
}

#[test]
fn replicas_that_come_and_go_share_the_work_once() {
    let Some(broker) = own("replicas") else { return };
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let topic = broker.topic("shared", PARTITIONS);
    let pipeline = pipeline(&broker, &topic, "group = \"shared\"");
    let mut truth = Truth::default();
    let rounds = count("SLUICE_ROUNDS", 6);
    truth.write(&broker, &topic, &mut random, 4_000);
    let mut replicas: Vec<Following> = (0..3).map(|_| pipeline.follow()).collect();
    for round in 0..rounds {
        truth.write(&broker, &topic, &mut random, 20_000);
        moment(&mut random, 3_000);
        // Not always the same one: who leads may be killed, and who does not.
        let gone = replicas.remove(random.random_range(0..replicas.len()));
        if round % 2 == 0 {
            gone.kill();
        } else {
            assert_eq!(gone.stop(), Some(130), "{}", pipeline.said());
        }
        // One that has only just been started may be ended before it listens to anybody.
        if round + 1 < rounds {
            replicas.push(pipeline.follow());
        }
    }
    settle(&pipeline, truth.messages);
    for replica in replicas {
        assert_eq!(replica.stop(), Some(130), "{}", pipeline.said());
    }
    truth.check(&pipeline);
}

#[test]
fn a_host_that_wakes_up_after_another_took_its_lanes_changes_nothing() {
    let Some(broker) = own("zombie") else { return };
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let topic = broker.topic("zombie", PARTITIONS);
    let pipeline = pipeline(&broker, &topic, "group = \"zombie\"");
    let mut truth = Truth::default();
    truth.write(&broker, &topic, &mut random, 8_000);
    let first = pipeline.follow();
    pipeline.wait_for("bronze.orders", "orders/land", 1);
    first.signal("-STOP");
    truth.write(&broker, &topic, &mut random, 40_000);
    let second = pipeline.follow();
    settle(&pipeline, truth.messages);
    first.signal("-CONT");
    truth.write(&broker, &topic, &mut random, 40_000);
    settle(&pipeline, truth.messages);
    for replica in [first, second] {
        assert_eq!(replica.stop(), Some(130), "{}", pipeline.said());
    }
    truth.check(&pipeline);
}
