//! What a table expects of the values of its rows.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use sluicebox_core::columns::SystemColumn;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::{Contract, Drift, Expectation, Otherwise, Rule, TableSpec, WriteMode};
use sluicebox_delta::{Accepted, Provenance, unfit_expectations};

use super::support::{Sandbox, at, marked, put_some, rows, sorted, spec};

fn expect(column: &str, rule: Rule, otherwise: Otherwise) -> Expectation {
    Expectation { column: column.into(), rules: vec![rule], otherwise }
}

fn range(min: Option<&str>, max: Option<&str>) -> Rule {
    Rule::Range { min: min.map(str::to_owned), max: max.map(str::to_owned) }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// What one batch comes to in a table that expects this of it.
async fn written(expect: Vec<Expectation>, batch: &RecordBatch) -> Result<Accepted, DeltaError> {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&TableSpec { expect, ..spec("t", WriteMode::Append) }).await.expect("table");
    table.create(&batch.schema(), Provenance::default()).await.expect("created");
    let mut writer = table.begin().await?;
    let batch = batch.clone();
    let (writer, accepted) = tokio::task::spawn_blocking(move || {
        let accepted = writer.write(&batch);
        (writer, accepted)
    })
    .await
    .expect("the writing thread does not panic");
    writer.abandon().await;
    accepted
}

/// The rows of a column that break a rule.
async fn broken(values: ArrayRef, rule: Rule) -> Vec<usize> {
    let batch = RecordBatch::try_from_iter_with_nullable([("x", values, true)]).expect("batch");
    let accepted = written(vec![expect("x", rule, Otherwise::Reject)], &batch).await.expect("written");
    accepted.refused.iter().map(|refused| refused.row).collect()
}

#[tokio::test]
async fn every_rule_on_every_type_that_it_fits() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(-1), None, Some(0), Some(5), Some(6)]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.1), None, Some(0.0), Some(f64::NAN), Some(5.1)]));
    let prices: ArrayRef = Arc::new(
        Decimal128Array::from(vec![Some(-1), None, Some(0), Some(10_000), Some(10_001)])
            .with_precision_and_scale(10, 2)
            .expect("decimals"),
    );
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None, Some(0), Some(1), Some(365)]));
    let moments: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![Some(-1), None, Some(0), Some(86_400_000_000)]).with_timezone("UTC"),
    );
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b1"), Some("c2"), Some("")]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let cases: Vec<(&ArrayRef, Rule, &[usize])> = vec![
        (&ints, Rule::NotNull, &[1]),
        (&ints, range(Some("0"), Some("5")), &[0, 4]),
        (&ints, range(Some("-0.5"), Some("5.9")), &[0, 4]),
        (&ints, range(Some("-2147483648"), None), &[]),
        (&ints, Rule::OneOf(texts(&["0", "5"])), &[0, 4]),
        (&floats, range(Some("0"), None), &[0, 3]),
        (&floats, range(None, Some("5.0")), &[3, 4]),
        (&prices, range(Some("0"), Some("100.005")), &[0, 4]),
        (&prices, Rule::OneOf(texts(&["-0.01", "100"])), &[2, 4]),
        (&days, range(Some("1970-01-01"), Some("1970-12-31")), &[0, 4]),
        (&moments, range(Some("1970-01-01"), Some("1970-01-01T23:59:59Z")), &[0, 3]),
        (&words, Rule::Matches("^[a-z][0-9]?$".into()), &[4]),
        (&words, Rule::OneOf(texts(&["a", "b1"])), &[3, 4]),
        (&words, range(Some("a"), Some("c")), &[3, 4]),
        (&flags, Rule::OneOf(texts(&["true"])), &[2]),
    ];
    for (values, rule, expected) in cases {
        assert_eq!(broken(values.clone(), rule.clone()).await, expected, "{rule:?} of {}", values.data_type());
    }
}

#[tokio::test]
async fn rules_that_do_not_fit_are_found_before_anything_runs() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("flag", DataType::Boolean, true),
        Field::new("id", DataType::Int32, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("score", DataType::Float64, true),
    ]));
    let cases = [
        (expect("flag", range(Some("0"), None), Otherwise::Warn), "min"),
        (expect("id", Rule::Matches("a".into()), Otherwise::Warn), "matches"),
        (expect("none", Rule::NotNull, Otherwise::Warn), "column"),
        (expect("id", Rule::Unique(vec!["none".into()]), Otherwise::Warn), "unique_within"),
        (expect("id", range(None, Some("x")), Otherwise::Warn), "max"),
        (expect("id", range(Some("5"), Some("1")), Otherwise::Warn), "min"),
        (expect("id", range(Some("3000000000"), None), Otherwise::Warn), "min"),
        (expect("price", Rule::OneOf(texts(&["1.005"])), Otherwise::Warn), "one_of"),
        (expect("score", Rule::OneOf(texts(&["1"])), Otherwise::Warn), "one_of"),
    ];
    for (expectation, key) in cases {
        let spec = TableSpec { expect: vec![expectation.clone()], ..spec("t", WriteMode::Append) };
        let unfit = unfit_expectations(&spec, &schema);
        assert_eq!(
            unfit.iter().map(|unfit| (unfit.entry, unfit.key)).collect::<Vec<_>>(),
            [(0, key)],
            "{expectation:?}"
        );
        assert!(unfit[0].error.hint().is_some());
    }
}

