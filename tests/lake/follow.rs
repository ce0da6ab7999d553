//! Following a table as a sequence of added rows.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{DeleteWhen, OnDeletes, TableSpec, WriteMode};
use sluicebox_delta::{Added, DeltaError, Table};

use super::support::{Sandbox, at, followed, lines, put, rows, sorted, spec, upsert};

#[tokio::test]
async fn rows_come_in_the_order_of_commits() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    assert!(followed(&table, None).await.expect("no table, no rows").is_empty());
    put(&mut table, &[rows(&[3, 1], &["c", "a"]), rows(&[2], &["b"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[], &[])], at("f", 2)).await.expect("commit");
    put(&mut table, &[rows(&[0], &["z"])], at("f", 3)).await.expect("commit");
    assert_eq!(
        followed(&table, None).await.expect("all"),
        ["-- 0", "3|c", "1|a", "2|b", "-- 1", "-- 2", "0|z", "-- 3"]
    );
    assert_eq!(followed(&table, Some(1)).await.expect("rest"), ["-- 2", "0|z", "-- 3"]);
    assert!(followed(&table, Some(3)).await.expect("none").is_empty());
    assert!(followed(&table, Some(u64::MAX)).await.expect("none").is_empty());
}

#[tokio::test]
async fn a_table_that_loses_rows_cannot_be_followed() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", upsert("id", None))).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[2], &["b"])], at("f", 2)).await.expect("commit");
    assert_eq!(followed(&table, Some(0)).await.expect("only new keys so far"), ["1|a", "-- 1", "2|b", "-- 2"]);
    put(&mut table, &[rows(&[1], &["c"])], at("f", 3)).await.expect("commit");
    let error = followed(&table, Some(1)).await.expect_err("removed");
    assert!(matches!(error, DeltaError::Removed { version: 3, .. }), "{error}");
    assert!(followed(&table, Some(3)).await.expect("beyond it").is_empty());
}

#[tokio::test]
async fn versions_that_are_gone_are_told() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    for id in 0..22 {
        put(&mut table, &[rows(&[id], &["a"])], at("f", id + 1)).await.expect("commit");
    }
    std::fs::remove_file(sandbox.path("words").join("_delta_log/00000000000000000003.json")).expect("remove");
    let error = followed(&table, None).await.expect_err("gone");
    assert!(matches!(error, DeltaError::LogGone { version: 3, .. }), "{error}");
    assert_eq!(followed(&table, Some(21)).await.expect("the rest"), ["21|a", "-- 22"]);
}

#[tokio::test]
async fn rearranged_files_add_nothing() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    // As OPTIMIZE of any tool writes it.
    let log = sandbox.path("words").join("_delta_log");
    let entry = std::fs::read_to_string(log.join("00000000000000000001.json")).expect("entry");
    let add = entry
        .lines()
        .find(|line| line.starts_with("{\"add\""))
        .expect("add")
        .replace("\"dataChange\":true", "\"dataChange\":false");
    std::fs::write(log.join("00000000000000000002.json"), add).expect("write");
    table.refresh().await.expect("refresh");
    assert_eq!(followed(&table, Some(1)).await.expect("nothing new"), ["-- 2"]);
}

/// An append table of words, of which another program removed a row by writing its file again.
async fn with_a_deletion(sandbox: &Sandbox, changes: bool) -> Table {
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    put(&mut table, &[rows(&[1, 2, 2, 3], &["a", "b", "b", "c"])], at("f", 1)).await.expect("commit");
    put(&mut table, &[rows(&[4], &["d"])], at("f", 2)).await.expect("commit");
    let mode = WriteMode::Upsert {
        key: vec!["id".into()],
        order_by: None,
        delete_when: Some(DeleteWhen { column: "word".into(), is: vec!["gone".into()] }),
    };
    let mut other = TableSpec { changes, ..spec("words", mode) };
    other.layout.deletion_vectors = false;
    let mut other = sandbox.lake.table(&other).await.expect("table");
    put(&mut other, &[rows(&[2], &["gone"])], at("g", 1)).await.expect("commit");
    put(&mut table, &[rows(&[5], &["e"])], at("f", 3)).await.expect("commit");
    table
}

async fn steps(table: &Table, on_deletes: OnDeletes) -> Result<Vec<String>, DeltaError> {
    let steps: Vec<Added> = table.followed_since(Some(2), on_deletes).await?.try_collect().await?;
    let shown = steps.into_iter().flat_map(|step| match step {
        Added::Rows { rows, .. } => lines(&rows),
        Added::End { version } => vec![format!("-- {version}")],
    });
    Ok(shown.collect())
}

#[tokio::test]
async fn a_deletion_by_others_is_answered_as_the_hop_says() {
    for changes in [false, true] {
        let sandbox = Sandbox::new();
        let table = with_a_deletion(&sandbox, changes).await;
        let error = steps(&table, OnDeletes::Stop).await.expect_err("nobody said what becomes of it");
        assert!(matches!(error, DeltaError::Removed { version: 3, .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("on_deletes")));
        assert_eq!(steps(&table, OnDeletes::Skip).await.expect("passed over"), ["-- 3", "5|e", "-- 4"]);
        let followed = steps(&table, OnDeletes::Follow).await.expect("followed");
        // Both rows of the key went; those that stayed are not told.
        assert_eq!(
            followed,
            ["2|b|delete|-1", "2|b|delete|-1", "-- 3", "5|e|insert|1", "-- 4"],
            "change data: {changes}"
        );
    }
}

/// Whatever another program does to rows, what is followed adds up to the rows that are there.
#[tokio::test]
async fn followed_changes_add_up_to_the_table() {
    let mut random = ChaCha8Rng::seed_from_u64(rand::random());
    for _ in 0..10 {
        let sandbox = Sandbox::new();
        let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
        for step in 1..8_i64 {
            let ids: Vec<i64> = (0..random.random_range(1..6)).map(|_| random.random_range(0..9)).collect();
            let words: Vec<&str> = ids.iter().map(|_| ["a", "b"][random.random_range(0..2)]).collect();
            put(&mut table, &[rows(&ids, &words)], at("f", step)).await.expect("commit");
            if random.random_bool(0.5) {
                let vectors = random.random_bool(0.3);
                let mut other = spec("words", WriteMode::Replace { by: vec!["id".into()] });
                other.layout.deletion_vectors = vectors;
                let mut other = sandbox.lake.table(&other).await.expect("table");
                put(&mut other, &[rows(&[random.random_range(0..9)], &["c"])], at("g", step)).await.expect("commit");
                table.refresh().await.expect("refresh");
            }
        }
        let changes: Vec<Added> =
            table.followed_since(None, OnDeletes::Follow).await.expect("follow").try_collect().await.expect("changes");
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for rows in changes.into_iter().filter_map(|step| match step {
            Added::Rows { rows, .. } => Some(rows),
            Added::End { .. } => None,
        }) {
            for line in lines(&rows) {
                let parts: Vec<&str> = line.split('|').collect();
                *sums.entry(parts[..2].join("|")).or_default() += parts[3].parse::<i64>().expect("a weight");
            }
        }
        let found: Vec<String> = sums
            .into_iter()
            .flat_map(|(row, count)| vec![row; usize::try_from(count).expect("not below nothing")])
            .collect();
        assert_eq!(found, sorted(&table).await);
    }
}
