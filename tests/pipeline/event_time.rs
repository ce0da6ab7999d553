//! Watermarks: what is late is decided by the rows of all runs, and by nothing else.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::{Lake, duckdb, module, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "late"

[sources.orders]
type = "files"
path = "drops"
format = "jsonl"
[sources.orders.columns]
order_id = "string"
timestamp = "timestamp"
state = "string"
price = "decimal(10,2)"
quantity = "int32"

[hops.land]
from = "orders"
to = "bronze.orders"

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
EVENT_TIME
"#;

fn write(folder: &Path, module: &Path, event_time: &str) -> String {
    let file = folder.join("late.toml");
    let pipeline = PIPELINE.replace("MODULE", text(module)).replace("EVENT_TIME", event_time);
    fs::write(&file, pipeline).expect("a temporary folder is writable");
    text(&file).to_owned()
}

/// A drop of orders: each a name and the time at which it was made.
fn drop(folder: &Path, name: &str, orders: &[(&str, &str)]) {
    fs::create_dir_all(folder.join("drops")).expect("a temporary folder is writable");
    let line = |(id, at): &(&str, &str)| {
        format!("{{\"order_id\": \"{id}\", \"timestamp\": \"2024-01-01T{at}Z\", \"state\": \"NY\"}}\n")
    };
    let lines: String = orders.iter().map(line).collect();
    fs::write(folder.join("drops").join(name), lines).expect("a temporary folder is writable");
}

#[test]
fn a_row_is_late_by_what_was_committed_before_also_in_another_run() {
    let folder = Lake::new();
    let lake = folder.path().join("lake");
    let file =
        write(folder.path(), &module("order_clean"), "event_time = { column = \"timestamp\", lateness = \"10m\" }");
    let run = || sluice::run(&["run", &file, "--lake", text(&lake), "--json"]).ok().hop("clean");
    // Within one commit nothing is late, however its rows lie.
    drop(folder.path(), "1.jsonl", &[("a", "12:00:00"), ("b", "13:00:00"), ("c", "12:01:00")]);
    let first = run();
    assert_eq!((&first["rows_out"], &first["rows_rejected"]), (&json!(3), &json!(0)), "{first}");
    // The watermark is 12:50 now. `a` and `b` are still known; whether `e` was there cannot be said any more.
    drop(
        folder.path(),
        "2.jsonl",
        &[("b", "13:00:00"), ("d", "12:50:00"), ("e", "12:49:59"), ("a", "12:00:00"), ("f", "13:30:00")],
    );
    let second = run();
    assert_eq!((&second["rows_out"], &second["rows_rejected"]), (&json!(2), &json!(1)), "{second}");
    let kept = duckdb::row(
        &lake,
        "select (select string_agg(order_id, '' order by order_id) from delta_scan('{lake}/silver/orders')) as orders,
                (select string_agg(distinct reason, ' ') from delta_scan('{lake}/quarantine/clean')) as reasons",
    );
    let Some(kept) = kept else { return };
    assert_eq!(kept, json!({ "orders": "abcdf", "reasons": "timestamp.too-late" }));
}

#[test]
fn an_event_time_that_means_nothing_is_refused_before_anything_runs() {
    let folder = Lake::new();
    drop(folder.path(), "1.jsonl", &[("a", "12:00:00")]);
    for (module_name, event_time, words) in [
        ("order_clean", "event_time = { column = \"at\" }", "`at`, which its upstream does not have"),
        ("order_clean", "event_time = { column = \"state\" }", "`state`, which is string and not an instant"),
        (
            "select",
            "event_time = { column = \"timestamp\" }\nconfig = { columns = [{ name = \"state\", type = \"string\" }] }",
            "`event_time` has no use here",
        ),
    ] {
        let file = write(folder.path(), &module(module_name), event_time);
        let lake = folder.path().join("lake");
        let check = sluice::run(&["check", &file, "--lake", text(&lake)]);
        assert_ne!(check.code, Some(0), "{check}");
        assert!(check.to_string().contains(words), "{check}");
    }
}