#[tokio::test]
async fn warned_of_rejected_and_counted() {
    let batch = rows(&[1, 2, 2, 3, 4], &["a", "b", "c", "", "x"]);
    let expectations = vec![
        expect("word", Rule::Matches("^[abc]$".into()), Otherwise::Warn),
        expect("id", range(None, Some("3")), Otherwise::Reject),
        expect("id", Rule::Unique(Vec::new()), Otherwise::Reject),
    ];
    let accepted = written(expectations, &batch).await.expect("written");
    let refused: Vec<_> = accepted.refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect();
    assert_eq!(refused, [(2, "expect.unique"), (4, "expect.range")]);
    assert_eq!(accepted.refused[1].message, "column 'id' holds 4, which is not 3 or less");
    let unmet: Vec<_> = accepted.unmet.iter().map(|unmet| (unmet.rule, unmet.otherwise, unmet.rows)).collect();
    assert_eq!(
        unmet,
        [("matches", Otherwise::Warn, 2), ("range", Otherwise::Reject, 1), ("unique", Otherwise::Reject, 1)]
    );
    assert_eq!(accepted.rows.num_rows(), 3);
}

#[tokio::test]
async fn a_row_that_is_rejected_takes_no_other_rows_place() {
    let batch = rows(&[1, 1, 1], &["bad", "good", "good"]);
    let expectations = vec![
        expect("id", Rule::Unique(Vec::new()), Otherwise::Reject),
        expect("word", Rule::OneOf(texts(&["good"])), Otherwise::Reject),
    ];
    let accepted = written(expectations, &batch).await.expect("written");
    let refused: Vec<_> = accepted.refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect();
    assert_eq!(refused, [(0, "expect.one-of"), (2, "expect.unique")]);
}

#[tokio::test]
async fn unique_holds_over_all_batches_of_a_commit_and_within_columns() {
    let sandbox = Sandbox::new();
    let within = vec![expect("word", Rule::Unique(vec!["id".into()]), Otherwise::Reject)];
    let mut table =
        sandbox.lake.table(&TableSpec { expect: within, ..spec("t", WriteMode::Append) }).await.expect("table");
    let batches = [rows(&[1, 1], &["a", "b"]), rows(&[1, 2], &["a", "a"])];
    let (_, refused) = put_some(&mut table, &batches, at("f", 1)).await.expect("commit");
    assert_eq!(
        refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect::<Vec<_>>(),
        [(0, "expect.unique")]
    );
    // Another commit begins anew.
    let (_, refused) = put_some(&mut table, &batches[..1], at("f", 2)).await.expect("commit");
    assert_eq!(refused, []);
    assert_eq!(sorted(&table).await, ["1|a", "1|a", "1|b", "1|b", "2|a"]);
}

#[tokio::test]
async fn stop_names_the_row_and_where_it_came_from() {
    let lanes: ArrayRef = Arc::new(StringArray::from(vec!["a.csv", "a.csv"]));
    let positions: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let price: ArrayRef = Arc::new(Int64Array::from(vec![1, -1]));
    let batch = RecordBatch::try_from_iter([
        ("price", price),
        (SystemColumn::Lane.name(), lanes),
        (SystemColumn::Position.name(), positions),
    ]);
    let stop = vec![expect("price", range(Some("0"), None), Otherwise::Stop)];
    let error = written(stop, &marked(&batch.expect("batch"))).await.expect_err("stops");
    assert!(matches!(error, DeltaError::Unmet { .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Stop);
    let message = error.to_string();
    assert!(message.contains("holds -1") && message.contains("lane \"a.csv\", position 8"), "{message}");
}

#[tokio::test]
async fn rows_that_the_contract_refuses_are_not_judged() {
    let sandbox = Sandbox::new();
    let spec = TableSpec {
        expect: vec![expect("id", range(Some("10"), None), Otherwise::Reject)],
        contract: Contract { type_change: Drift::RejectRow, ..Contract::default() },
        ..spec("t", WriteMode::Append)
    };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    table.create(&rows(&[1], &["a"]).schema(), Provenance::default()).await.expect("created");
    let id: ArrayRef = Arc::new(StringArray::from(vec!["x", "12", "3"]));
    let word: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let batch = RecordBatch::try_from_iter([("id", id), ("word", word)]).expect("batch");
    let (_, refused) = put_some(&mut table, &[batch], at("f", 1)).await.expect("commit");
    let refused: Vec<_> = refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect();
    assert_eq!(refused, [(0, "contract.type-change"), (2, "expect.range")]);
    assert_eq!(sorted(&table).await, ["12|b"]);
}
