//! `sluice maintain`, and expectations as a shell sees them.

use std::fmt::Write as _;

use crate::harness::{Lake, duckdb, sluice, text};

/// A pipeline that commits every hundred rows of a CSV file.
fn pipeline(folder: &std::path::Path, tables: &str) -> std::path::PathBuf {
    let mut csv = String::from("id,state,price\n");
    for id in 0..1_000 {
        let state = if id % 100 == 7 { "odd" } else { "new" };
        let _ = writeln!(csv, "{id},{state},{}", id % 50);
    }
    std::fs::create_dir_all(folder.join("drop")).expect("a folder");
    std::fs::write(folder.join("drop/a.csv"), csv).expect("a file");
    let file = folder.join("shop.toml");
    let head = "[pipeline]\nname = \"shop\"\n\n[sources.orders]\ntype = \"files\"\npath = \"drop\"\nformat = \"csv\"\n\n\
                [sources.orders.columns]\nid = \"int64\"\nstate = \"string\"\nprice = \"decimal(10,2)\"\n\n";
    let hops = "\n[hops.land]\nfrom = \"orders\"\nto = \"bronze.orders\"\nflush = { rows = 1 }\n\n\
                [hops.copy]\nfrom = \"bronze.orders\"\nto = \"silver.orders\"\n";
    std::fs::write(&file, format!("{head}{tables}{hops}")).expect("a file");
    file
}

#[test]
fn a_dry_run_says_what_the_real_one_then_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "");
    for round in 0..4 {
        let more: String = (0..10).map(|row| format!("{},new,1\n", 10_000 + round * 10 + row)).collect();
        std::fs::write(folder.path().join(format!("drop/b{round}.csv")), format!("id,state,price\n{more}"))
            .expect("a file");
        sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    }
    let rows =
        || duckdb::row(lake.path(), "select count(*) as n, sum(id) as s from delta_scan('{lake}/bronze/orders')");
    let before = rows();
    let arguments = ["maintain", text(&file), "--lake", text(lake.path()), "--json", "--table", "bronze.orders"];
    let dry = sluice::run(&[&arguments[..], &["--dry-run"]].concat()).ok().summary();
    let done = sluice::run(&arguments).ok().summary();
    assert_eq!((&dry["dry_run"], &done["dry_run"]), (&true.into(), &false.into()));
    assert!(dry["compacted"][0]["files"].as_u64() > Some(1), "{dry}");
    assert_eq!(dry["compacted"][0]["files"], done["compacted"][0]["files"]);
    assert_eq!(done["compacted"][0]["into_files"], 1);
    assert_eq!(before, rows());
    // The hop below takes nothing twice.
    let again = sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    assert_eq!(again.hop("copy")["rows_in"], 0);
    let told = sluice::run(&["maintain", "--lake", text(lake.path())]).ok();
    assert!(told.stdout.contains("bronze.orders: nothing to do"), "{told}");
    assert!(told.stdout.contains("silver.orders: "), "{told}");
    let unknown = sluice::run(&["maintain", text(&file), "--lake", text(lake.path()), "--table", "gold.x"]).failed(2);
    assert!(unknown.stderr.contains("bronze.orders"), "{unknown}");
}

#[test]
fn small_files_come_together_while_a_pipeline_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "[tables.bronze.orders]\nupkeep = { compact_at = 4 }\n");
    for round in 0..12 {
        let name = format!("drop/b{round:02}.csv");
        std::fs::write(folder.path().join(name), format!("id,state,price\n{},new,1\n", 10_000 + round))
            .expect("a file");
    }
    sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    let status = sluice::run(&["status", "--lake", text(lake.path()), "--json"]).ok();
    let bronze = status.events().into_iter().find(|event| event["table"] == "bronze.orders").expect("the table");
    assert_eq!(bronze["rows"], 1_012);
    assert!(bronze["files"].as_u64() < Some(5), "{bronze}");
    let copied = sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    assert_eq!(copied.hop("copy")["rows_in"], 0, "the hop below has every row by now");
    if let Some(row) = duckdb::row(lake.path(), "select count(*) as n from delta_scan('{lake}/silver/orders')") {
        assert_eq!(row["n"], 1_012);
    }
}

#[test]
fn expectations_are_counted_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(
        folder.path(),
        "[[tables.silver.orders.expect]]\ncolumn = \"state\"\none_of = [\"new\"]\n\n\
         [[tables.silver.orders.expect]]\ncolumn = \"price\"\nmax = 48\notherwise = \"warn\"\n",
    );
    let run = sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    let hop = run.hop("copy");
    assert_eq!((&hop["rows_in"], &hop["rows_out"], &hop["rows_rejected"]), (&1_000.into(), &990.into(), &10.into()));
    assert_eq!(
        hop["expectations"],
        serde_json::json!([
            { "table": "silver.orders", "column": "price", "rule": "range", "otherwise": "warn", "rows": 20 },
            { "table": "silver.orders", "column": "state", "rule": "one-of", "otherwise": "reject", "rows": 10 },
        ])
    );
    assert_eq!(run.hop("land").get("expectations"), None, "only where there is something to say");
    let listed = sluice::run(&["quarantine", "ls", "--lake", text(lake.path())]).ok();
    assert!(listed.stdout.contains("expect.one-of"), "{listed}");
}

