//! The whole of the c2c modules on the real drops, without a host.
//!
//! The data is not part of this project; where it is absent the test says so and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use c2c_clean_reports::CleanReports;
use c2c_clean_users::CleanUsers;
use c2c_country_stats::CountryStats;
use c2c_users_wide::UsersWide;
use serde_json::{Map, Value};
use sluicebox_sdk::Transform;
use sluicebox_sdk::prelude::*;

const FIRST: &str = "6M-0K-99K.users.dataset.public.csv";
const SECOND: &str = "users.6M0xxK.2024.public.csv";
const REPORTS: [(&str, &str, usize); 3] = [
    ("buyers", "Buyers-repartition-by-country.csv", 62),
    ("sellers", "Comparison-of-Sellers-by-Gender-and-Country.csv", 70),
    ("countries", "Countries-with-Top-Sellers-(Fashion-C2C).csv", 19),
];

#[test]
fn every_cell_of_the_stores_reports_follows_from_its_users() {
    let Some(folder) = data() else { return };
    let users = silver_users(&folder);
    let counts: Vec<usize> = users.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(counts, [98_913, 20_743]);

    let mut stats = Harness::<CountryStats>::open(r#"{"snapshot": "2018"}"#).unwrap();
    for drop in &users {
        stats.push("users", drop).unwrap();
    }
    let recorded = stats.end("users").unwrap();
    for (name, file, expected_rows) in REPORTS {
        let report = clean_report(&folder, name, file);
        let made = by_key(recorded.json(name));
        assert_eq!((report.len(), made.len()), (expected_rows, expected_rows), "{name}");
        for (key, cells) in &made {
            for (column, cell) in cells {
                assert!(
                    same(cell, &report[key][column]),
                    "{name} {key} {column}: made {cell}, reported {}",
                    report[key][column]
                );
            }
            // What the store left empty is empty here too.
            let (columns, reported) = (columns(name), &report[key]);
            let extra: Vec<_> =
                columns.iter().filter(|name| reported.contains_key(*name) && !cells.contains_key(*name)).collect();
            assert!(extra.is_empty(), "{name} {key}: {extra:?} are missing");
        }
    }
    let users_of_all_drops: i64 =
        by_key(recorded.json("dashboard")).values().map(|row| row["users"].as_i64().unwrap()).sum();
    assert_eq!(users_of_all_drops, 98_913 + 20_743);
}

#[test]
fn the_wide_table_has_each_user_once_and_loses_no_country() {
    let Some(folder) = data() else { return };
    let users = silver_users(&folder);
    let mut wide = Harness::<UsersWide>::open("").unwrap();
    for (name, file, _) in REPORTS {
        let mut clean = Harness::<CleanReports>::open(&format!(r#"{{"report": "{name}"}}"#)).unwrap();
        let report = push_csv(&mut clean, &folder.join(file)).output(name);
        wide.push(name, &report).unwrap();
    }
    let mut with_buyers = 0;
    let mut rows = 0;
    for drop in &users {
        let joined = wide.push("users", drop).unwrap().output("users");
        let buyers = joined.column_by_name("buyers_buyers").unwrap();
        with_buyers += buyers.len() - buyers.null_count();
        rows += joined.num_rows();
    }
    assert_eq!(rows, 98_913 + 20_743);
    let countries: Vec<String> = by_key_of_report(&folder, "buyers").into_keys().collect();
    let expected = users.iter().map(|drop| {
        let country = drop.column_by_name("country").unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone();
        country.iter().flatten().filter(|name| countries.iter().any(|country| country == name)).count()
    });
    assert_eq!(with_buyers, expected.sum::<usize>());
}

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("SLUICE_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let folder = root.join("french-c2c");
    if !folder.is_dir() {
        eprintln!("absent: {} (set SLUICE_DATA); nothing was tested", folder.display());
        return None;
    }
    Some(folder)
}

fn silver_users(folder: &Path) -> Vec<RecordBatch> {
    let config = format!(r#"{{"snapshots": {{"{FIRST}": "2018", "{SECOND}": "2024"}}}}"#);
    let mut clean = Harness::<CleanUsers>::open(&config).unwrap();
    let drops = [FIRST, SECOND].map(|file| push_csv(&mut clean, &folder.join(file)));
    drops.map(|recorded| recorded.output("users")).into()
}

fn clean_report(folder: &Path, name: &str, file: &str) -> BTreeMap<String, Map<String, Value>> {
    let mut clean = Harness::<CleanReports>::open(&format!(r#"{{"report": "{name}"}}"#)).unwrap();
    let recorded = push_csv(&mut clean, &folder.join(file));
    assert_eq!(recorded.rejected().len(), if name == "sellers" { 3 } else { 0 });
    by_key(recorded.json(name))
}

fn by_key_of_report(folder: &Path, name: &str) -> BTreeMap<String, Map<String, Value>> {
    let (name, file, _) = REPORTS.into_iter().find(|(other, ..)| *other == name).unwrap();
    clean_report(folder, name, file)
}

/// The columns that a report has in common with what is made of it.
fn columns(name: &str) -> Vec<String> {
    let mut stats = Harness::<CountryStats>::open("{}").unwrap();
    let empty = stats.end("users").unwrap().output(name);
    empty.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn by_key(lines: Vec<String>) -> BTreeMap<String, Map<String, Value>> {
    let row = |line: String| {
        let cells: Map<String, Value> = serde_json::from_str(&line).unwrap();
        let key = ["country", "sex"].map(|key| cells.get(key).and_then(Value::as_str).unwrap_or(""));
        (key.join("/").trim_end_matches('/').to_owned(), cells)
    };
    lines.into_iter().map(row).collect()
}

/// Unrounded means are printed with other digits by the store's database.
fn same(made: &Value, reported: &Value) -> bool {
    match (made.as_f64(), reported.as_f64()) {
        (Some(made), Some(reported)) => (made - reported).abs() <= 1e-9 * reported.abs().max(1.0),
        _ => made == reported,
    }
}

/// Pushes a file as JSON, with numbers where the module wants numbers.
fn push_csv<T: Transform>(harness: &mut Harness<T>, file: &Path) -> Recorded {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header = reader.headers().unwrap().clone();
    let lane = file.file_name().unwrap().to_str().unwrap();
    let mut lines = String::new();
    for record in reader.records() {
        let mut object = Map::new();
        object.insert("_lane".to_owned(), lane.into());
        for (name, text) in header.iter().zip(record.unwrap().iter()).filter(|(_, text)| !text.is_empty()) {
            let cell = match text {
                "True" => true.into(),
                "False" => false.into(),
                // The one language that is a number is a text all the same.
                _ if name == "language" => text.into(),
                _ => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            };
            object.insert(name.to_owned(), cell);
        }
        lines.push_str(&Value::from(object).to_string());
        lines.push('\n');
    }
    harness.push_json("rows", &lines).unwrap()
}
