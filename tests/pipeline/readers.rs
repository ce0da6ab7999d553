//! Tables as readers see them that share no code with our writer, nor with each other.

use serde_json::Value;

use crate::harness::{Lake, duckdb, root, sluice, spark, text};

/// Every table of the demo, whatever its mode: append, upsert and overwrite, quarantine included.
#[test]
fn spark_and_duckdb_see_the_same_rows() {
    let (lake, folder) = (Lake::new(), Lake::new());
    let file = folder.path().join("demo.toml");
    std::fs::write(&file, small_demo()).expect("a temporary folder is writable");
    sluice::run(&["run", text(&file), "--lake", text(lake.path())]).ok();
    let mut tables: Vec<String> = ["bronze", "silver", "gold", "quarantine"]
        .iter()
        .filter_map(|layer| std::fs::read_dir(lake.path().join(layer)).ok().map(|folder| (layer, folder)))
        .flat_map(|(layer, folder)| folder.flatten().map(move |table| (layer, table.file_name())))
        .map(|(layer, table)| format!("{layer}/{}", table.to_string_lossy()))
        .collect();
    tables.sort();
    assert!(tables.len() > 5, "{tables:?}");
    let statements: Vec<String> =
        tables.iter().map(|table| format!("select * from delta.`{{lake}}/{table}`")).collect();
    let Some(seen) = spark::rows(lake.path(), &statements) else { return };
    for (table, seen) in tables.iter().zip(seen) {
        let Some(expected) = duckdb::rows(lake.path(), &format!("select * from delta_scan('{{lake}}/{table}')")) else {
            return;
        };
        assert!(!expected.is_empty(), "{table} is empty");
        assert_eq!(sorted(seen), sorted(expected), "{table}");
    }
}

/// The demo with a fortieth of its rows, so that whole tables can be compared.
fn small_demo() -> String {
    let demo = std::fs::read_to_string(root().join("pipelines/demo.toml")).expect("there is a demo");
    let small = demo.replace("rows = 200_000", "rows = 5_000").replace("rows = 20_000", "rows = 500");
    assert_ne!(demo, small, "the demo has other numbers of rows now");
    small.replace("../guest-transforms", text(&root().join("guest-transforms")))
}

/// Readers give rows in an order of their own.
fn sorted(rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort();
    rows
}
