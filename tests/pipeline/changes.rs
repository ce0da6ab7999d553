//! Rows of silver change and go, and everything below stays right: in memory, after a restart
//! and after a kill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_select::concat::concat_batches;
use futures::TryStreamExt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::Added;

use crate::harness::{Lake, duckdb, sluice, text};

const LAND: &str = r#"
[pipeline]
name = "changes"

[vars.data]
type = "path"

[sources.orders]
type = "files"
path = "${data}"
format = "csv"

[sources.orders.columns]
id = "int64"
day = "date"
shop = "string"
amount = "decimal(12,2)"
op = "string"

[tables.silver.orders]
mode = "upsert"
key = ["id"]
delete_when = { column = "op", is = ["d"] }
partition_by = ["day"]
change_feed = true

[hops.land]
from = "orders"
to = "bronze.orders"
flush = { rows = 1 }

[hops.clean]
from = "bronze.orders"
to = "silver.orders"
flush = { rows = 1 }
"#;

/// What hangs on silver: its history, a copy, sums, and sums of sums.
const BELOW: &str = r#"
[tables.silver.copy]
mode = "upsert"
key = ["id"]

[tables.gold.days]
mode = "accumulate"
key = ["day", "shop"]
sum = ["amount"]
count = "orders"

[tables.gold.shops]
mode = "accumulate"
key = ["shop"]
sum = ["amount", "orders"]
count = "days"

[hops.log]
from = "silver.orders"
to = "silver.log"

[hops.copy]
from = "silver.orders"
to = "silver.copy"

[hops.days]
from = "silver.orders"
to = "gold.days"
flush = { rows = 40 }

[hops.shops]
from = "gold.days"
to = "gold.shops"
"#;

/// A module that remembers, between commits and over kills.
const FIRST: &str = r#"
[hops.first]
from = "bronze.orders"
module = "MODULE"
config = { key = ["id"], numbers = true }
to = "silver.first"
flush = { rows = 30 }
"#;

/// Orders as they should be: day, shop and cents by id.
type Model = BTreeMap<u32, (u32, u32, u32)>;

/// One drop of orders: new ones, corrections, cancellations, and rows that say nothing new.
fn drop_of(random: &mut ChaCha8Rng, model: &mut Model, rows: usize) -> String {
    let mut csv = String::from("id,day,shop,amount,op\n");
    for _ in 0..rows {
        let id = random.random_range(0..90);
        let known = model.get(&id).copied();
        let (order, op) = match (random.random_range(0..10), known) {
            (0..=1, Some(order)) => (order, "d"),
            (2, Some(order)) => (order, "u"),
            // Another day is another partition.
            (3, Some((day, shop, cents))) => (((day + 1) % 9, shop, cents), "u"),
            _ => {
                let shop = random.random_range(0..4);
                ((random.random_range(0..9), shop, random.random_range(0..100_000)), "u")
            }
        };
        match op {
            "d" => model.remove(&id),
            _ => model.insert(id, order),
        };
        let (day, shop, cents) = order;
        let _ = writeln!(csv, "{id},2024-03-0{},shop {shop},{}.{:02},{op}", day + 1, cents / 100, cents % 100);
    }
    csv
}

#[test]
fn gold_is_right_whatever_silver_does_and_whenever_a_run_is_killed() {
    let folder = Lake::new();
    let (file, data, lake) = (folder.path().join("p.toml"), folder.path().join("data"), folder.path().join("lake"));
    let first = FIRST.replace("MODULE", text(&crate::harness::module("distinct")));
    write(&file, &format!("{LAND}{BELOW}{first}"));
    std::fs::create_dir(&data).expect("a temporary folder is writable");
    let seed = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model::new();
    for round in 0..14 {
        for part in 0..random.random_range(1..4) {
            let rows = random.random_range(1..60);
            write(&data.join(format!("orders-{round:02}-{part}.csv")), &drop_of(&mut random, &mut model, rows));
        }
        if round % 2 == 1 {
            kill_somewhere(&file, &data, &lake, &mut random);
        }
        run(&file, &data, &lake).ok();
        if (round % 5 == 3 || round == 13) && !is_right(&lake, &model, seed) {
            break;
        }
    }
}

/// Compares every table with the model. Gives whether there is a DuckDB to compare with.
fn is_right(lake: &Path, model: &Model, seed: u64) -> bool {
    let orders = model.iter().map(|(id, (day, shop, cents))| format!("{id}|{}|shop {shop}|{cents}", day + 1));
    let orders: Vec<String> = orders.collect();
    for table in ["silver/orders", "silver/copy"] {
        let found = duckdb::rows(
            lake,
            &format!(
                "select id || '|' || day(day) || '|' || shop || '|' || (amount * 100)::bigint as row from delta_scan('{{lake}}/{table}') order by id"
            ),
        );
        let Some(found) = found else { return false };
        assert_eq!(column(&found, "row"), orders, "{table}, SLUICE_SEED={seed}");
    }
    let sums = [
        (
            "gold/days",
            "day, shop, count(*) as orders, sum(amount) as amount from delta_scan('{lake}/silver/orders') group by all",
        ),
        (
            "gold/shops",
            "shop, count(*) as days, sum(orders) as orders, sum(amount) as amount from delta_scan('{lake}/gold/days') group by all",
        ),
    ];
    for (table, wanted) in sums {
        let columns = wanted.split(" from ").next().unwrap_or_default();
        let names: Vec<&str> =
            columns.split(", ").map(|column| column.rsplit(' ').next().unwrap_or_default()).collect();
        let names = names.join(", ");
        let difference = duckdb::rows(
            lake,
            &format!(
                "with wanted as (select {wanted}), found as (select * from delta_scan('{{lake}}/{table}')) \
                 select 'missing' as what, {names} from (select {names} from wanted except select {names} from found) \
                 union all select 'too many', {names} from (select {names} from found except select {names} from wanted)"
            ),
        );
        assert_eq!(difference, Some(Vec::new()), "{table}, SLUICE_SEED={seed}");
        let (found, wanted) = (count(lake, table), duckdb::rows(lake, &format!("select {wanted}")));
        assert_eq!(found, wanted.map(|rows| rows.len()), "{table} has a group twice, SLUICE_SEED={seed}");
    }
    let first = duckdb::row(
        lake,
        "select count(*) as rows, count(distinct id) as ids, (select count(distinct id) from delta_scan('{lake}/bronze/orders')) as wanted from delta_scan('{lake}/silver/first')",
    );
    let first = first.unwrap_or_default();
    assert!(first["rows"] == first["ids"] && first["ids"] == first["wanted"], "{first}, SLUICE_SEED={seed}");
    true
}

