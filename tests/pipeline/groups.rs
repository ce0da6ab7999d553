//! Tables of which only the groups are made again that changed, and rows that are looked up in
//! tables that change.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Lake, duckdb, module, sluice, text};

const SILVER: &str = r#"
[pipeline]
name = "groups"

[vars.data]
type = "path"

[sources.orders]
type = "files"
path = "${data}"
glob = "orders*.csv"
format = "csv"

[sources.orders.columns]
id = "int64"
day = "date"
shop = "string"
amount = "int64"
op = "string"

[tables.silver.orders]
mode = "upsert"
key = ["id"]
delete_when = { column = "op", is = ["d"] }

[hops.land]
from = "orders"
to = "bronze.orders"

[hops.clean]
from = "bronze.orders"
to = "silver.orders"
"#;

/// The days under a name of their own.
const DAYS: &str = r#"
[tables.gold.days]
mode = "replace"
by = { day_key = "day" }

[hops.days]
from = "silver.orders"
module = "MODULE"
config = { columns = [{ name = "day_key", from = "day", type = "date" }, { name = "id", type = "int64" }, { name = "amount", type = "int64" }] }
to = "gold.days"
"#;

#[test]
fn only_the_groups_that_changed_are_made_again() {
    let shop = Shop::new(&format!("{SILVER}{}", DAYS.replace("MODULE", text(&module("select")))));
    // Ten days of thirty orders each.
    let orders: Vec<String> = (0..300).map(|id| order(id, 1 + id % 10, 5, "u")).collect();
    shop.deliver("orders-0.csv", &orders);
    assert_eq!(shop.run().hop("days")["rows_in"], 300, "the first time it is all of them");
    assert!(shop.days_are_right());
    assert_eq!(shop.run().hop("days")["rows_in"], 0);

    // One order moves from the first day to the second, another is corrected.
    shop.deliver("orders-1.csv", &[order(0, 2, 5, "u"), order(3, 4, 7, "u")]);
    assert_eq!(shop.run().hop("days")["rows_in"], 29 + 31 + 30, "three days of ten");
    assert!(shop.days_are_right());

    // The last day loses all of its orders, and is gone.
    let gone: Vec<String> = (0..30).map(|number| order(9 + 10 * number, 10, 5, "d")).collect();
    shop.deliver("orders-2.csv", &gone);
    assert_eq!(shop.run().hop("days")["rows_in"], 0);
    assert!(shop.days_are_right());

    // More than half of all: then it is all.
    let most: Vec<String> = (0..250).filter(|id| id % 10 != 9).map(|id| order(id, 1 + id % 4, 6, "u")).collect();
    shop.deliver("orders-3.csv", &most);
    let all = 300 - 30;
    assert_eq!(shop.run().hop("days")["rows_in"], all);
    assert!(shop.days_are_right());

    // Another configuration of the module makes another table, of all rows.
    let pipeline = shop
        .pipeline()
        .replace(r#"{ name = "amount", type = "int64" }"#, r#"{ name = "amount", type = "int64", required = true }"#);
    shop.write_pipeline(&pipeline);
    assert_eq!(shop.run().hop("days")["rows_in"], all);
    assert!(shop.days_are_right());
}

#[test]
fn a_group_made_from_nothing_upstream_has_is_found_by_check() {
    let days = DAYS.replace("MODULE", text(&module("select"))).replace("day_key = \"day\"", "day_key = \"date\"");
    let shop = Shop::new(&format!("{SILVER}{days}"));
    shop.deliver("orders-0.csv", &[order(1, 1, 1, "u")]);
    let check = shop.sluice("check").failed(2);
    assert!(check.stderr.contains("makes `day_key` from `date`"), "{check}");
}

#[test]
fn what_a_module_remembers_is_there_after_every_commit_and_start() {
    let pipeline = format!(
        "{SILVER}\n[tables.silver.first]\n[hops.first]\nfrom = \"bronze.orders\"\nmodule = \"{}\"\nconfig = {{ key = [\"id\"], numbers = true }}\nto = \"silver.first\"\nflush = {{ rows = 1 }}\n",
        text(&module("distinct"))
    );
    let pipeline = pipeline.replace("to = \"bronze.orders\"\n", "to = \"bronze.orders\"\nflush = { rows = 1 }\n");
    let shop = Shop::new(&pipeline);
    shop.deliver("orders-0.csv", &[order(1, 1, 1, "u"), order(2, 1, 1, "u"), order(1, 1, 1, "u")]);
    shop.deliver("orders-1.csv", &[order(2, 1, 1, "u"), order(3, 1, 1, "u")]);
    let first = shop.run();
    assert_eq!((&first.hop("first")["rows_out"], &first.hop("first")["rows_rejected"]), (&3.into(), &2.into()));
    shop.deliver("orders-2.csv", &[order(3, 1, 1, "u"), order(4, 1, 1, "u")]);
    let second = shop.run();
    assert_eq!((&second.hop("first")["rows_out"], &second.hop("first")["rows_rejected"]), (&1.into(), &1.into()));

    // The commit names the state that belongs to it.
    let log = shop.lake().join("silver/first/_delta_log");
    let mut entries: Vec<_> =
        std::fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path()).collect();
    entries.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    entries.sort();
    let last = std::fs::read_to_string(entries.last().expect("a commit")).expect("an entry");
    let info: Value = last
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|action| action.get("commitInfo").is_some())
        .expect("a commit says who made it");
    let state = info["commitInfo"]["sluicebox"]["state"].as_str().expect("it names the state").to_owned();
    let path = shop.lake().join(&state);
    assert!(path.is_file(), "{state} is not there");

    // One that is damaged is not used, and one that is lost is not taken for none.
    let sound = std::fs::read(&path).expect("a state");
    let mut damaged = sound.clone();
    damaged[5] ^= 1;
    std::fs::write(&path, &damaged).expect("the lake is writable");
    shop.deliver("orders-3.csv", &[order(4, 1, 1, "u"), order(5, 1, 1, "u")]);
    let refused = shop.sluice("run").failed(1);
    assert!(refused.stderr.contains("is damaged"), "{refused}");
    std::fs::remove_file(&path).expect("the lake is writable");
    let refused = shop.sluice("run").failed(1);
    assert!(refused.stderr.contains("there is no state") && refused.stderr.contains("hint"), "{refused}");
    std::fs::write(&path, &sound).expect("the lake is writable");
    let third = shop.run();
    assert_eq!((&third.hop("first")["rows_out"], &third.hop("first")["rows_rejected"]), (&1.into(), &1.into()));
}

