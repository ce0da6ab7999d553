//! Rows come back out of quarantine once, wherever a retry is ended.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::support::{copy, crashes, rows};
use crate::harness::{Lake, module, sluice, text};

const PIPELINE: &str = r#"
[pipeline]
name = "again"

[vars.data]
type = "path"

[sources.orders]
type = "files"
path = "${data}"
glob = "*.csv"
format = "csv"
csv = { nulls = [NULLS] }
columns = { order_id = "int64", customer_id = "int64" }

[tables.bronze.orders]
contract = { new_column = "DRIFT" }

[tables.silver.orders]
mode = "upsert"
key = ["order_id"]

[hops.land]
from = "orders"
to = "bronze.orders"

[hops.clean]
from = "bronze.orders"
module = "MODULE"
to = "silver.orders"
CONFIG
"#;

struct Example {
    folder: Lake,
}

impl Example {
    /// One row goes through; one is refused by the decoder and one by the module for what can be
    /// mended, one by the decoder for what cannot, and one by the table for a column too many.
    fn new() -> Self {
        let example = Self { folder: Lake::new() };
        let data = example.folder.path().join("data");
        fs::create_dir_all(&data).expect("a temporary folder is writable");
        // The order of the file's columns is not that of the table's.
        fs::write(data.join("a.csv"), "customer_id,order_id\n5,1\nNA,2\n,3\n1,\"x\"\n").expect("writable");
        fs::write(data.join("b.csv"), "order_id,customer_id,note\n4,6,\"a \"\"note\"\"\"\n").expect("writable");
        example.pipeline("bad.toml", "-", "reject_row", "retail_clean_customers", "");
        let config = "config = { columns = [{ name = \"order_id\", type = \"int64\" }] }";
        example.pipeline("good.toml", "NA", "evolve", "select", config);
        sluice::finish(sluice::command().args(example.arguments(&["run"], "bad.toml", &example.lake()))).ok();
        example
    }