#[test]
fn a_rule_that_does_not_fit_is_shown_where_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "[[tables.silver.orders.expect]]\ncolumn = \"id\"\nmatches = \"a\"\n");
    let checked = sluice::run(&["check", text(&file), "--lake", text(lake.path())]).failed(2);
    assert!(checked.stderr.contains("shop.toml:16:11"), "{checked}");
    assert!(checked.stderr.contains("`matches` is for text"), "{checked}");
    let unknown = pipeline(folder.path(), "[[tables.silver.orders.expect]]\ncolumn = \"it\"\nmin = 1\n");
    let checked = sluice::run(&["check", text(&unknown), "--lake", text(lake.path())]).failed(2);
    assert!(checked.stderr.contains("shop.toml:15:10"), "{checked}");
}

#[test]
fn a_frozen_type_stops_at_the_line_that_breaks_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    // The columns are inferred from the first file; the second has text where there were numbers.
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    std::fs::create_dir_all(folder.path().join("drop")).expect("a folder");
    let pipeline = |answer: &str| {
        let text = format!(
            "[pipeline]\nname = \"p\"\n\n[sources.a]\ntype = \"files\"\npath = \"drop\"\nformat = \"csv\"\n\n\
             [tables.bronze.a]\ncontract = {{ type_change = \"{answer}\" }}\n\n[hops.land]\nfrom = \"a\"\nto = \"bronze.a\"\n"
        );
        write("p.toml", &text);
        folder.path().join("p.toml")
    };
    write("drop/1.csv", "id,price\n1,10\n2,20\n");
    sluice::run(&["run", text(&pipeline("freeze")), "--lake", text(lake.path())]).ok();
    write("drop/2.csv", "id,price\n3,30\n4,cheap\n");
    let stopped = sluice::run(&["run", text(&pipeline("freeze")), "--lake", text(lake.path())]).failed(1);
    assert!(stopped.stderr.contains("2.csv:3 differs: column `price`: `cheap`"), "{stopped}");
    let taken = sluice::run(&["run", text(&pipeline("reject_row")), "--lake", text(lake.path()), "--json"]).ok();
    assert_eq!((&taken.hop("land")["rows_out"], &taken.hop("land")["rows_rejected"]), (&1.into(), &1.into()));
}

#[test]
fn a_table_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "");
    sluice::run(&["run", text(&file), "--lake", text(lake.path())]).ok();
    std::fs::write(lake.table("silver.orders").join("_delta_log/00000000000000000001.json"), "").expect("a file");
    let status = sluice::run(&["status", "--lake", text(lake.path()), "--json"]).failed(1);
    assert_eq!(status.events().iter().filter(|event| event["table"] == "bronze.orders").count(), 1, "{status}");
    assert!(status.stderr.contains("silver.orders"), "{status}");
    // Nobody knows how far it has followed bronze, so that nothing of that may go.
    let done = sluice::run(&["maintain", "--lake", text(lake.path())]).failed(1);
    assert!(done.stdout.is_empty() && done.stderr.contains("silver.orders"), "{done}");
}

#[test]
fn a_hop_that_is_gone_is_named_and_can_be_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "");
    sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    // The hop gets another name, and its table with it.
    let renamed = std::fs::read_to_string(&file).expect("the file").replace("[hops.copy]", "[hops.copy_all]");
    std::fs::write(&file, renamed.replace("silver.orders", "silver.all_orders")).expect("a file");
    let more = std::fs::read_to_string(folder.path().join("drop/a.csv")).expect("a file");
    std::fs::write(folder.path().join("drop/b.csv"), more).expect("a file");
    sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    let at = |hop: &str| sluice::run(&["forget", hop, "--lake", text(lake.path()), "--dry-run", "--json"]).ok();
    let would = at("shop/copy").summary();
    assert_eq!((&would["table"], &would["upstream"]), (&"silver.orders".into(), &"bronze.orders".into()), "{would}");
    let forgotten = sluice::run(&["forget", "shop/copy", "--lake", text(lake.path())]).ok();
    assert!(forgotten.stdout.contains("silver.orders") && forgotten.stdout.contains("bronze.orders"), "{forgotten}");
    assert!(at("shop/copy").stdout.trim().is_empty());
    // Its rows stay, and a hop of that name does not begin anew over them.
    let count = duckdb::row(lake.path(), "select count(*) as n from delta_scan('{lake}/silver/orders')");
    if let Some(count) = count {
        assert_eq!(count["n"], 1_000);
    }
    let back = std::fs::read_to_string(&file).expect("the file").replace("[hops.copy_all]", "[hops.copy]");
    std::fs::write(&file, back.replace("silver.all_orders", "silver.orders")).expect("a file");
    let refused = sluice::run(&["run", text(&file), "--lake", text(lake.path())]).failed(1);
    assert!(refused.stderr.contains("forgotten"), "{refused}");
    sluice::run(&["forget", "shop", "--lake", text(lake.path())]).failed(2);
}

#[cfg(unix)]
#[test]
fn maintenance_stays_in_the_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::new();
    let file = pipeline(folder.path(), "[tables.bronze.orders.upkeep]\nkeep_files = \"1h\"\n");
    sluice::run(&["run", text(&file), "--lake", text(lake.path()), "--json"]).ok();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    let precious = outside.join("precious.parquet");
    std::fs::write(&precious, "x").expect("a file");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(400 * 24 * 60 * 60);
    std::fs::File::options().write(true).open(&precious).and_then(|file| file.set_modified(long_ago)).expect("old");
    for link in ["sub", "_change_data", "loop"] {
        let target = if link == "loop" { lake.table("bronze.orders") } else { outside.clone() };
        std::os::unix::fs::symlink(target, lake.table("bronze.orders").join(link)).expect("a link");
    }
    sluice::run(&["maintain", text(&file), "--lake", text(lake.path())]).ok();
    assert!(precious.is_file());
}