fn count(lake: &Path, table: &str) -> Option<usize> {
    duckdb::rows(lake, &format!("select * from delta_scan('{{lake}}/{table}')")).map(|rows| rows.len())
}

fn column(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn from_memory_and_from_the_table_come_the_same_rows_in_the_same_order() {
    let folder = Lake::new();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a temporary folder is writable");
    let (mut random, mut model) = (ChaCha8Rng::seed_from_u64(5), Model::new());
    for part in 0..6 {
        write(&data.join(format!("orders-{part}.csv")), &drop_of(&mut random, &mut model, 120));
    }
    let (first, second) = (folder.path().join("first.toml"), folder.path().join("second.toml"));
    write(&first, &format!("{LAND}{BELOW}"));
    let late = "[hops.late]\nfrom = \"silver.orders\"\nto = \"silver.late\"\n";
    write(&second, &format!("{LAND}{BELOW}{late}"));

    // In one run everything is handed on in memory; a hop that comes later reads it all back.
    let lake = folder.path().join("lake");
    run(&first, &data, &lake).ok();
    run(&second, &data, &lake).ok();
    let (hot, cold) = (history(&lake, "log"), history(&lake, "late"));
    assert!(hot.num_rows() > 500, "{} changes are too few to say anything", hot.num_rows());
    let kinds = hot.column_by_name("_change_type").expect("changes say what they are").as_string::<i32>();
    for kind in ["insert", "update_preimage", "update_postimage", "delete"] {
        assert!(kinds.iter().any(|found| found == Some(kind)), "no {kind} is among them");
    }
    assert_eq!(hot, cold);
    assert_eq!(hot.columns(), history(&lake, "orders").columns(), "and both are what the table itself tells");
}

#[test]
fn a_module_without_weights_cannot_stand_between_changes_and_sums() {
    let folder = Lake::new();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a temporary folder is writable");
    write(&data.join("orders.csv"), "id,day,shop,amount,op\n1,2024-03-01,shop 1,2.00,u\n");
    let file = folder.path().join("p.toml");
    let module = crate::harness::module("retail_fact_sales");
    write(
        &file,
        &format!(
            "{LAND}\n[tables.gold.sums]\nmode = \"accumulate\"\nkey = [\"shop\"]\n\n[hops.sums]\nfrom = \"silver.orders\"\nmodule = \"{}\"\nto = \"gold.sums\"\n",
            text(&module)
        ),
    );
    let data = format!("data={}", text(&data));
    let lake = folder.path().join("lake");
    let check = sluice::run(&["check", text(&file), "--lake", text(&lake), "--var", &data]);
    assert_ne!(check.code, Some(0), "{check}");
}

/// The rows of an append table, or the changes of silver, in order.
fn history(folder: &Path, table: &str) -> RecordBatch {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lake = sluicebox_lake::Lake::open(text(folder)).expect("the lake that was just written");
        let spec = TableSpec::new(TableName { layer: Layer::Silver, name: table.into() }, WriteMode::Append);
        let table = lake.table(&spec).await.expect("a table that was just written");
        let steps = match spec.name.name.as_str() {
            "orders" => table.changes_since(None).await,
            _ => table.added_since(None).await,
        };
        let steps: Vec<Added> = steps.expect("its log").try_collect().await.expect("its files");
        let rows: Vec<RecordBatch> = steps
            .into_iter()
            .filter_map(|step| match step {
                Added::Rows { rows, .. } => Some(rows),
                Added::End { .. } => None,
            })
            .collect();
        concat_batches(&rows[0].schema(), &rows).expect("rows of one table")
    })
}

fn kill_somewhere(file: &Path, data: &Path, lake: &Path, random: &mut ChaCha8Rng) {
    let mut child = sluice::command()
        .args(arguments(file, data, lake))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program under test can be started");
    // Not a wait for anything: the moment of the kill is what is random here.
    let (_never, moment) = mpsc::channel::<()>();
    let _ = moment.recv_timeout(Duration::from_micros(random.random_range(20_000..500_000)));
    child.kill().expect("because the child was not waited for yet");
    child.wait().expect("a killed child can be waited for");
}

fn run(file: &Path, data: &Path, lake: &Path) -> sluice::Outcome {
    sluice::finish(sluice::command().args(arguments(file, data, lake)))
}

fn arguments(file: &Path, data: &Path, lake: &Path) -> Vec<String> {
    let data = format!("data={}", text(data));
    ["run", text(file), "--lake", text(lake), "--var", &data, "--json"].map(str::to_owned).to_vec()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a temporary folder is writable");
}