fn order(id: u32, day: u32, amount: u32, op: &str) -> String {
    format!("{id},2024-05-{day:02},a,{amount},{op}")
}

/// A lake with a pipeline and the files that it reads.
struct Shop {
    folder: Lake,
}

impl Shop {
    fn new(pipeline: &str) -> Self {
        let shop = Self { folder: Lake::new() };
        std::fs::create_dir(shop.folder.path().join("data")).expect("a temporary folder is writable");
        shop.write_pipeline(pipeline);
        shop
    }

    fn write_pipeline(&self, pipeline: &str) {
        std::fs::write(self.folder.path().join("p.toml"), pipeline).expect("a temporary folder is writable");
    }

    fn pipeline(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("p.toml")).expect("it was written")
    }

    fn lake(&self) -> std::path::PathBuf {
        self.folder.path().join("lake")
    }

    fn deliver(&self, file: &str, orders: &[String]) {
        let text = format!("id,day,shop,amount,op\n{}\n", orders.join("\n"));
        let path: &Path = &self.folder.path().join("data").join(file);
        std::fs::write(path, text).expect("a temporary folder is writable");
    }

    fn run(&self) -> sluice::Outcome {
        self.sluice("run").ok()
    }

    fn sluice(&self, command: &str) -> sluice::Outcome {
        let (file, lake) = (self.folder.path().join("p.toml"), self.lake());
        let data = format!("data={}", text(&self.folder.path().join("data")));
        let mut arguments = vec![command, text(&file), "--lake", text(&lake), "--var", &data];
        if command == "run" {
            arguments.push("--json");
        }
        sluice::run(&arguments)
    }

    /// Whether gold holds what silver says; true too where there is nobody to ask.
    fn days_are_right(&self) -> bool {
        let difference = duckdb::rows(
            &self.lake(),
            "with wanted as (select day as day_key, id, amount from delta_scan('{lake}/silver/orders')), \
             found as (select day_key, id, amount from delta_scan('{lake}/gold/days')) \
             (from wanted except all from found) union all (from found except all from wanted)",
        );
        difference.is_none_or(|difference| difference.is_empty())
    }
}
