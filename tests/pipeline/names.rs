//! What columns are called: by files, by the pipeline file, and by the host.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sluicebox_formats::rows_as_json;

use futures::TryStreamExt;

use crate::harness::{Lake, module, sluice, text};
use crate::origin::support::open;

/// Every row of a table as JSON, without what differs from run to run.
fn table(lake: &Path, name: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let batches: Vec<_> = runtime.block_on(async {
        let table = open(lake, name).await;
        table.scan(None).await.expect("a scan").try_collect().await.expect("rows")
    });
    let mut rows: Vec<Value> = batches
        .iter()
        .flat_map(|batch| rows_as_json(batch, &(0..batch.num_rows()).collect::<Vec<_>>()))
        .map(|row| serde_json::from_slice(&row).expect("a row is JSON"))
        .map(|mut row: Value| {
            let object = row.as_object_mut().expect("a row is an object");
            object.retain(|name, _| !name.ends_with("ingested_at"));
            row
        })
        .collect();
    rows.sort_by_key(Value::to_string);
    rows
}

fn run(folder: &Path, pipeline: &str) -> sluice::Outcome {
    fs::write(folder.join("p.toml"), pipeline).expect("the pipeline file");
    sluice::run_in(folder, &["run", "p.toml", "--lake", text(&folder.join("lake")), "--json"])
}

#[test]
fn columns_of_the_hosts_names_in_a_file_are_data() {
    let folder = Lake::new();
    let drop = folder.path().join("drop");
    fs::create_dir(&drop).expect("a folder");
    fs::write(drop.join("a.csv"), "id,_lane,_weight,_change_type,_id\n1,fast,-1,delete,x\n2,slow,1,insert,y\n")
        .expect("a file");
    let pipeline = r#"
[pipeline]
name = "names"
PREFIX

[sources.s]
type = "files"
path = "drop"
format = "csv"

[tables.silver.t]
mode = "upsert"
key = ["id"]

[tables.gold.sums]
mode = "accumulate"
key = ["_change_type"]
sum = ["id"]

[hops.land]
from = "s"
to = "bronze.t"

[hops.clean]
from = "bronze.t"
to = "silver.t"

[hops.sums]
from = "bronze.t"
to = "gold.sums"
"#;
    run(folder.path(), &pipeline.replace("PREFIX", "")).ok();
    let lake = folder.path().join("lake");
    let rows = table(&lake, "silver.t");
    let seen = |row: &Value| {
        json!([row["id"], row["data_lane"], row["_weight"], row["_change_type"], row["_id"], row["_lane"]])
    };
    assert_eq!(
        rows.iter().map(seen).collect::<Vec<_>>(),
        [json!([1, "fast", -1, "delete", "x", "a.csv"]), json!([2, "slow", 1, "insert", "y", "a.csv"])]
    );
    assert_eq!(table(&lake, "gold.sums").len(), 2, "a weight in a file takes nothing away");
    // A second file with the same names, into the same tables.
    fs::write(drop.join("b.csv"), "id,_lane,_weight,_change_type,_id\n1,new,0,delete,z\n").expect("a file");
    run(folder.path(), &pipeline.replace("PREFIX", "")).ok();
    let rows = table(&lake, "silver.t");
    assert_eq!(seen(&rows[0]), json!([1, "new", 0, "delete", "z", "b.csv"]));

    // With another prefix nothing clashes.
    fs::remove_dir_all(&lake).expect("a lake");
    run(folder.path(), &pipeline.replace("PREFIX", "system_prefix = \"_sb_\"")).ok();
    let rows = table(&lake, "bronze.t");
    assert_eq!((&rows[0]["_lane"], &rows[0]["_sb_lane"]), (&json!("fast"), &json!("a.csv")));
}

