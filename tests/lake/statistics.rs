//! What the log says of a file must be true of every row in it.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sluicebox_core::plan::WriteMode;

use super::support::{Sandbox, at, put, sorted, spec};
use crate::harness::duckdb;

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
    assert_eq!((infinite["minValues"].get("x"), infinite["maxValues"].get("x")), (None, None), "both bounds or none");
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

#[tokio::test]
async fn years_that_are_written_in_different_ways_do_not_bound() {
    const FIRST: i64 = -62_135_596_800_000_000;
    const LAST: i64 = 253_402_300_799_999_999;
    let of = |values: Vec<i64>| stats(one(Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))));
    let within = of(vec![FIRST, LAST]).await;
    assert_eq!(within["minValues"]["x"], "0001-01-01T00:00:00.000Z");
    assert_eq!(
        within["maxValues"]["x"], "9999-12-31T23:59:59.999999Z",
        "a whole millisecond would be in the year 10000"
    );
    let beyond = of(vec![FIRST - 1, LAST + 1]).await;
    assert_eq!((beyond["minValues"].get("x"), beyond["maxValues"].get("x")), (None, None));
}

/// No file is skipped that has the row: of random values in files of their own, a query for each finds its row, by
/// a reader that skips files by what the log says.
#[tokio::test]
async fn another_reader_finds_every_row_by_its_value() {
    const ROWS: i64 = 40;
    let mut random = ChaCha8Rng::seed_from_u64(rand::random());
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", WriteMode::Append)).await.expect("table");
    let pieces = ["a", "k", "é", "\u{d7ff}", "\u{e000}", "😀", "\u{10ffff}", "\u{7f}", " "];
    let mut queries: Vec<String> = Vec::new();
    for n in 0..ROWS {
        let text: String = (0..random.random_range(0..45))
            .map(|_| pieces[random.random_range(0..3) * random.random_range(1..5) % 9])
            .collect();
        let moment = match random.random_range(0..4) {
            0 => random.random_range(-62_135_596_800_000_000..253_402_300_800_000_000_i64),
            1 => 253_402_300_799_999_999 - random.random_range(0..2_000),
            2 => -62_135_596_800_000_000 + random.random_range(0..2_000),
            _ => random.random_range(-3_000..3_000),
        };
        let day = random.random_range(-719_162..2_932_897);
        let float = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MAX, 5e-324, 0.1, random.random::<f64>()]
            [random.random_range(0..8)];
        let decimal =
            random.random_range(-10_i128.pow(34) + 1..10_i128.pow(34)) / 10_i128.pow(random.random_range(0..34));
        let long = [i64::MIN, i64::MAX, (1 << 53) + 1, random.random()][random.random_range(0..4)];
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![n]))),
            ("text", Arc::new(StringArray::from(vec![text.as_str()]))),
            ("moment", Arc::new(TimestampMicrosecondArray::from(vec![moment]).with_timezone("UTC"))),
            ("day", Arc::new(Date32Array::from(vec![day]))),
            ("float", Arc::new(Float64Array::from(vec![float]))),
            ("dec", Arc::new(Decimal128Array::from(vec![decimal]).with_precision_and_scale(34, 2).expect("a decimal"))),
            ("long", Arc::new(Int64Array::from(vec![long]))),
        ];
        put(&mut table, &[RecordBatch::try_from_iter(columns).expect("batch")], at("f", n + 1)).await.expect("commit");
        let sign = if decimal < 0 { "-" } else { "" };
        let (whole, rest) = (decimal.unsigned_abs() / 100, decimal.unsigned_abs() % 100);
        for condition in [
            format!("text = '{text}'"),
            format!("moment = make_timestamptz({moment})"),
            format!("day = date '1970-01-01' + {day}"),
            format!("float = '{float:?}'::double"),
            format!("dec = '{sign}{whole}.{rest:02}'::decimal(34,2)"),
            format!("long = '{long}'::bigint"),
        ] {
            let condition = condition.replace('\'', "''");
            let plain = condition.replace("''", "'");
            queries.push(format!(
                "select '{condition}' as condition, {n} as n, count(*) filter (n = {n}) as found from delta_scan('{{lake}}/silver/t') where {plain}"
            ));
        }
    }
    for some in queries.chunks(60) {
        let Some(rows) = duckdb::rows(&sandbox.folder.path().join("lake"), &some.join(" union all ")) else { return };
        for row in rows {
            assert_eq!(row["found"], 1, "{row}");
        }
    }
}
