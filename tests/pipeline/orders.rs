//! `pipelines/order-intelligence.toml`, judged by DuckDB over the events that went in: live orders
//! of which some are broken, some late and some sent twice, killed wherever it hurts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sluicebox_core::plan::{Dataset, EventMix, SimulateSpec};
use sluicebox_simulate::Events;

use crate::harness::{Lake, duckdb, root, sluice, text};

/// Runs that are ended at a random moment; `SLUICE_KILLS` sets another number.
const KILLS: usize = 20;

/// A folder with the pipeline, on so many orders and with commits as often as they can be.
struct Shop {
    folder: Lake,
    orders: u64,
}

impl Shop {
    fn new(orders: u64) -> Self {
        let folder = Lake::new();
        let pipeline = fs::read_to_string(root().join("pipelines/order-intelligence.toml")).expect("the pipeline");
        let replaced = [
            ("rows = 200_000", format!("rows = {orders}")),
            ("time = \"1s\"", "time = \"20ms\"".to_owned()),
            ("../guest-transforms", text(&root().join("guest-transforms")).to_owned()),
        ];
        let pipeline = replaced.into_iter().fold(pipeline, |pipeline, (from, to)| {
            assert!(pipeline.contains(from), "the pipeline has no {from}");
            pipeline.replace(from, &to)
        });
        fs::write(folder.path().join("orders.toml"), pipeline).expect("a temporary folder is writable");
        Self { folder, orders }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn arguments(&self) -> Vec<String> {
        let file = self.folder.path().join("orders.toml");
        ["run", text(&file), "--lake", text(&self.lake()), "--json"].map(str::to_owned).to_vec()
    }

    fn run(&self) -> sluice::Outcome {
        sluice::finish(sluice::command().args(self.arguments())).ok()
    }

    /// The events, as the pipeline's source makes them.
    fn events(&self) -> Vec<Vec<u8>> {
        let events = EventMix { late: 0.05, duplicates: 0.02, ..EventMix::default() };
        let spec = SimulateSpec { dataset: Dataset::OrderEvents, rows: self.orders, seed: 42, bad: 0.02, events };
        Events::of(&spec, 0..self.orders).iter().map(<[u8]>::to_vec).collect()
    }

    /// Works everything out again from the events. Whether DuckDB was there to do it.
    fn check(&self) -> bool {
        let events = self.events();
        let (good, bad): (Vec<_>, Vec<_>) = events.iter().enumerate().partition(|(_, event)| is_sound(event));
        let lines: Vec<u8> = good.iter().flat_map(|(_, event)| [event.as_slice(), b"\n"].concat()).collect();
        fs::write(self.lake().join("good.jsonl"), lines).expect("a temporary folder is writable");
        let Some(found) = duckdb::row(&self.lake(), GOLD) else { return false };
        assert_eq!(found["different"], 0, "{found}");
        assert!(found["windows"].as_i64() > Some(100), "{found}");

        let refused = duckdb::rows(
            &self.lake(),
            "select position, hex(payload) as payload, stage from delta_scan('{lake}/quarantine/land')",
        );
        let refused: BTreeMap<i64, (Value, Value)> = refused
            .expect("because DuckDB has read a table before")
            .into_iter()
            .map(|row| (row["position"].as_i64().unwrap_or(-1), (row["payload"].clone(), row["stage"].clone())))
            .collect();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let expected: BTreeMap<i64, (Value, Value)> =
            bad.iter().map(|(at, event)| (*at as i64, (json!(hex(event)), json!("source")))).collect();
        assert_eq!(refused, expected, "every bad event is in quarantine once, with its bytes");

        let counts = duckdb::row(
            &self.lake(),
            "select (select count(*) from delta_scan('{lake}/bronze/orders')) as bronze,
                    (select count(distinct _position) from delta_scan('{lake}/bronze/orders')) as positions,
                    (select count(*) from delta_scan('{lake}/bronze/orders') where state is null) as stateless,
                    (select count(*) from delta_scan('{lake}/quarantine/clean') where reason = 'state.null') as refused,
                    (select count(*) from delta_scan('{lake}/quarantine/clean')) as all_refused,
                    (select count(*) - count(distinct order_id) from delta_scan('{lake}/silver/orders')) as twice",
        );
        let counts = counts.expect("because DuckDB has read a table before");
        assert_eq!((&counts["bronze"], &counts["positions"]), (&json!(good.len()), &json!(good.len())), "{counts}");
        assert_eq!((&counts["refused"], &counts["all_refused"]), (&counts["stateless"], &counts["stateless"]));
        assert_eq!(counts["twice"], 0);
        true
    }
}

/// Gold against the events themselves, which are in `good.jsonl`: nothing of the pipeline's own
/// tables but the last.
pub const GOLD: &str = r#"
with events as (
    select distinct order_id, replace("timestamp", 'Z', '')::timestamp as ordered, state, product,
           coalesce(price, 0) as price, coalesce(quantity, 1) as quantity, delivery_status
    from read_json('{lake}/good.jsonl', format = 'newline_delimited', columns = {
        order_id: 'VARCHAR', "timestamp": 'VARCHAR', state: 'VARCHAR', product: 'VARCHAR',
        price: 'DECIMAL(10,2)', quantity: 'INTEGER', delivery_status: 'VARCHAR' })
    where state is not null),
expected as (
    select date_trunc('minute', ordered) as window_start, state, product, sum(price * quantity) as total_sales,
           sum(quantity) as total_items, count(*) as orders
    from events where delivery_status <> 'Cancelled' group by all),
found as (
    select window_start at time zone 'UTC' as window_start, window_end at time zone 'UTC' as window_end,
           state, product, total_sales, total_items, orders
    from delta_scan('{lake}/gold/order_windows'))
select count(*) as windows, count(*) filter (
           e.total_sales is distinct from f.total_sales or e.total_items is distinct from f.total_items
           or e.orders is distinct from f.orders or f.window_end is distinct from e.window_start + interval 1 minute
       ) as different
from expected e full join found f using (window_start, state, product)"#;

#[test]
fn gold_is_what_the_events_say_and_every_bad_one_is_in_quarantine_with_its_bytes() {
    let shop = Shop::new(60_000);
    let run = shop.run();
    assert_eq!(run.hop("land")["rows_in"], 60_000);
    if !shop.check() {
        return;
    }
    for hop in ["land", "clean", "windows"] {
        let again = shop.run().hop(hop);
        assert_eq!((&again["rows_in"], &again["commits"]), (&json!(0), &json!(0)), "{again}");
    }
}

#[test]
fn killed_at_random_again_and_again_gold_is_the_same() {
    let kills = std::env::var("SLUICE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        let shop = Shop::new(60_000);
        // A lake is soon complete; then there is nothing left to kill, and another one begins.
        rounds += 1;
        loop {
            let mut child = sluice::command()
                .args(shop.arguments())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program under test can be started");
            // Not a wait for anything: the moment of the kill is what is random here.
            let (_never, moment) = mpsc::channel::<()>();
            let _ = moment.recv_timeout(Duration::from_micros(random.random_range(20_000..600_000)));
            child.kill().expect("because the child was not waited for yet");
            let status = child.wait().expect("a killed child can be waited for");
            if status.code().is_some() {
                break;
            }
            killed += 1;
            if killed == kills {
                break;
            }
        }
        shop.run();
        assert!(rounds < 10 * kills, "runs end before they can be killed: only {killed} were");
        if !shop.check() {
            return;
        }
        assert!(states(&shop.lake()) <= 4, "states that nobody needs are gone");
    }
}

/// Whether an event is an order that could be counted: one JSON object, of the right types.
pub fn is_sound(event: &[u8]) -> bool {
    let order: Option<Value> = serde_json::from_slice(event).ok();
    order.is_some_and(|order| order["quantity"].is_u64() || order["quantity"].is_null())
}

/// How many states of the cleaning hop are kept.
fn states(lake: &Path) -> usize {
    let folder = fs::read_dir(lake.join("_state/order-intelligence/clean")).expect("the module has state");
    folder.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count()
}