#[test]
fn changes_of_a_table_with_such_columns_follow_under_another_prefix() {
    let folder = Lake::new();
    let drop = folder.path().join("drop");
    fs::create_dir(&drop).expect("a folder");
    fs::write(drop.join("a.csv"), "id,_weight\n1,-1\n2,5\n").expect("a file");
    let pipeline = |prefix: &str| {
        format!(
            r#"
[pipeline]
name = "names"
{prefix}
[sources.s]
type = "files"
path = "drop"
format = "csv"
[tables.silver.t]
mode = "upsert"
key = ["id"]
[tables.gold.n]
mode = "accumulate"
key = ["_weight"]
[hops.land]
from = "s"
to = "bronze.t"
[hops.clean]
from = "bronze.t"
to = "silver.t"
[hops.count]
from = "silver.t"
to = "gold.n"
"#
        )
    };
    let refused = run(folder.path(), &pipeline("")).failed(2);
    assert!(refused.stderr.contains("`_weight`") && refused.stderr.contains("system_prefix"), "{refused}");
    run(folder.path(), &pipeline("system_prefix = \"_sb_\"")).ok();
    fs::write(drop.join("b.csv"), "id,_weight\n1,5\n").expect("a file");
    run(folder.path(), &pipeline("system_prefix = \"_sb_\"")).ok();
    let rows = table(&folder.path().join("lake"), "gold.n");
    assert_eq!(rows, [json!({ "_weight": 5, "rows": 2 })]);
}

#[test]
fn headers_as_people_write_them_land_under_names() {
    let folder = Lake::new();
    let drop = folder.path().join("drop");
    fs::create_dir(&drop).expect("a folder");
    fs::write(drop.join("a.csv"), "Order ID,Unit Price (EUR),Qty.\n1,10.5,2\n").expect("a file");
    let pipeline = |names: &str| {
        format!(
            "[pipeline]\nname = \"p\"\n[sources.s]\ntype = \"files\"\npath = \"drop\"\nformat = \"csv\"\n{names}\n\
             [hops.land]\nfrom = \"s\"\nto = \"bronze.t\"\n"
        )
    };
    let refused = run(folder.path(), &pipeline(""));
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("Order ID") && refused.stderr.contains("column_names"), "{refused}");
    let named = pipeline("column_names = \"snake\"\nrename = { \"Qty.\" = \"pieces\" }");
    run(folder.path(), &named).ok();
    // The next file has them in another order, and is read as the first was.
    fs::write(drop.join("b.csv"), "Qty.,Order ID,Unit Price (EUR)\n3,2,20.25\n").expect("a file");
    run(folder.path(), &named).ok();
    let rows = table(&folder.path().join("lake"), "bronze.t");
    let seen: Vec<Value> = rows.iter().map(|row| json!([row["order_id"], row["pieces"], row["_lane"]])).collect();
    assert_eq!(seen, [json!([1, 2, "a.csv"]), json!([2, 3, "b.csv"])]);
    assert!(rows.iter().all(|row| !row["unit_price_eur"].is_null()));
}

/// A pipeline over a file with these headers.
#[derive(Debug, Clone)]
struct Case {
    headers: Vec<String>,
    declared: bool,
    snake: bool,
    renamed: bool,
    /// Columns that a `select` passes on, each by its place among the headers.
    selected: Option<Vec<usize>>,
    prefix: &'static str,
    keyed: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let header = prop::sample::select(vec![
        "id",
        "ID",
        "Order ID",
        "order_id",
        "_lane",
        "data_lane",
        "_weight",
        "_rescued",
        "_row",
        "_id",
        "Größe",
        "a-b",
        "x",
    ]);
    let headers = prop::collection::btree_set(header, 1..6);
    let selected = prop::option::of(prop::collection::btree_set(0..5_usize, 1..4));
    (headers, any::<bool>(), any::<bool>(), any::<bool>(), selected, any::<bool>(), any::<bool>()).prop_map(
        |(headers, declared, snake, renamed, selected, prefix, keyed): (
            BTreeSet<&str>,
            _,
            _,
            _,
            Option<BTreeSet<usize>>,
            _,
            _,
        )| Case {
            headers: headers.into_iter().map(str::to_owned).collect(),
            declared,
            snake,
            renamed,
            selected: selected.map(|selected| selected.into_iter().collect()),
            prefix: if prefix { "_sb_" } else { "_" },
            keyed,
        },
    )
}

