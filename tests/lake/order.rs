//! Which of two rows of a key is newer, where some do not say when they were made.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluicebox_core::plan::{DeleteWhen, WriteMode};

use super::support::{Sandbox, at, put, sorted, spec};

/// key, order, whether it deletes, value.
type Row = (i64, Option<f64>, bool, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("id", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()), true),
        ("at", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>()), true),
        ("op", Arc::new(rows.iter().map(|row| Some(if row.2 { "d" } else { "u" })).collect::<StringArray>()), true),
        ("value", Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Int64Array>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("batch")
}

fn mode() -> WriteMode {
    WriteMode::Upsert {
        key: vec!["id".into()],
        order_by: Some("at".into()),
        delete_when: Some(DeleteWhen { column: "op".into(), is: vec!["d".into()] }),
    }
}

/// What is known of a moment: NaN says as little as null, and there is one zero.
fn moment(order: Option<f64>) -> Option<f64> {
    order.filter(|order| !order.is_nan()).map(|order| order + 0.0)
}

/// The table after a commit, by the rules as the documentation has them.
fn applied(table: &mut BTreeMap<i64, Row>, commit: &[Row]) {
    let mut keys: Vec<i64> = commit.iter().map(|row| row.0).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (mut winner, mut measured): (Option<Row>, Option<f64>) = (None, None);
        let (mut newest, mut by_arrival) = (None, false);
        for row in commit.iter().filter(|row| row.0 == key) {
            let order = moment(row.1);
            if row.2 && order.is_none() {
                // It counts when it arrives, and holds off what is older than the rows before it.
                (winner, measured, by_arrival) = (Some(*row), newest, true);
                continue;
            }
            if winner.is_none() || order >= measured {
                (winner, measured) = (Some(*row), order);
            }
            if order > newest {
                newest = order;
            }
        }
        let Some(winner) = winner else { continue };
        let held = table.get(&key).is_some_and(|own| !by_arrival && moment(own.1) > newest);
        if held {
            continue;
        }
        match winner.2 {
            true => table.remove(&key),
            false => table.insert(key, winner),
        };
    }
}

#[tokio::test]
async fn every_history_ends_by_the_rules() {
    for seed in 0..60_u64 {
        let seed = rand::random::<u64>().wrapping_add(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let orders = [None, Some(f64::NAN), Some(-f64::NAN), Some(-0.0), Some(0.0), Some(1.0), Some(2.0), Some(3.0)];
        let mut spec = spec("t", mode());
        spec.layout.deletion_vectors = random.random_bool(0.3);
        spec.layout.memory = if random.random_bool(0.3) { 2_000 } else { 256 << 20 };
        let sandbox = Sandbox::new();
        let mut table = sandbox.lake.table(&spec).await.expect("table");
        let mut expected: BTreeMap<i64, Row> = BTreeMap::new();
        for step in 1..6 {
            let rows: Vec<Row> = (0..random.random_range(1..14))
                .map(|value| {
                    let order = orders[random.random_range(0..orders.len())];
                    (random.random_range(0..4), order, random.random_bool(0.3), step * 100 + value)
                })
                .collect();
            let middle = rows.len() / 2;
            put(&mut table, &[batch(&rows[..middle]), batch(&rows[middle..])], at("f", step)).await.expect("commit");
            applied(&mut expected, &rows);
            let found: Vec<String> =
                sorted(&table).await.iter().map(|line| line.to_string().replace("-0.0", "0.0")).collect();
            let mut lines: Vec<String> =
                expected.values().map(|row| super::support::lines(&batch(&[*row]))[0].replace("-0.0", "0.0")).collect();
            lines.sort();
            let mut found = found;
            found.sort();
            assert_eq!(found, lines, "seed {seed}, commit {step}");
        }
    }
}

#[tokio::test]
async fn rows_without_an_order_are_counted() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", mode())).await.expect("table");
    let first = batch(&[(1, Some(1.0), false, 1), (2, None, false, 2), (3, Some(f64::NAN), true, 3)]);
    table.create(&first.schema(), sluicebox_delta::Provenance::default()).await.expect("create");
    let mut writer = table.begin().await.expect("begin");
    let accepted = tokio::task::spawn_blocking(move || {
        let accepted = writer.write(&first);
        (writer, accepted)
    });
    let (writer, accepted) = accepted.await.expect("the thread does not panic");
    let unmet = accepted.expect("written").unmet;
    assert_eq!(
        unmet.iter().map(|unmet| (unmet.column.as_str(), unmet.rule, unmet.rows)).collect::<Vec<_>>(),
        [("at", "order_by", 2)]
    );
    writer.abandon().await;
}
