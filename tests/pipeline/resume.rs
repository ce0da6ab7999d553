//! A run may be killed anywhere: the next one continues, and the tables are those of a
//! run that nobody disturbed.

use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rand::{Rng, SeedableRng};

use crate::harness::{Lake, ORDERS_SOURCE, duckdb, module, sluice, text};

/// How often a run is killed before one is let through.
const KILLS: usize = 25;

/// Many small commits, so that a kill finds the hops at many different places.
const PIPELINE: &str = r#"
[pipeline]
name = "resume"

ORDERS_SOURCE

[tables.silver.orders]
mode = "upsert"
key = ["order_id", "product_id"]

[tables.gold.orders]
mode = "overwrite"

[hops.land]
from = "orders"
to = "bronze.orders"
flush = { rows = 3_000 }

[hops.pass]
from = "bronze.orders"
to = "silver.lines"
flush = { rows = 7_000 }

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
flush = { rows = 5_000 }

[hops.copy]
from = "silver.lines"
to = "gold.orders"
"#;

const TABLES: &[&str] =
    &["bronze/orders", "silver/lines", "silver/orders", "gold/orders", "quarantine/land", "quarantine/clean"];

#[test]
fn killed_anywhere_the_tables_are_the_same_row_for_row() {
    let folder = Lake::new();
    let file = folder.path().join("resume.toml");
    write_pipeline(&file);
    let data = folder.path().join("data");
    write_orders(&data);

    let undisturbed = folder.path().join("undisturbed");
    run(&file, &data, &undisturbed).ok();

    let disturbed = folder.path().join("disturbed");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    for _ in 0..KILLS {
        let mut child = sluice::command()
            .args(arguments(&file, &data, &disturbed))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program under test can be started");
        // Not a wait for anything: the moment of the kill is what is random here.
        let (_never, moment) = mpsc::channel::<()>();
        let _ = moment.recv_timeout(Duration::from_micros(random.random_range(20_000..700_000)));
        child.kill().expect("because the child was not waited for yet");
        let status = child.wait().expect("a killed child can be waited for");
        killed += usize::from(status.code().is_none());
    }
    assert!(killed > 0, "no run was killed before it ended: nothing was tested");
    run(&file, &data, &disturbed).ok();

    for table in TABLES {
        let (expected, found) = (fingerprint(&undisturbed, table), fingerprint(&disturbed, table));
        assert_eq!(expected, found, "{table} differs after {killed} kills");
    }
}

#[test]
fn the_second_run_takes_nothing_and_commits_nothing() {
    let folder = Lake::new();
    let file = folder.path().join("resume.toml");
    write_pipeline(&file);
    let data = folder.path().join("data");
    write_orders(&data);
    let lake = folder.path().join("lake");
    run(&file, &data, &lake).ok();
    let before = commits(&lake);
    assert!(before.len() > TABLES.len(), "the first run made commits");

    let again = run(&file, &data, &lake).ok();
    assert_eq!(before, commits(&lake), "the second run made commits");
    let summary = again.summary();
    for hop in summary["hops"].as_array().expect("the summary lists hops") {
        for count in ["rows_in", "rows_out", "rows_rejected", "commits"] {
            assert_eq!(hop[count], 0, "{hop}");
        }
    }

    // A new file is new work, and only that.
    std::fs::write(
        data.join("orders-9.csv"),
        "order_id,customer_id,product_id,order_date,quantity,status,shipping_date\n900001,1,1,2024-01-01,1,completed,2024-01-02\n",
    )
    .expect("a temporary folder is writable");
    let third = run(&file, &data, &lake).ok().summary();
    assert_eq!(third["hops"][0]["rows_in"], 1, "{third}");
}

fn write_pipeline(file: &Path) {
    let module = module("retail_clean_orders");
    std::fs::write(file, PIPELINE.replace("ORDERS_SOURCE", ORDERS_SOURCE).replace("MODULE", text(&module)))
        .expect("a temporary folder is writable");
}

/// Three files of orders, some rows bad in every way that lands in quarantine.
fn write_orders(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a temporary folder is writable");
    for part in 0..3 {
        let mut text = String::from("order_id,customer_id,product_id,order_date,quantity,status,shipping_date\n");
        for row in 0..15_000 {
            let id = part * 15_000 + row;
            let quantity = if row % 97 == 0 { 0 } else { 1 + row % 5 };
            let line = match row % 501 {
                500 => format!("{id},not a number,7,2024-01-01,1,completed,2024-01-02\n"),
                499 => format!("{id},5,7,2024-01-01\n"),
                _ => {
                    format!("{id},{},{},2024-0{}-1{},{quantity},pending,\n", id % 1_000, id % 200, 1 + id % 9, id % 10)
                }
            };
            text.push_str(&line);
        }
        std::fs::write(folder.join(format!("orders-{part}.csv")), text).expect("a temporary folder is writable");
    }
}

fn run(file: &Path, data: &Path, lake: &Path) -> sluice::Outcome {
    sluice::finish(sluice::command().args(arguments(file, data, lake)))
}

fn arguments(file: &Path, data: &Path, lake: &Path) -> Vec<String> {
    let data = format!("data={}", text(data));
    ["run", text(file), "--lake", text(lake), "--var", &data, "--json"].map(str::to_owned).to_vec()
}

/// How many rows a table has and a sum over their contents, whatever their order. When
/// a row was ingested differs from run to run and is left out.
fn fingerprint(lake: &Path, table: &str) -> Option<serde_json::Value> {
    let columns = "columns(name -> name not in ('_ingested_at', 'rejected_at'))";
    duckdb::row(
        lake,
        &format!(
            "select count(*) as n, sum(hash(r)::hugeint)::varchar as h from (select {columns} from delta_scan('{{lake}}/{table}')) r"
        ),
    )
}

/// Every file of every Delta log.
fn commits(lake: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![lake.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the lake is readable") {
            let path = entry.expect("the lake is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "_delta_log") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}
