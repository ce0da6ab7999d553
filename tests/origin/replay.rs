//! A table is made again out of bronze and comes out the same, or the replay says what
//! differs or why it cannot be exact.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Lake, ORDERS_SOURCE, module, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "again"

ORDERS_SOURCE

[tables.silver.orders]
mode = "upsert"
key = ["order_id", "product_id"]

[tables.gold.orders]
mode = "overwrite"

[hops.land]
from = "orders"
to = "bronze.orders"
flush = { rows = 50 }

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
flush = { rows = FLUSH }

[hops.lines]
from = "bronze.orders"
to = "silver.lines"
flush = { rows = 50 }

[hops.copy]
from = "silver.lines"
to = "silver.copies"
flush = { rows = 100 }

[hops.total]
from = "silver.orders"
to = "gold.orders"
"#;

/// A lake that was filled file by file, its configuration changed in between.
struct Example {
    folder: Lake,
}

impl Example {
    fn new() -> Self {
        let example = Self { folder: Lake::new() };
        example.write(0, 5);
        example.run("150");
        example.write(1, 5);
        example.run("150");
        // Another configuration makes what comes next.
        example.write(2, 5);
        example.run("200");
        example
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// Eight files, which change rows of those before them; some rows are refused by the module.
    fn write(&self, part: usize, quantity: usize) {
        let data = self.folder.path().join("data");
        fs::create_dir_all(&data).expect("a temporary folder is writable");
        for file in part * 8..part * 8 + 8 {
            let mut rows = String::from("order_id,customer_id,product_id,order_date,quantity,status,shipping_date\n");
            for row in 0..60 {
                let id = file * 40 + row;
                let quantity = if id % 97 == 0 { 0 } else { 1 + id % quantity };
                rows.push_str(&format!("{id},{},{},2024-01-1{},{quantity},file {file},\n", id % 90, id % 20, id % 9));
            }
            fs::write(data.join(format!("orders-{file:02}.csv")), rows).expect("a temporary folder is writable");
        }
    }

    fn run(&self, flush: &str) {
        let file = self.folder.path().join("again.toml");
        let pipeline = PIPELINE
            .replace("ORDERS_SOURCE", ORDERS_SOURCE)
            .replace("MODULE", text(&module("retail_clean_orders")))
            .replace("FLUSH", flush);
        fs::write(&file, pipeline).expect("a temporary folder is writable");
        let data = format!("data={}", text(&self.folder.path().join("data")));
        sluice::run(&["run", text(&file), "--lake", text(&self.lake()), "--var", &data, "--json"]).ok();
        // Neither the pipeline's file nor its data are needed for a replay.
        fs::remove_file(&file).expect("the file is there");
    }

    fn replay(&self, hop: &str, further: &[&str]) -> sluice::Outcome {
        let lake = self.lake();
        let mut arguments = vec!["replay", hop, "--lake", text(&lake), "--json"];
        arguments.extend(further);
        sluice::run(&arguments)
    }

    fn history(&self, table: &str) -> Vec<Value> {
        sluice::run(&["history", table, "--lake", text(&self.lake()), "--json", "-n", "0"]).ok().events()
    }

    fn log(&self, table: &str) -> PathBuf {
        self.lake().join(table).join("_delta_log")
    }
}

fn entry(log: &Path, version: usize) -> PathBuf {
    log.join(format!("{version:020}.json"))
}

#[test]
fn every_hop_comes_out_the_same() {
    let example = Example::new();
    fs::remove_dir_all(example.folder.path().join("data")).expect("the folder is there");
    // Numbers 0 to 979, without the eleven that 97 divides.
    for (hop, table, rows, hops) in [
        ("clean", "silver.orders", 980 - 11, json!(["clean"])),
        ("lines", "silver.lines", 1_440, json!(["lines"])),
        ("copy", "silver.copies", 1_440, json!(["lines", "copy"])),
        ("total", "gold.orders", 980 - 11, json!(["clean", "total"])),
    ] {
        let outcome = example.replay(hop, &[]).ok();
        let found = outcome.summary();
        let replayed = &found["tables"][0];
        assert_eq!((&found["identical"], &replayed["table"]), (&json!(true), &json!(table)), "{outcome}");
        assert_eq!(found["hops"], hops, "{outcome}");
        assert_eq!((&replayed["rows"], &replayed["rows_replayed"]), (&json!(rows), &json!(rows)), "{outcome}");
    }
    assert!(!example.folder.path().join("again.toml").exists(), "the file was not needed");
}

#[test]
fn the_tables_can_be_kept_and_the_folder_must_be_empty() {
    let example = Example::new();
    let into = example.folder.path().join("into");
    example.replay("copy", &["--into", text(&into)]).ok();
    assert!(into.join("silver/copies/_delta_log").is_dir() && !into.join("bronze").exists());
    let again = example.replay("copy", &["--into", text(&into)]).failed(2);
    assert!(again.stderr.contains("holds tables already"), "{again}");
}

#[test]
fn a_row_that_was_changed_behind_the_log_is_found() {
    let (example, other) = (Example::new(), Example { folder: Lake::new() });
    // The same but for one column of some rows.
    other.write(0, 4);
    other.run("150");
    let (log, others) = (example.log("silver/orders"), other.log("silver/orders"));
    let adds = |path: &Path| -> Vec<String> {
        let entry = fs::read_to_string(path).expect("an entry");
        entry.lines().filter(|line| line.starts_with("{\"add\"")).map(str::to_owned).collect()
    };
    let newest = example.history("silver.orders").len() - 1;
    let forged = adds(&entry(&others, 1));
    let mine = fs::read_to_string(entry(&log, newest)).expect("an entry");
    let rest: Vec<&str> = mine.lines().filter(|line| !line.starts_with("{\"add\"")).collect();
    assert!(!forged.is_empty() && rest.len() < mine.lines().count(), "the newest commit adds files");
    for add in &forged {
        let add: Value = serde_json::from_str(add).expect("JSON");
        let file = add["add"]["path"].as_str().expect("a path");
        fs::copy(other.lake().join("silver/orders").join(file), example.lake().join("silver/orders").join(file))
            .expect("the file is there");
    }
    let kept = rest.into_iter().map(str::to_owned).chain(forged).collect::<Vec<_>>().join("\n");
    fs::write(entry(&log, newest), kept).expect("writable");

    let outcome = example.replay("clean", &[]).failed(1);
    let found = outcome.summary();
    let table = &found["tables"][0];
    assert_eq!((&found["identical"], &table["columns"]), (&json!(false), &json!([])), "{outcome}");
    assert!(table["rows_missing"].as_u64() > Some(0) && table["rows_surplus"].as_u64() > Some(0), "{outcome}");
    let values = table["values_differ_in"].as_array().expect("a list");
    assert!(values.contains(&json!("quantity")), "{outcome}");
    assert!(table["examples"][0]["row"]["order_id"].is_string(), "{outcome}");
}

#[test]
fn what_cannot_be_exact_is_refused_and_names_the_version() {
    let example = Example::new();
    let log = example.log("silver/lines");
    let newest = example.history("silver.lines").len() - 1;
    // Another program removes every row of a file.
    let entry_of = |version| fs::read_to_string(entry(&log, version)).expect("an entry");
    let add = entry_of(1);
    let add: Value = add
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|action| action["add"].is_object())
        .expect("the first commit added a file");
    let remove = json!({ "remove": { "path": add["add"]["path"], "dataChange": true, "deletionTimestamp": 1 } });
    let info = json!({ "commitInfo": { "operation": "DELETE", "engineInfo": "another" } });
    fs::write(entry(&log, newest + 1), format!("{info}\n{remove}")).expect("writable");

