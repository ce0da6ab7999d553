//! Sums and counts by key, against a map.

use sluicebox_delta::DeltaError;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use proptest::prelude::*;
use sluicebox_core::plan::{TableSpec, WriteMode};

use super::support::{Sandbox, at, marked, put, sorted, spec};

/// Country, amount, and 1 or -1.
type Sale = (Option<String>, Option<i64>, i8);

fn sums() -> TableSpec {
    spec(
        "sales",
        WriteMode::Accumulate { key: vec!["country".into()], sum: vec!["amount".into()], count: "rows".into() },
    )
}

fn batch(sales: &[Sale]) -> RecordBatch {
    let country: ArrayRef = Arc::new(sales.iter().map(|sale| sale.0.as_deref()).collect::<StringArray>());
    let amount: ArrayRef = Arc::new(Int64Array::from(sales.iter().map(|sale| sale.1).collect::<Vec<_>>()));
    let note: ArrayRef = Arc::new(StringArray::from(vec!["not kept"; sales.len()]));
    let weight: ArrayRef = Arc::new(Int8Array::from(sales.iter().map(|sale| sale.2).collect::<Vec<_>>()));
    RecordBatch::try_from_iter_with_nullable([
        ("country", country, true),
        ("note", note, true),
        ("amount", amount, true),
        ("_weight", weight, true),
    ])
    .map(|rows| marked(&rows))
    .expect("columns of one length")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_end_like_the_map(
        history in prop::collection::vec(
            prop::collection::vec((prop::option::weighted(0.9, 0..5_u8), prop::option::weighted(0.9, -50..50_i64)), 0..20),
            1..6,
        ),
        taken in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let sandbox = Sandbox::new();
            let mut table = sandbox.lake.table(&sums()).await.expect("table");
            let mut present: Vec<Sale> = Vec::new();
            let mut taken = taken.into_iter();
            for (step, rows) in history.iter().enumerate() {
                let mut sales: Vec<Sale> =
                    rows.iter().map(|(country, amount)| (country.map(|c| format!("c{c}")), *amount, 1)).collect();
                present.extend(sales.iter().cloned());
                // Some of what is there is taken away again, in the same commit or a later one.
                for index in taken.by_ref().take(8) {
                    if !present.is_empty() {
                        let (country, amount, _) = present.swap_remove(index.index(present.len()));
                        sales.push((country, amount, -1));
                    }
                }
                let middle = sales.len() / 2;
                put(&mut table, &[batch(&sales[..middle]), batch(&sales[middle..])], at("f", step as i64 + 1))
                    .await
                    .expect("commit");
                let mut wanted: BTreeMap<Option<String>, (i64, i64)> = BTreeMap::new();
                for (country, amount, _) in &present {
                    let group = wanted.entry(country.clone()).or_default();
                    *group = (group.0 + amount.unwrap_or(0), group.1 + 1);
                }
                let mut wanted: Vec<String> = wanted
                    .iter()
                    .map(|(country, (sum, count))| format!("{}|{sum}|{count}", country.as_deref().unwrap_or("null")))
                    .collect();
                wanted.sort();
                assert_eq!(sorted(&table).await, wanted);
            }
        });
    }
}

#[tokio::test]
async fn sums_are_kept_in_the_widest_type() {
    let sandbox = Sandbox::new();
    let mode = WriteMode::Accumulate {
        key: vec!["k".into()],
        sum: vec!["money".into(), "weight".into()],
        count: "rows".into(),
    };
    let mut table = sandbox.lake.table(&spec("sums", mode)).await.expect("table");
    let rows = |cents: Vec<i128>| {
        let k: ArrayRef = Arc::new(Int64Array::from(vec![7; cents.len()]));
        let weight: ArrayRef = Arc::new(Float64Array::from(vec![0.5; cents.len()]));
        let money: ArrayRef = Arc::new(Decimal128Array::from(cents).with_precision_and_scale(5, 2).expect("a decimal"));
        RecordBatch::try_from_iter([("k", k), ("money", money), ("weight", weight)]).expect("batch")
    };
    for step in 1..=3 {
        put(&mut table, &[rows(vec![99_999; 1_000])], at("f", step)).await.expect("commit");
    }
    assert_eq!(sorted(&table).await, ["7|2999970.00|1500.0|3000"]);
    let schema = table.schema().expect("schema");
    assert_eq!(schema.field(1).data_type(), &DataType::Decimal128(38, 2));
}

#[tokio::test]
async fn what_does_not_add_up_stops() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&sums()).await.expect("table");
    let sale = |amount: i64, weight: i8| batch(&[(Some("de".into()), Some(amount), weight)]);
    let error = put(&mut table, &[sale(1, -1)], at("f", 1)).await.expect_err("nothing to take from");
    assert!(
        matches!(&error, DeltaError::NegativeCount { group, count: -1, .. } if group == "country = \"de\""),
        "{error}"
    );
    put(&mut table, &[sale(i64::MAX, 1)], at("f", 1)).await.expect("commit");
    let error = put(&mut table, &[sale(1, 1)], at("f", 2)).await.expect_err("too large");
    assert!(matches!(&error, DeltaError::Overflow { column, .. } if column == "amount"), "{error}");
    let again = put(&mut table, &[sale(5, 1), sale(5, -1)], at("f", 2)).await.expect("commit");
    assert_eq!((again.files_added, again.files_removed), (0, 0), "a group that does not change is not rewritten");
    let files = super::support::data_files(&sandbox.path("sales"));
    assert_eq!(files, 1, "nothing stays behind of commits that failed");
    put(&mut table, &[sale(i64::MAX, -1)], at("f", 3)).await.expect("commit");
    assert!(sorted(&table).await.is_empty(), "a group without rows is removed");
}

#[tokio::test]
async fn rows_that_were_added_up_before_count_as_many_as_they_say() {
    /// Country, amount, how many rows it stands for, and its weight.
    type Sum<'a> = (&'a str, i64, Option<i64>, i64);
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&sums()).await.expect("table");
    let rows = |sales: &[Sum<'_>]| {
        let country: ArrayRef = Arc::new(sales.iter().map(|sale| Some(sale.0)).collect::<StringArray>());
        let number =
            |of: fn(&Sum<'_>) -> Option<i64>| -> ArrayRef { Arc::new(sales.iter().map(of).collect::<Int64Array>()) };
        RecordBatch::try_from_iter_with_nullable([
            ("country", country, true),
            ("amount", number(|sale| Some(sale.1)), true),
            ("rows", number(|sale| sale.2), true),
            ("_weight", number(|sale| Some(sale.3)), true),
        ])
        .map(|rows| marked(&rows))
        .expect("columns of one length")
    };
    put(&mut table, &[rows(&[("a", 10, Some(3), 1), ("b", 5, None, 1), ("a", 1, Some(1), 1)])], at("f", 1))
        .await
        .expect("commit");
    assert_eq!(sorted(&table).await, ["a|11|4", "b|5|1"]);
    // Taken away as they came; a group of which nothing is left goes.
    put(&mut table, &[rows(&[("a", 10, Some(3), -1), ("b", 5, None, -1)])], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["a|1|1"]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["three"]));
    let country: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let amount: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let wrong = RecordBatch::try_from_iter([("country", country), ("amount", amount), ("rows", text)]).expect("rows");
    let error = put(&mut table, &[wrong], at("f", 3)).await.expect_err("no number of rows");
    assert!(matches!(&error, DeltaError::SumType { column, .. } if column == "rows"), "{error}");
}