impl Case {
    fn pipeline(&self) -> String {
        let quoted = |name: &str| Value::from(name).to_string();
        let mut out = format!(
            "[pipeline]\nname = \"p\"\nsystem_prefix = \"{}\"\n[sources.s]\ntype = \"files\"\npath = \"drop\"\nformat = \"csv\"\n",
            self.prefix
        );
        if self.snake {
            out.push_str("column_names = \"snake\"\n");
        }
        if self.renamed {
            let _ = writeln!(out, "rename = {{ {} = \"renamed\" }}", quoted(&self.headers[0]));
        }
        if self.declared {
            out.push_str("[sources.s.columns]\n");
            for header in &self.headers {
                let _ = writeln!(out, "{} = \"int64\"", quoted(header));
            }
        }
        out.push_str("[hops.land]\nfrom = \"s\"\nto = \"bronze.t\"\n");
        if let Some(selected) = &self.selected {
            let columns: Vec<String> = selected
                .iter()
                .filter_map(|place| self.headers.get(*place))
                .enumerate()
                .map(|(number, from)| format!("{{ name = \"c{number}\", from = {}, type = \"int64\" }}", quoted(from)))
                .collect();
            let path = module("select");
            let _ =
                writeln!(out, "module = {}\nconfig = {{ columns = [{}] }}", quoted(text(&path)), columns.join(", "));
        }
        if self.keyed {
            let key = if self.selected.is_some() { "c0".to_owned() } else { self.headers[0].clone() };
            let _ = writeln!(
                out,
                "[tables.silver.t]\nmode = \"upsert\"\nkey = [{}]\n[hops.clean]\nfrom = \"bronze.t\"\nto = \"silver.t\"",
                quoted(&key)
            );
        }
        out
    }
}

/// Whatever `check` calls good also runs, the first time and the second, and every row lands.
#[test]
fn what_check_accepts_run_binds() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let accepted = std::cell::Cell::new(0);
    runner
        .run(&case(), |case| {
            let folder = Lake::new();
            let drop = folder.path().join("drop");
            fs::create_dir(&drop).expect("a folder");
            let line = |first: usize| {
                (0..case.headers.len()).map(|column| (first + column).to_string()).collect::<Vec<_>>().join(",")
            };
            let file = |first| format!("{}\n{}\n{}\n", case.headers.join(","), line(first), line(first + 10));
            fs::write(drop.join("a.csv"), file(10)).expect("a file");
            let pipeline = case.pipeline();
            fs::write(folder.path().join("p.toml"), &pipeline).expect("the pipeline file");
            let lake = folder.path().join("lake");
            let checked = sluice::run_in(folder.path(), &["check", "p.toml", "--lake", text(&lake)]);
            let planned = sluice::run_in(folder.path(), &["plan", "p.toml", "--lake", text(&lake)]);
            prop_assert_eq!(checked.code, planned.code, "{}\n{}", pipeline, planned);
            if checked.code != Some(0) {
                return Ok(());
            }
            accepted.set(accepted.get() + 1);
            let first = run(folder.path(), &pipeline);
            prop_assert_eq!(first.code, Some(0), "{}\n{}", pipeline, first);
            fs::write(drop.join("b.csv"), file(50)).expect("a file");
            let second = run(folder.path(), &pipeline);
            prop_assert_eq!(second.code, Some(0), "{}\n{}", pipeline, second);
            prop_assert_eq!(table(&lake, "bronze.t").len(), 4, "{}\n{}", pipeline, second);
            // A key of the host's is the same for rows of one file, and a module that asks for a column by the name that it
            // no longer has gets nulls.
            let same = match case.selected {
                None => case.headers[0].starts_with('_'),
                Some(_) => case.renamed || case.snake,
            };
            if case.keyed && !same {
                prop_assert_eq!(table(&lake, "silver.t").len(), 4, "{}\n{}", pipeline, second);
            }
            Ok(())
        })
        .expect("check and run agree");
    assert!(accepted.get() >= 5, "too few of the pipelines were sound: {}", accepted.get());
}
