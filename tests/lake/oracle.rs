//! Upserts against delta-rs' MERGE: the same history makes the same table, after every commit.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sluicebox_core::plan::{DeleteWhen, WriteMode};

use super::support::{Sandbox, at, put, spec};
use crate::harness::oracle::python;
use crate::harness::root;

/// Random histories of one test run; `$SLUICE_HISTORIES` asks for others.
const HISTORIES: u64 = 40;

/// id, seq, part, op, value, and a column that comes later.
type Row = (Option<i64>, Option<i64>, Option<String>, String, i64, Option<i64>);

/// The rows of a table by delta-rs, each a JSON object, or `None`, said aloud, without it.
pub fn read(table: &std::path::Path) -> Option<Vec<Value>> {
    let output = Command::new(python()?).arg(root().join("tests/harness/deltars_read.py")).arg(table).output();
    let output = output.expect("the reader starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("the reader prints UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("the reader prints JSON lines")).collect())
}

fn batch(rows: &[Row], wide: bool) -> RecordBatch {
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), true),
        ("seq", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()), true),
        ("part", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>()), true),
        ("op", Arc::new(rows.iter().map(|row| Some(row.3.as_str())).collect::<StringArray>()), true),
        ("value", Arc::new(rows.iter().map(|row| Some(row.4)).collect::<Int64Array>()), true),
    ];
    if wide {
        columns.push(("late", Arc::new(rows.iter().map(|row| row.5).collect::<Int64Array>()), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

/// One row of each key: the newest, of equals the later one. MERGE refuses a source with more.
fn distinct(rows: &[Row], by_part: bool, ordered: bool) -> Vec<Row> {
    let mut places: HashMap<(Option<i64>, Option<String>), usize> = HashMap::new();
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        let key = (row.0, row.2.clone().filter(|_| by_part));
        match places.get(&key) {
            Some(place) if !ordered || row.1 >= kept[*place].1 => kept[*place] = row.clone(),
            Some(_) => {}
            None => {
                places.insert(key, kept.len());
                kept.push(row.clone());
            }
        }
    }
    kept
}

#[test]
fn every_history_ends_as_merge_ends_it() {
    let Some(python) = python() else { return };
    let histories = std::env::var("SLUICE_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES);
    let first: u64 = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut oracle = Command::new(&python)
        .arg(root().join("tests/harness/oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
    let mut steps = oracle.stdin.take().expect("because it was piped just above");
    let mut answers = BufReader::new(oracle.stdout.take().expect("because it was piped just above")).lines();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut compared = 0;
    for seed in (0..histories).map(|step| first.wrapping_add(step)) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (by_part, ordered) = (random.random_bool(0.3), random.random_bool(0.5));
        let partitioned = random.random_bool(0.5);
        let delete_when =
            random.random_bool(0.6).then(|| DeleteWhen { column: "op".into(), is: vec!["d".into(), "x".into()] });
        let key: Vec<String> = if by_part { vec!["id".into(), "part".into()] } else { vec!["id".into()] };
        let order_by = ordered.then(|| "seq".to_owned());
        let mut spec = spec(
            "ours",
            WriteMode::Upsert { key: key.clone(), order_by: order_by.clone(), delete_when: delete_when.clone() },
        );
        spec.partition_by = if partitioned { vec!["part".into()] } else { Vec::new() };
        spec.changes = random.random_bool(0.3);
        spec.layout.deletion_vectors = random.random_bool(0.4);
        spec.layout.memory = if random.random_bool(0.3) { 2_000 } else { 256 << 20 };
        let widens_at = random.random_range(1..8);
        let sandbox = Sandbox::new();
        let mut table = runtime.block_on(sandbox.lake.table(&spec)).expect("table");
        for step in 0..random.random_range(1..7) {
            let wide = step >= widens_at;
            let rows: Vec<Row> = (0..random.random_range(0..30))
                .map(|_| {
                    let part = ["p", "q", "r s"][random.random_range(0..3)];
                    let op = ["i", "i", "u", "d", "x"][random.random_range(0..5)];
                    (
                        random.random_bool(0.95).then(|| random.random_range(0..25)),
                        // A deletion without an order counts when it arrives, which MERGE has no words for.
                        (random.random_bool(0.9) || "dx".contains(op)).then(|| random.random_range(0..9)),
                        random.random_bool(0.9).then(|| part.to_owned()),
                        op.to_owned(),
                        random.random_range(0..4),
                        random.random_bool(0.8).then(|| random.random_range(0..4)),
                    )
                })
                .collect();
            let middle = rows.len() / 2;
            let batches = [batch(&rows[..middle], wide), batch(&rows[middle..], wide)];
            runtime.block_on(put(&mut table, &batches, at("f", step + 1))).expect("commit");
            let mut columns = vec![("id", "int"), ("seq", "int"), ("part", "text"), ("op", "text"), ("value", "int")];
            if wide {
                columns.push(("late", "int"));
            }
            let rows: Vec<Value> = distinct(&rows, by_part, ordered)
                .iter()
                .map(|row| match wide {
                    true => json!([row.0, row.1, row.2, row.3, row.4, row.5]),
                    false => json!([row.0, row.1, row.2, row.3, row.4]),
                })
                .collect();
            if rows.is_empty() && wide {
                // MERGE is not asked to take nothing, so it has not heard of the new column.
                break;
            }
            let told = json!({
                "ours": sandbox.path("ours"), "theirs": sandbox.folder.path().join("theirs"), "columns": columns,
                "rows": rows, "key": key, "order_by": order_by, "partition_by": spec.partition_by,
                "delete_when": delete_when.as_ref().map(|rule| json!([rule.column, rule.is])),
            });
            writeln!(steps, "{told}").expect("the oracle listens");
            let answer = answers.next().unwrap_or_else(|| panic!("seed {seed}: the oracle fell silent")).expect("text");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer, json!({ "ours": [], "theirs": [] }), "seed {seed}, commit {step}: {spec:?}");
            compared += 1;
        }
    }
    drop(steps);
    assert!(oracle.wait().expect("the oracle ends").success());
    assert!(compared >= histories, "{compared} commits of {histories} histories were compared");
    println!("{compared} commits of {histories} histories from seed {first} on are the same");
}