    fn pipeline(&self, name: &str, nulls: &str, drift: &str, component: &str, config: &str) {
        let text = PIPELINE
            .replace("MODULE", text(&module(component)))
            .replace("NULLS", &format!("\"{nulls}\""))
            .replace("DRIFT", drift)
            .replace("CONFIG", config);
        fs::write(self.folder.path().join(name), text).expect("a temporary folder is writable");
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn arguments(&self, command: &[&str], file: &str, lake: &Path) -> Vec<String> {
        let data = format!("data={}", text(&self.folder.path().join("data")));
        let file = self.folder.path().join(file);
        let further = [text(&file), "--lake", text(lake), "--var", &data, "--json"];
        command.iter().copied().chain(further).map(str::to_owned).collect()
    }

    fn retry(&self, hop: &str, file: &str, lake: &Path) -> sluice::Outcome {
        sluice::finish(sluice::command().args(self.arguments(&["quarantine", "retry", hop], file, lake)))
    }
}

/// The order numbers of a table.
async fn orders(lake: &Path, table: &str) -> Vec<String> {
    let table = super::support::open(lake, table).await;
    let column = ["order_id".to_owned()];
    let batches: Vec<_> = futures::TryStreamExt::try_collect(table.scan(Some(&column)).await.expect("scan"))
        .await
        .expect("readable rows");
    let batches: Vec<arrow_array::RecordBatch> = batches;
    let mut orders: Vec<String> = batches.iter().flat_map(crate::lake::support::lines).collect();
    orders.sort();
    orders
}

#[tokio::test]
async fn rows_come_back_where_they_were_refused() {
    let example = Example::new();
    let lake = example.lake();
    assert_eq!(
        (orders(&lake, "bronze.orders").await, orders(&lake, "silver.orders").await),
        (vec!["1".into(), "3".into()], vec!["1".into()])
    );

    // As things are, everything is refused again, and nothing is lost.
    let before = rows(&lake, "quarantine.land").await;
    let again = example.retry("land", "bad.toml", &lake).ok().summary();
    assert_eq!((&again["rows"], &again["refused"]), (&json!(3), &json!(3)), "{again}");
    assert_eq!(rows(&lake, "quarantine.land").await, before);

    let mended = example.retry("land", "good.toml", &lake).ok().summary();
    assert_eq!((&mended["rows"], &mended["refused"]), (&json!(3), &json!(1)), "{mended}");
    assert_eq!(mended["taken"], json!({ "bronze.orders": 2 }), "{mended}");
    assert_eq!(orders(&lake, "bronze.orders").await, ["1", "2", "3", "4"]);
    let bronze = rows(&lake, "bronze.orders").await;
    assert!(bronze.iter().any(|row| row.contains("a \"note\"") && row.contains("b.csv")), "{bronze:?}");

    let module = example.retry("clean", "good.toml", &lake).ok().summary();
    assert_eq!(module["taken"], json!({ "silver.orders": 1 }), "{module}");
    assert!(rows(&lake, "quarantine.clean").await.is_empty());
    sluice::finish(sluice::command().args(example.arguments(&["run"], "good.toml", &lake))).ok();
    assert_eq!(orders(&lake, "silver.orders").await, ["1", "2", "3", "4"]);

    // What is left is what cannot be mended; trying again changes nothing.
    let left = rows(&lake, "quarantine.land").await;
    assert!(left.len() == 1 && left[0].contains("source"), "{left:?}");
    example.retry("land", "good.toml", &lake).ok();
    assert_eq!(orders(&lake, "bronze.orders").await, ["1", "2", "3", "4"]);
    assert_eq!(rows(&lake, "quarantine.land").await.len(), 1);

    let refused = sluice::run(&["replay", "clean", "--lake", text(&lake)]).failed(2);
    assert!(refused.stderr.contains("retried from quarantine"), "{refused}");
}

#[tokio::test]
async fn a_retry_may_be_for_one_reason() {
    let example = Example::new();
    let lake = example.lake();
    let shown = sluice::run(&["quarantine", "show", "land", "--lake", text(&lake), "--json"]).ok();
    let reasons: Vec<String> =
        shown.events().iter().filter_map(|row| row["reason"].as_str().map(str::to_owned)).collect();
    let table = shown.events().into_iter().find(|row| row["stage"] == "table:bronze.orders").expect("a row of a table");
    let reason = table["reason"].as_str().expect("a reason");
    assert!(reasons.len() == 3 && reasons.iter().any(|other| other != reason), "{reasons:?}");
    let mut arguments = example.arguments(&["quarantine", "retry", "land"], "good.toml", &lake);
    arguments.extend(["--reason".to_owned(), reason.to_owned()]);
    let one = sluice::finish(sluice::command().args(&arguments)).ok().summary();
    assert_eq!((&one["rows"], &one["refused"]), (&json!(1), &json!(0)), "{one}");
    assert_eq!(orders(&lake, "bronze.orders").await, ["1", "3", "4"]);
    assert_eq!(rows(&lake, "quarantine.land").await.len(), 2);
}

#[tokio::test]
async fn ended_anywhere_a_retry_is_finished_by_the_next_one() {
    let example = Example::new();
    let whole = example.folder.path().join("whole");
    copy(&example.lake(), &whole);
    example.retry("land", "good.toml", &whole).ok();
    let (table, quarantine) = (rows(&whole, "bronze.orders").await, rows(&whole, "quarantine.land").await);
    let mut ended = 0;
    for point in ["write", "written", "committed", "retried"] {
        for passing in 1..10 {
            let lake = example.folder.path().join(format!("{point}-{passing}"));
            copy(&example.lake(), &lake);
            let arguments = example.arguments(&["quarantine", "retry", "land"], "good.toml", &lake);
            if !crashes(&arguments, point, passing) {
                break;
            }
            ended += 1;
            // With the pipeline as it was before: what was begun is finished as it was begun.
            let file = if passing % 2 == 0 { "bad.toml" } else { "good.toml" };
            example.retry("land", file, &lake).ok();
            example.retry("land", "good.toml", &lake).ok();
            assert_eq!(rows(&lake, "bronze.orders").await, table, "ended at {point}:{passing}");
            assert_eq!(rows(&lake, "quarantine.land").await, quarantine, "ended at {point}:{passing}");
        }
    }
    assert!(ended >= 6, "only {ended} retries were ended");
}

#[test]
fn a_quarantine_is_exported_by_the_ending_of_its_file() {
    let example = Example::new();
    let lake = example.lake();
    for (name, magic) in [("bad.jsonl", "{"), ("bad.csv", "rejected_at,"), ("bad.parquet", "PAR1")] {
        let file = example.folder.path().join(name);
        sluice::run(&["quarantine", "export", "land", "--to", text(&file), "--lake", text(&lake)]).ok();
        let bytes = fs::read(&file).expect("the file is there");
        assert!(bytes.starts_with(magic.as_bytes()), "{name}");
        if name.ends_with("jsonl") {
            let text = String::from_utf8(bytes).expect("UTF-8");
            let rows: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(rows.len(), 3);
            let row = rows.iter().find(|row| row["payload"] == "NA,2").expect("the record as it was");
            assert_eq!((&row["payload_encoding"], &row["stage"]), (&json!("utf8"), &json!("source")));
        }
    }
    let wrong = sluice::run(&["quarantine", "export", "land", "--to", "bad.xlsx", "--lake", text(&lake)]).failed(2);
    assert!(wrong.stderr.contains(".parquet"), "{wrong}");
}

#[test]
fn a_hop_that_takes_everything_anew_is_refused() {
    let example = Example::new();
    let file = example.folder.path().join("good.toml");
    let whole = fs::read_to_string(&file)
        .expect("readable")
        .replace("mode = \"upsert\"\nkey = [\"order_id\"]", "mode = \"overwrite\"");
    fs::write(example.folder.path().join("whole.toml"), whole).expect("writable");
    let refused = example.retry("clean", "whole.toml", &example.lake()).failed(1);
    assert!(refused.stderr.contains("takes its whole upstream"), "{refused}");
}

#[tokio::test]
async fn hops_of_one_name_in_two_pipelines_keep_to_their_own_rows() {
    let example = Example::new();
    let lake = example.lake();
    let file = |name: &str| example.folder.path().join(name);
    let own = fs::read_to_string(file("bad.toml")).expect("it was written");
    let other = own.replace("name = \"again\"", "name = \"other\"");
    let other = ["bronze.", "silver."].iter().fold(other, |text, layer| text.replace(layer, &format!("{layer}other_")));
    fs::write(file("other.toml"), other).expect("a temporary folder is writable");
    let before = rows(&lake, "quarantine.land").await.len();
    sluice::finish(sluice::command().args(example.arguments(&["run"], "other.toml", &lake))).ok();
    assert_eq!(rows(&lake, "quarantine.land").await.len(), 2 * before);

    let mended = example.retry("land", "good.toml", &lake).ok().summary();
    assert_eq!((&mended["rows"], &mended["refused"]), (&json!(before), &json!(1)), "{mended}");
    let left = rows(&lake, "quarantine.land").await;
    assert_eq!(left.iter().filter(|row| row.contains("other")).count(), before, "{left:?}");

    // A hop that replaces all that it rejected would replace theirs.
    let (head, _) = own.split_once("[tables").expect("a pipeline begins with its source");
    let whole = head.replace("name = \"again\"", "name = \"third\"")
        + "[tables.gold.copy]\nmode = \"overwrite\"\n\n[hops.take]\nfrom = \"orders\"\nto = \"bronze.third\"\n\n\
           [hops.land]\nfrom = \"bronze.third\"\nto = \"gold.copy\"\n";
    fs::write(file("whole.toml"), whole).expect("a temporary folder is writable");
    let refused = sluice::finish(sluice::command().args(example.arguments(&["run"], "whole.toml", &lake))).failed(1);
    assert!(refused.stderr.contains("give one of the two hops another name"), "{refused}");
    assert_eq!(rows(&lake, "quarantine.land").await, left);
}

#[tokio::test]
async fn a_record_too_large_to_be_kept_does_not_keep_others_back() {
    let example = Example::new();
    let lake = example.lake();
    let large = "7".repeat(2 << 20);
    let data = example.folder.path().join("data/c.csv");
    fs::write(data, format!("order_id,customer_id\n8,NA\n{large},1\n9,NA\n")).expect("a temporary folder is writable");
    sluice::finish(sluice::command().args(example.arguments(&["run"], "bad.toml", &lake))).ok();
    let before = rows(&lake, "quarantine.land").await.len();

    let mended = example.retry("land", "good.toml", &lake).ok().summary();
    assert_eq!((&mended["rows"], &mended["refused"]), (&json!(before - 1), &json!(1)), "{mended}");
    assert_eq!(mended["left"], json!({ "records of this size are not kept whole": 1 }), "{mended}");
    assert_eq!(orders(&lake, "bronze.orders").await, ["1", "2", "3", "4", "8", "9"]);
    assert_eq!(rows(&lake, "quarantine.land").await.len(), 2);
}
