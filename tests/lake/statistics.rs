//! What the log says of a file must be true of every row in it.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use serde_json::{Value, json};
use sluicebox_core::plan::WriteMode;

use super::support::{Sandbox, at, put, sorted, spec};

async fn stats(batch: RecordBatch) -> Value {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", WriteMode::Append)).await.expect("table");
    let expected: Vec<String> = {
        let mut lines = super::support::lines(&batch);
        lines.sort();
        lines
    };
    put(&mut table, &[batch], at("f", 1)).await.expect("commit");
    assert_eq!(sorted(&table).await, expected);
    let entry = std::fs::read_to_string(sandbox.path("t").join("_delta_log/00000000000000000001.json")).expect("entry");
    let add = entry.lines().find(|line| line.starts_with("{\"add\"")).expect("add");
    let add: Value = serde_json::from_str(add).expect("JSON");
    serde_json::from_str(add["add"]["stats"].as_str().expect("stats")).expect("JSON")
}

fn one(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("x", column, true)]).expect("batch")
}

#[tokio::test]
async fn floats_of_every_kind() {
    let plain = stats(one(Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-2.0)])))).await;
    assert_eq!((&plain["minValues"]["x"], &plain["maxValues"]["x"]), (&json!(-2.0), &json!(1.5)));
    assert_eq!((&plain["nullCount"]["x"], &plain["numRecords"]), (&json!(1), &json!(3)));
    let nan = stats(one(Arc::new(Float64Array::from(vec![1.0, f64::NAN])))).await;
    assert_eq!((nan["minValues"].get("x"), nan["maxValues"].get("x")), (None, None), "NaN is above all numbers");
    let infinite = stats(one(Arc::new(Float64Array::from(vec![1.0, f64::INFINITY])))).await;
    assert_eq!((infinite["minValues"].get("x"), infinite["maxValues"].get("x")), (Some(&json!(1.0)), None));
    let nothing = stats(one(Arc::new(Float64Array::from(vec![None, None])))).await;
    assert_eq!((nothing["minValues"].get("x"), &nothing["nullCount"]["x"]), (None, &json!(2)));
}

#[tokio::test]
async fn instants_before_and_after_the_epoch() {
    let values = TimestampMicrosecondArray::from(vec![-1_500_001, 1_700_000_000_123_456]).with_timezone("UTC");
    let stats = stats(one(Arc::new(values))).await;
    assert_eq!(stats["minValues"]["x"], "1969-12-31T23:59:58.499Z");
    assert_eq!(stats["maxValues"]["x"], "2023-11-14T22:13:20.124Z", "rounded up, so that the row is inside");
}

#[tokio::test]
async fn decimals_as_numbers() {
    let decimals = |precision, values: Vec<i128>| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, 2).expect("decimal"))
    };
    for precision in [9, 18, 38] {
        let stats = stats(one(decimals(precision, vec![-12_05, 99_999]))).await;
        assert_eq!((&stats["minValues"]["x"], &stats["maxValues"]["x"]), (&json!(-12.05), &json!(999.99)));
    }
    let wide = stats(one(decimals(38, vec![123_456_789_012_345_678_901]))).await;
    assert_eq!(wide["minValues"].get("x"), None, "a double would not hold it");
}

#[tokio::test]
async fn long_text_is_cut_between_characters() {
    let long = format!("{}z", "é".repeat(60));
    let stats = stats(one(Arc::new(StringArray::from(vec![long.as_str(), "é"])))).await;
    assert_eq!(stats["minValues"]["x"], "é");
    let high = stats["maxValues"]["x"].as_str().expect("text").to_owned();
    assert!(high.as_str() > long.as_str(), "{high}");
    assert!(high.chars().count() <= 32);
}
