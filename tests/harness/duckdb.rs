//! Reads tables with DuckDB, whose Delta reader shares no code with our writer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{root, skipped};

/// The rows of a query over the lake, each a JSON object, or `None`, said aloud, without DuckDB.
///
/// `{lake}` in the statement is the lake's folder: `select * from delta_scan('{lake}/silver/users')`.
/// Decimals, dates and timestamps come as text.
///
/// # Panics
/// When the statement fails, and under `CI=true` when there is no DuckDB: CI must not skip what it is for.
pub fn rows(lake: &Path, statement: &str) -> Option<Vec<Value>> {
    let python = python()?;
    let mut child = Command::new(&python)
        .arg(root().join("tests/harness/duckdb_read.py"))
        .arg(lake)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut input = child.stdin.take().expect("because it was piped just above");
    input.write_all(statement.as_bytes()).expect("the reader takes its statement");
    drop(input);
    let output = child.wait_with_output().expect("the reader ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("the reader prints UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("the reader prints JSON lines")).collect())
}

/// The single row of a query, such as one of sums.
///
/// # Panics
/// As [`rows`], and when there is not exactly one row.
pub fn row(lake: &Path, statement: &str) -> Option<Value> {
    let mut rows = rows(lake, statement)?;
    assert_eq!(rows.len(), 1, "{statement} gave {} rows", rows.len());
    rows.pop()
}

/// The Python that has DuckDB: `$SLUICE_PYTHON`, as `just test` sets it.
fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("SLUICE_PYTHON") {
        return Some(PathBuf::from(python));
    }
    // A bare `cargo test` finds what an earlier `just test` installed; the script installs nothing new here.
    let known = Command::new(root().join("scripts/venv")).args(["--installed", "tests/harness/duckdb.txt"]).output();
    if let Ok(output) = known
        && output.status.success()
    {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let why = "there is no Python with DuckDB (`just test` installs it, or set SLUICE_PYTHON)";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    skipped(why);
    None
}

#[test]
fn duckdb_reads_a_table_of_the_delta_acceptance_tests() {
    let Some(data) = super::data("delta-acceptance") else { return };
    let table = "{lake}/out/reader_tests/generated/all_primitive_types/delta";
    let Some(row) = row(&data, &format!("select count(*) as n, max(\"decimal\") as d from delta_scan('{table}')"))
    else {
        return;
    };
    assert_eq!(row, serde_json::json!({ "n": 5, "d": "14.000" }));
}
