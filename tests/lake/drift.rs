//! Every answer of a contract to every drift, for columns of the table, of structs in structs, and
//! of structs in lists.

use sluicebox_delta::DeltaError;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{Field, Fields};
use serde_json::{Value, json};
use sluicebox_core::plan::{Contract, Drift, Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::Refused;

use super::support::{Sandbox, at, put, put_some, scanned, spec};
use crate::harness::duckdb;

const ANSWERS: [Drift; 4] = [Drift::Evolve, Drift::Freeze, Drift::RejectRow, Drift::NullValue];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Depth {
    Top,
    InStructs,
    InList,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    New,
    Missing,
    Changed,
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn structure(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields: Fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    Arc::new(StructArray::new(fields, columns.into_iter().map(|(_, array)| array).collect(), None))
}

impl Depth {
    /// Rows whose columns lie this deep, each with a number of its own.
    fn rows(self, ids: &[Option<i64>], columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
        let mut all = vec![("id", ints(ids))];
        match self {
            Depth::Top => all.extend(columns),
            Depth::InStructs => all.push(("who", structure(vec![("inner", structure(columns))]))),
            Depth::InList => {
                let items = structure(columns);
                let element = Arc::new(Field::new("item", items.data_type().clone(), true));
                // One item a row.
                let offsets = OffsetBuffer::from_lengths(ids.iter().map(|_| 1));
                all.push(("items", Arc::new(ListArray::new(element, offsets, items, None))));
            }
        }
        let all = all.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(all).expect("columns of one length")
    }

    fn path(self, column: &str) -> String {
        match self {
            Depth::Top => column.to_owned(),
            Depth::InStructs => format!("who.inner.{column}"),
            Depth::InList => format!("items.element.{column}"),
        }
    }

    /// A row as it is shown, with the given text for its columns.
    fn shown(self, id: i64, columns: &[(&str, &str)]) -> String {
        let inner: Vec<String> = columns.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        match self {
            Depth::Top => {
                let values: Vec<&str> = columns.iter().map(|(_, value)| *value).collect();
                format!("{id}|{}", values.join("|"))
            }
            Depth::InStructs => format!("{id}|{{inner: {{{}}}}}", inner.join(", ")),
            Depth::InList => format!("{id}|[{{{}}}]", inner.join(", ")),
        }
    }

    /// What is rescued of a value this deep.
    fn rescued(self, column: &str, value: Value) -> String {
        let value = if self == Depth::InList { json!([value]) } else { value };
        json!({ self.path(column): value }).to_string()
    }
}

/// A table of one row, and what becomes of two rows with a drift.
async fn outcome(
    depth: Depth,
    kind: Kind,
    answer: Drift,
    layer: Layer,
) -> Result<(Vec<String>, Vec<Refused>), DeltaError> {
    let mut contract =
        Contract { new_column: Drift::Freeze, missing_column: Drift::Freeze, type_change: Drift::Freeze };
    let two = ints(&[Some(20), Some(30)]);
    let columns = match kind {
        Kind::New => {
            contract.new_column = answer;
            vec![("a", two.clone()), ("c", two), ("b", ints(&[Some(7), None]))]
        }
        Kind::Missing => {
            contract.missing_column = answer;
            vec![("c", two)]
        }
        Kind::Changed => {
            contract.type_change = answer;
            vec![("a", Arc::new(StringArray::from(vec!["20", "x"])) as ArrayRef), ("c", two)]
        }
    };
    let sandbox = Sandbox::new();
    let name = TableName { layer, name: "t".to_owned() };
    let mut table =
        sandbox.lake.table(&TableSpec { name, contract, ..spec("t", WriteMode::Append) }).await.expect("table");
    let base = depth.rows(&[Some(1)], vec![("a", ints(&[Some(10)])), ("c", ints(&[Some(10)]))]);
    put(&mut table, &[base], at("f", 1)).await.expect("commit");
    let (_, refused) = put_some(&mut table, &[depth.rows(&[Some(2), Some(3)], columns)], at("f", 2)).await?;
    Ok((scanned(&table).await, refused))
}

fn told(refused: &[Refused]) -> Vec<(usize, &'static str)> {
    refused.iter().map(|refused| (refused.row, refused.code.as_str())).collect()
}

#[tokio::test]
async fn every_answer_to_every_drift_at_every_depth() {
    for depth in [Depth::Top, Depth::InStructs, Depth::InList] {
        for kind in [Kind::New, Kind::Missing, Kind::Changed] {
            for answer in ANSWERS {
                let cell = format!("{kind:?} × {answer:?}, {depth:?}");
                let found = outcome(depth, kind, answer, Layer::Silver).await;
                let row = |id: i64, a: &str, c: &str| depth.shown(id, &[("a", a), ("c", c)]);
                let wide = |id: i64, a: &str, c: &str, b: &str| depth.shown(id, &[("a", a), ("c", c), ("b", b)]);
                match (kind, answer) {
                    (Kind::New, Drift::Evolve) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(
                            rows,
                            [wide(1, "10", "10", "null"), wide(2, "20", "20", "7"), wide(3, "30", "30", "null")],
                            "{cell}"
                        );
                        assert_eq!(refused, [], "{cell}");
                    }
                    (Kind::New, Drift::Freeze) => {
                        let error = found.expect_err(&cell);
                        assert!(
                            matches!(&error, DeltaError::NewColumn { column, .. } if *column == depth.path("b")),
                            "{cell}: {error}"
                        );
                    }
                    (Kind::New, Drift::RejectRow) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10"), row(3, "30", "30")], "{cell}");
                        assert_eq!(told(&refused), [(0, "contract.new-column")], "{cell}");
                        assert!(refused[0].message.contains('7'), "{cell}: {}", refused[0].message);
                        assert!(refused[0].message.contains(&depth.path("b")), "{cell}: {}", refused[0].message);
                    }
                    (Kind::New, Drift::NullValue) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10"), row(2, "20", "20"), row(3, "30", "30")], "{cell}");
                        assert_eq!(refused, [], "{cell}");
                        let (rows, _) = outcome(depth, kind, answer, Layer::Bronze).await.expect(&cell);
                        let rescued = depth.rescued("b", json!(7));
                        assert_eq!(rows[1], format!("{}|{rescued}", row(2, "20", "20")), "{cell}");
                        assert_eq!(rows[2], format!("{}|null", row(3, "30", "30")), "{cell}");
                    }
                    (Kind::Missing, Drift::Evolve | Drift::NullValue) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10"), row(2, "null", "20"), row(3, "null", "30")], "{cell}");
                        assert_eq!(refused, [], "{cell}");
                    }
                    (Kind::Missing, Drift::Freeze) => {
                        let error = found.expect_err(&cell);
                        assert!(
                            matches!(&error, DeltaError::MissingColumn { column, .. } if *column == depth.path("a")),
                            "{cell}: {error}"
                        );
                    }
                    (Kind::Missing, Drift::RejectRow) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10")], "{cell}");
                        let code = "contract.missing-column";
                        assert_eq!(told(&refused), [(0, code), (1, code)], "{cell}");
                        assert!(refused[0].message.contains(&depth.path("a")), "{cell}: {}", refused[0].message);
                    }
                    (Kind::Changed, Drift::Evolve | Drift::Freeze) => {
                        let error = found.expect_err(&cell);
                        assert!(
                            matches!(&error, DeltaError::TypeChange { column, .. } if *column == depth.path("a")),
                            "{cell}: {error}"
                        );
                    }
                    (Kind::Changed, Drift::RejectRow) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10"), row(2, "20", "20")], "{cell}");
                        assert_eq!(told(&refused), [(1, "contract.type-change")], "{cell}");
                        assert!(refused[0].message.contains("\"x\""), "{cell}: {}", refused[0].message);
                    }
                    (Kind::Changed, Drift::NullValue) => {
                        let (rows, refused) = found.expect(&cell);
                        assert_eq!(rows, [row(1, "10", "10"), row(2, "20", "20"), row(3, "null", "30")], "{cell}");
                        assert_eq!(refused, [], "{cell}");
                        let (rows, _) = outcome(depth, kind, answer, Layer::Bronze).await.expect(&cell);
                        let rescued = depth.rescued("a", json!("x"));
                        assert_eq!(rows[2], format!("{}|{rescued}", row(3, "null", "30")), "{cell}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_lies_under_a_null_struct_is_no_value() {
    let sandbox = Sandbox::new();
    let contract = Contract { type_change: Drift::RejectRow, ..Contract::default() };
    let mut table = sandbox.lake.table(&TableSpec { contract, ..spec("t", WriteMode::Append) }).await.expect("table");
    let base = RecordBatch::try_from_iter([("who", structure(vec![("a", ints(&[Some(1)]))]))]).expect("batch");
    put(&mut table, &[base], at("f", 1)).await.expect("commit");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "2"]));
    let fields: Fields = vec![Field::new("a", text.data_type().clone(), true)].into();
    let who: ArrayRef = Arc::new(StructArray::new(fields, vec![text], Some(vec![false, true].into())));
    let batch = RecordBatch::try_from_iter_with_nullable([("who", who, true)]).expect("batch");
    let (_, refused) = put_some(&mut table, &[batch], at("f", 2)).await.expect("commit");
    assert_eq!(refused, []);
    assert_eq!(scanned(&table).await, ["{a: 1}", "null", "{a: 2}"]);
}

#[tokio::test]
async fn lists_of_structs_that_grew_are_read_by_others() {
    let sandbox = Sandbox::new();
    let mut table = sandbox.lake.table(&spec("t", WriteMode::Append)).await.expect("table");
    let narrow = Depth::InList.rows(&[Some(1)], vec![("a", ints(&[Some(10)]))]);
    let wide = Depth::InList.rows(&[Some(2)], vec![("a", ints(&[Some(20)])), ("b", ints(&[Some(7)]))]);
    put(&mut table, &[narrow], at("f", 1)).await.expect("commit");
    put(&mut table, &[wide], at("f", 2)).await.expect("commit");
    let lake = sandbox.folder.path().join("lake");
    if let Some(rows) = duckdb::rows(&lake, "select id, items from delta_scan('{lake}/silver/t') order by id") {
        assert_eq!(
            rows,
            [json!({ "id": 1, "items": [{ "a": 10, "b": null }] }), json!({ "id": 2, "items": [{ "a": 20, "b": 7 }] })]
        );
    }
}
