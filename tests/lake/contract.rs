//! What happens when rows do not have the table's columns.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Float32Array, Int32Array, Int64Array, NullArray, RecordBatch, StringArray,
    StructArray, Time64MicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{Contract, Drift, Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::{Provenance, Refused, Table};

use super::support::{Sandbox, at, marked, put, put_some, rows, scanned, sorted, spec};

fn one(name: &'static str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).expect("one column")
}

fn columns(columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn words(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// A table of (id, word) with one row, and its contract.
async fn table(sandbox: &Sandbox, layer: Layer, contract: Contract) -> Table {
    let spec =
        TableSpec { name: TableName { layer, name: "words".to_owned() }, contract, ..spec("words", WriteMode::Append) };
    let mut table = sandbox.lake.table(&spec).await.expect("table");
    put(&mut table, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    table
}

/// What the contract makes of `batch`: the table afterwards and the refused rows, or an error.
async fn outcome(
    layer: Layer,
    contract: Contract,
    batch: RecordBatch,
) -> Result<(Vec<String>, Vec<Refused>), DeltaError> {
    let sandbox = Sandbox::new();
    let mut table = table(&sandbox, layer, contract).await;
    let (_, refused) = put_some(&mut table, &[batch], at("f", 2)).await?;
    Ok((scanned(&table).await, refused))
}

fn told(refused: &[Refused]) -> Vec<(usize, &'static str)> {
    refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect()
}

#[tokio::test]
async fn a_new_column() {
    let batch = || {
        columns(vec![
            ("id", ints(&[Some(2), Some(3)])),
            ("word", words(&[None, Some("c")])),
            ("more", ints(&[Some(7), None])),
        ])
    };
    let with = |new_column| Contract { new_column, ..Contract::default() };

    let (rows, refused) = outcome(Layer::Silver, with(Drift::Evolve), batch()).await.expect("evolves");
    assert_eq!((rows, refused), (vec!["1|a|null".into(), "2|null|7".into(), "3|c|null".into()], vec![]));

    let error = outcome(Layer::Silver, with(Drift::Freeze), batch()).await.expect_err("freezes");
    assert!(matches!(&error, DeltaError::NewColumn { column, .. } if column == "more"), "{error}");

    let (rows, refused) = outcome(Layer::Silver, with(Drift::RejectRow), batch()).await.expect("rejects");
    assert_eq!(rows, ["1|a", "3|c"]);
    assert_eq!(told(&refused), [(0, "contract.new-column")]);
    assert!(refused[0].message.contains("7") && refused[0].message.contains("more"), "{}", refused[0].message);

    let (rows, refused) = outcome(Layer::Silver, with(Drift::NullValue), batch()).await.expect("leaves out");
    assert_eq!((rows, refused), (vec!["1|a".into(), "2|null".into(), "3|c".into()], vec![]));

    let (rows, _) = outcome(Layer::Bronze, with(Drift::NullValue), batch()).await.expect("rescues");
    assert_eq!(rows, ["1|a|null", "2|null|{\"more\":7}", "3|c|null"]);
}

#[tokio::test]
async fn a_missing_column() {
    let batch = || one("id", ints(&[Some(2)]));
    let with = |missing_column| Contract { missing_column, ..Contract::default() };
    for drift in [Drift::Evolve, Drift::NullValue] {
        let (rows, refused) = outcome(Layer::Silver, with(drift), batch()).await.expect("null");
        assert_eq!((rows, refused), (vec!["1|a".into(), "2|null".into()], vec![]));
    }
    let error = outcome(Layer::Silver, with(Drift::Freeze), batch()).await.expect_err("freezes");
    assert!(matches!(&error, DeltaError::MissingColumn { column, .. } if column == "word"), "{error}");
    let (rows, refused) = outcome(Layer::Silver, with(Drift::RejectRow), batch()).await.expect("rejects");
    assert_eq!(rows, ["1|a"]);
    assert_eq!(told(&refused), [(0, "contract.missing-column")]);
}

#[tokio::test]
async fn a_changed_type() {
    let batch =
        || columns(vec![("id", words(&[Some("2"), Some("x"), None])), ("word", words(&[None, Some("b"), Some("c")]))]);
    let with = |type_change| Contract { type_change, ..Contract::default() };

    for drift in [Drift::Evolve, Drift::Freeze] {
        let error = outcome(Layer::Silver, with(drift), batch()).await.expect_err("stops");
        assert!(matches!(&error, DeltaError::TypeChange { column, .. } if column == "id"), "{error}");
        assert!(error.hint().is_some());
    }
    let (rows, refused) = outcome(Layer::Silver, with(Drift::RejectRow), batch()).await.expect("rejects");
    assert_eq!(rows, ["1|a", "2|null", "null|c"]);
    assert_eq!(told(&refused), [(1, "contract.type-change")]);
    assert!(refused[0].message.contains("\"x\""), "{}", refused[0].message);

    let (rows, refused) = outcome(Layer::Silver, with(Drift::NullValue), batch()).await.expect("nulls");
    assert_eq!((rows, refused), (vec!["1|a".into(), "2|null".into(), "null|b".into(), "null|c".into()], vec![]));

    let (rows, _) = outcome(Layer::Bronze, with(Drift::NullValue), batch()).await.expect("rescues");
    assert_eq!(rows, ["1|a|null", "2|null|null", "null|b|{\"id\":\"x\"}", "null|c|null"]);
}

#[tokio::test]
async fn widening_is_no_drift() {
    let frozen = Contract { new_column: Drift::Freeze, missing_column: Drift::Freeze, type_change: Drift::Freeze };
    let lanes: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
    let batch = columns(vec![("id", Arc::new(Int32Array::from(vec![2, 3]))), ("word", Arc::new(lanes))]);
    let (rows, refused) = outcome(Layer::Silver, frozen, batch).await.expect("widens");
    assert_eq!((rows, refused), (vec!["1|a".into(), "2|x".into(), "3|y".into()], vec![]));
}

#[tokio::test]
async fn types_that_delta_lacks() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("types", WriteMode::Append)).await.expect("table");
    let batch = columns(vec![
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef),
        ("small", Arc::new(Float32Array::from(vec![1.5])) as ArrayRef),
        ("day", Arc::new(Date32Array::from(vec![-1])) as ArrayRef),
        ("moment", Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("+02:00")) as ArrayRef),
        ("nothing", Arc::new(NullArray::new(1)) as ArrayRef),
    ]);
    put(&mut table, &[batch], at("f", 1)).await.expect("commit");
    let schema = table.schema().expect("schema");
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(types, [DataType::Decimal128(20, 0), DataType::Float32, DataType::Date32, utc]);
    assert_eq!(sorted(&table).await, ["18446744073709551615|1.5|1969-12-31|1969-12-31T23:59:59.999Z"]);

    let time = one("at", Arc::new(Time64MicrosecondArray::from(vec![1])));
    let mut times = sandbox.lake.table(&spec("times", WriteMode::Append)).await.expect("table");
    let error = times.create(&time.schema(), Provenance::default()).await.expect_err("no time type");
    assert!(matches!(&error, DeltaError::UnsupportedType { column, .. } if column == "at"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(times.version(), None);
}

#[tokio::test]
async fn names_that_delta_reserves() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("names", WriteMode::Append)).await.expect("table");
    let spaced = one("Customer ID", ints(&[Some(1)]));
    let error = table.create(&spaced.schema(), Provenance::default()).await.expect_err("a space");
    assert!(matches!(error, DeltaError::ColumnName { character: ' ', .. }), "{error}");
    let twice = columns(vec![("id", ints(&[Some(1)])), ("ID", ints(&[Some(1)]))]);
    let error = table.create(&twice.schema(), Provenance::default()).await.expect_err("twice");
    assert!(matches!(error, DeltaError::DuplicateColumn { .. }), "{error}");
    // Names of one table that differ only in case are one column.
    put(&mut table, &[one("id", ints(&[Some(1)]))], at("f", 1)).await.expect("commit");
    put(&mut table, &[one("ID", ints(&[Some(2)]))], at("f", 2)).await.expect("commit");
    assert_eq!(sorted(&table).await, ["1", "2"]);
    // And two columns of one row would be one, too.
    let error = put(&mut table, &[twice], at("f", 3)).await.expect_err("twice");
    assert!(matches!(error, DeltaError::DuplicateColumn { .. }), "{error}");
}

