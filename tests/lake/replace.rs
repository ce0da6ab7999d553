//! Writing a whole table, or whole groups of it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use sluicebox_core::plan::{Contract, Drift, TableSpec, WriteMode};

use super::support::{Sandbox, at, put, rows, sorted, spec};

#[tokio::test]
async fn overwrite_is_the_whole_table() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Overwrite)).await.expect("table");
    put(&mut table, &[rows(&[1, 2], &["a", "b"])], at("f", 1)).await.expect("commit");
    let done = put(&mut table, &[rows(&[3], &["c"])], at("f", 2)).await.expect("commit");
    assert_eq!((done.files_removed, done.files_added), (1, 1));
    assert_eq!(sorted(&table).await, ["3|c"]);
    put(&mut table, &[rows(&[], &[])], at("f", 3)).await.expect("commit");
    assert!(sorted(&table).await.is_empty());
    let again = sandbox.lake.table(&spec("words", WriteMode::Overwrite)).await.expect("table");
    assert_eq!(again.positions("shop/hop/").await.expect("positions").get("f"), Some(3));
}

#[tokio::test]
async fn overwrite_may_change_a_type() {
    let sandbox = Sandbox::new();
    let evolve = Contract { type_change: Drift::Evolve, ..Contract::default() };
    let spec = TableSpec { contract: evolve, ..spec("words", WriteMode::Overwrite) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let id: ArrayRef = Arc::new(StringArray::from(vec!["x1"]));
    let batch = RecordBatch::try_from_iter([("id", id)]).expect("batch");
    put(&mut table, &[batch], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["x1|null"]);
}

#[tokio::test]
async fn replace_takes_the_groups_it_names() {
    for partition_by in [vec![], vec!["word".to_owned()]] {
        let sandbox = Sandbox::new();
        let mode = WriteMode::Replace { by: vec!["word".to_owned()] };
        let spec = TableSpec { partition_by, ..spec("words", mode) };
        let mut table = sandbox.lake.table(&spec).await.expect("table");
        put(&mut table, &[rows(&[1, 2, 3], &["a", "a", "b"])], at("f", 1)).await.expect("commit");
        put(&mut table, &[rows(&[4, 4], &["a", "c"]), rows(&[5], &["a"])], at("f", 2)).await.expect("commit");
        assert_eq!(sorted(&table).await, ["3|b", "4|a", "4|c", "5|a"], "{:?}", spec.partition_by);
        put(&mut table, &[rows(&[], &[])], at("f", 3)).await.expect("commit");
        assert_eq!(sorted(&table).await.len(), 4);
    }
}