    let refused = example.replay("lines", &[]).failed(2);
    let named = format!("version {} of silver.lines was made by another (DELETE)", newest + 1);
    assert!(refused.stderr.contains(&named), "{refused}");
    assert!(refused.stderr.contains(&format!("--from {}", newest + 1)), "{refused}");
    // What is taken as it is has nothing to prove.
    example.replay("lines", &["--from", &(newest + 1).to_string()]).ok();

    let landing = example.replay("land", &[]).failed(2);
    assert!(landing.stderr.contains("bronze.orders"), "{landing}");
    let nobody = example.replay("nobody", &[]).failed(2);
    assert!(nobody.stderr.contains("no table of this lake"), "{nobody}");
}

#[test]
fn where_the_log_was_cleaned_a_replay_begins_behind_it() {
    let example = Example::new();
    let log = example.log("silver/lines");
    let newest = example.history("silver.lines").len() - 1;
    assert!(newest > 20, "a checkpoint is due every 20 versions");
    for version in 0..3 {
        fs::remove_file(entry(&log, version)).expect("the entry is there");
    }
    let refused = example.replay("lines", &[]).failed(2);
    assert!(refused.stderr.contains("versions 0 to 2 of silver.lines"), "{refused}");
    example.replay("lines", &["--from", "20"]).ok();
    // The whole does not ask what was before it.
    example.replay("total", &[]).ok();
}

#[test]
fn a_replay_may_begin_at_a_version_or_a_position() {
    let example = Example::new();
    let history = example.history("silver.copies");
    let middle = &history[history.len() / 2];
    let version = middle["version"].to_string();
    let position = middle["positions"]["again/copy/silver.lines"].to_string();
    let all = example.replay("copy", &[]).ok().summary()["commits"].as_u64().expect("a count");
    for from in [version, format!("@{position}")] {
        let outcome = example.replay("copy", &["--from", &from]).ok();
        let found = outcome.summary();
        assert!(found["commits"].as_u64() < Some(all), "{outcome}");
        assert_eq!(found["tables"][0]["rows"], 1_440, "{outcome}");
    }
    // A whole table is made of all that its upstream holds at one moment.
    example.replay("total", &["--from", "1"]).ok();
    let beyond = example.replay("copy", &["--from", "999"]).failed(2);
    assert!(beyond.stderr.contains("it is at version"), "{beyond}");
    let beyond = example.replay("copy", &["--from", "@999"]).failed(2);
    assert!(beyond.stderr.contains("nothing of it was made of more"), "{beyond}");
}