#[tokio::test]
async fn structs_grow_inside() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("nested", WriteMode::Append)).await.expect("table");
    let of = |fields: Vec<(&str, ArrayRef)>| -> RecordBatch {
        let types: Fields =
            fields.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let arrays = fields.into_iter().map(|(_, array)| array).collect();
        one("who", Arc::new(StructArray::new(types, arrays, None)))
    };
    put(&mut table, &[of(vec![("a", ints(&[Some(1)]))])], at("f", 1)).await.expect("commit");
    put(&mut table, &[of(vec![("b", words(&[Some("x")])), ("a", ints(&[Some(2)]))])], at("f", 2)).await.expect("grows");
    put(&mut table, &[of(vec![("b", words(&[Some("y")]))])], at("f", 3)).await.expect("shrinks");
    assert_eq!(scanned(&table).await, ["{a: 1, b: null}", "{a: 2, b: x}", "{a: null, b: y}"]);
}

#[tokio::test]
async fn columns_that_come_within_one_commit() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    let wide = columns(vec![("id", ints(&[Some(2)])), ("more", ints(&[Some(7)]))]);
    let done = put(&mut table, &[rows(&[1], &["a"]), wide, rows(&[3], &["c"])], at("f", 1)).await.expect("commit");
    assert_eq!((done.version, done.files_added), (1, 2), "one commit for schema and rows");
    assert_eq!(scanned(&table).await.len(), 3);
    assert_eq!(sorted(&table).await, ["1|a|null", "2|null|7", "3|c|null"]);
    let again = sandbox.lake.table(&spec("words", WriteMode::Append)).await.expect("table");
    assert_eq!(again.schema().expect("schema").fields().len(), 3);
}

#[tokio::test]
async fn two_handles_add_columns() {
    let sandbox = Sandbox::new();
    let spec = spec("words", WriteMode::Append);
    let mut one_handle = sandbox.lake.table(&spec).await.expect("table");
    put(&mut one_handle, &[rows(&[1], &["a"])], at("f", 1)).await.expect("commit");
    let mut other = sandbox.lake.table(&spec).await.expect("table");
    let left = columns(vec![("id", ints(&[Some(2)])), ("left", ints(&[Some(7)]))]);
    let right = columns(vec![("id", ints(&[Some(3)])), ("right", ints(&[Some(8)]))]);
    put(&mut one_handle, &[left], at("f", 2)).await.expect("commit");
    put(&mut other, &[right], at("g", 1)).await.expect("commit");
    assert_eq!(sorted(&other).await, ["1|a|null|null", "2|null|7|null", "3|null|null|8"]);
}

#[tokio::test]
async fn what_the_host_adds_is_never_new() {
    for new_column in [Drift::Evolve, Drift::Freeze, Drift::RejectRow, Drift::NullValue] {
        let kept = r#"{"more":7}"#;
        let batch = columns(vec![
            ("id", ints(&[Some(2), Some(3)])),
            ("word", words(&[Some("b"), Some("c")])),
            ("_rescued", words(&[Some(kept), None])),
        ]);
        let batch = marked(&batch);
        let contract = Contract { new_column, ..Contract::default() };
        for layer in [Layer::Bronze, Layer::Silver] {
            let (rows, refused) = outcome(layer, contract, batch.clone()).await.expect("goes in");
            let told = format!("{new_column:?} in {layer:?}");
            assert_eq!(
                (rows, refused),
                (vec!["1|a|null".into(), format!("2|b|{kept}"), "3|c|null".into()], vec![]),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn names_inside_of_structs_that_differ_only_in_case() {
    let twins = |names: [&str; 2]| -> ArrayRef {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        Arc::new(StructArray::new(fields.into(), vec![ints(&[Some(1)]), ints(&[Some(2)])], None))
    };
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("names", WriteMode::Append)).await.expect("table");
    let error = table.stored(&one("s", twins(["a", "A"])).schema()).expect_err("twice");
    assert!(matches!(&error, DeltaError::DuplicateColumn { column, .. } if column == "s.A"), "{error}");
    assert!(error.hint().is_some());
    put(&mut table, &[one("s", twins(["a", "b"]))], at("f", 1)).await.expect("two names");
    let error = put(&mut table, &[one("s", twins(["b", "B"]))], at("f", 2)).await.expect_err("twice");
    assert!(matches!(error, DeltaError::DuplicateColumn { .. }), "{error}");
}

#[tokio::test]
async fn what_decides_which_row_gives_way_is_never_made_null() {
    let null_value = |mode| {
        let contract = Contract { type_change: Drift::NullValue, ..Contract::default() };
        TableSpec { contract, ..spec("t", mode) }
    };
    let texts = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let mode = WriteMode::Upsert { key: vec!["id".into()], order_by: Some("at".into()), delete_when: None };
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&null_value(mode)).await.expect("table");
    let number = || ints(&[Some(1)]);
    put(&mut table, &[columns(vec![("id", number()), ("at", number()), ("v", number())])], at("f", 1))
        .await
        .expect("commit");
    let odd =
        columns(vec![("id", texts(&["x", "2", "3"])), ("at", texts(&["5", "y", "5"])), ("v", texts(&["6", "6", "z"]))]);
    let (_, refused) = put_some(&mut table, &[odd], at("f", 2)).await.expect("commit");
    assert_eq!(told(&refused), [(0, "contract.type-change"), (1, "contract.type-change")]);
    assert_eq!(sorted(&table).await, ["1|1|1", "3|5|null"]);
}
