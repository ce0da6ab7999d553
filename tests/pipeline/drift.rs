//! Every answer of a contract to every drift of files, whatever their format.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_avro::writer::AvroWriter;
use arrow_schema::{Field, Fields};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use sluicebox_formats::rows_as_json;

use crate::harness::{Lake, sluice, text};
use crate::origin::support::open;

const FORMATS: [&str; 4] = ["csv", "jsonl", "parquet", "avro"];
const ANSWERS: [&str; 4] = ["evolve", "freeze", "reject_row", "null_value"];

/// What the second file has otherwise than the first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drift {
    /// A column more, with a value in the first row only.
    New,
    /// A field more in a struct, with a value in the first row only.
    NewInside,
    /// A column less.
    Missing,
    /// A field less in a struct.
    MissingInside,
    /// Text where there was a number.
    Changed,
    /// A number where there was a struct.
    ChangedStruct,
    /// A type of which every value fits.
    Narrower,
}

const DRIFTS: [Drift; 7] = [
    Drift::New,
    Drift::NewInside,
    Drift::Missing,
    Drift::MissingInside,
    Drift::Changed,
    Drift::ChangedStruct,
    Drift::Narrower,
];

impl Drift {
    fn key(self) -> &'static str {
        match self {
            Drift::New | Drift::NewInside => "new_column",
            Drift::Missing | Drift::MissingInside => "missing_column",
            Drift::Changed | Drift::ChangedStruct | Drift::Narrower => "type_change",
        }
    }

    /// Text has no structs but in JSON, and no types of its own.
    fn exists(self, format: &str) -> bool {
        match self {
            Drift::New | Drift::Missing | Drift::Changed => true,
            Drift::NewInside | Drift::MissingInside => format != "csv",
            Drift::ChangedStruct | Drift::Narrower => matches!(format, "parquet" | "avro"),
        }
    }

    /// The column, as messages name it.
    fn column(self) -> &'static str {
        match self {
            Drift::New => "n",
            Drift::NewInside => "s.y",
            Drift::Missing | Drift::Changed | Drift::Narrower => "v",
            Drift::MissingInside => "s.z",
            Drift::ChangedStruct => "s",
        }
    }
}

fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn structure(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields: Fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    Arc::new(StructArray::new(fields, columns.into_iter().map(|(_, array)| array).collect(), None))
}

/// The first file has one row, and the second the two with the drift.
fn columns(drift: Option<Drift>) -> Vec<(&'static str, ArrayRef)> {
    let Some(drift) = drift else {
        let s = structure(vec![("x", longs(&[Some(1)])), ("z", longs(&[Some(1)]))]);
        return vec![("id", longs(&[Some(1)])), ("v", longs(&[Some(10)])), ("s", s)];
    };
    let (x, z) = (longs(&[Some(2), Some(3)]), longs(&[Some(2), Some(3)]));
    let more = longs(&[Some(7), None]);
    let v: ArrayRef = match drift {
        Drift::Changed => Arc::new(StringArray::from(vec!["20", "x"])),
        Drift::Narrower => Arc::new(Int32Array::from(vec![20, 30])),
        _ => longs(&[Some(20), Some(30)]),
    };
    let s = match drift {
        Drift::NewInside => structure(vec![("x", x.clone()), ("z", z), ("y", more.clone())]),
        Drift::MissingInside => structure(vec![("x", x.clone())]),
        Drift::ChangedStruct => longs(&[Some(9), None]),
        _ => structure(vec![("x", x.clone()), ("z", z)]),
    };
    let mut all = vec![("id", x), ("v", v), ("s", s)];
    match drift {
        Drift::New => all.push(("n", more)),
        Drift::Missing => all.retain(|(name, _)| *name != "v"),
        _ => {}
    }
    all
}

/// Without what is null, as a JSON record may be written.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

fn objects(rows: &RecordBatch) -> Vec<Value> {
    let all: Vec<usize> = (0..rows.num_rows()).collect();
    let parse = |line: Vec<u8>| without_nulls(serde_json::from_slice(&line).expect("an object"));
    rows_as_json(rows, &all).into_iter().map(parse).collect()
}

fn file(format: &str, drift: Option<Drift>) -> Vec<u8> {
    let columns = columns(drift).into_iter().filter(|(name, _)| format != "csv" || *name != "s");
    let columns = columns.map(|(name, column)| (name, column, true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    match format {
        "csv" => {
            let schema = rows.schema();
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let cell = |value: &Value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let line = |row: Value| names.iter().map(|name| cell(&row[*name])).collect::<Vec<_>>().join(",") + "\n";
            let lines: String = objects(&rows).into_iter().map(line).collect();
            format!("{}\n{lines}", names.join(",")).into_bytes()
        }
        "jsonl" => objects(&rows).iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes(),
        "parquet" => {
            let mut bytes = Vec::new();
            let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).expect("a writer");
            writer.write(&rows).expect("rows");
            writer.close().expect("a footer");
            bytes
        }
        _ => {
            let mut writer = AvroWriter::new(Vec::new(), rows.schema().as_ref().clone()).expect("a writer");
            writer.write(&rows).expect("rows");
            writer.finish().expect("the last block");
            writer.into_inner()
        }
    }
}

/// What the table and its quarantine hold after both files, or the words with which the run stopped.
struct Found {
    stopped: Option<String>,
    rows: Vec<Value>,
    refused: Vec<(String, String)>,
}

async fn run(format: &str, drift: Drift, answer: &str, declared: &str) -> Found {
    let folder = Lake::new();
    let (data, lake) = (folder.path().join("data"), folder.path().join("lake"));
    fs::create_dir(&data).expect("a temporary folder is writable");
    fs::write(data.join(format!("a.{format}")), file(format, None)).expect("writable");
    let later = data.join(format!("b.{format}"));
    // The columns of CSV are inferred from all files that are there, so that only a file of a later run drifts.
    let lands_first = format == "csv" && declared.is_empty();
    if !lands_first {
        fs::write(&later, file(format, Some(drift))).expect("writable");
    }
    let pipeline = folder.path().join("p.toml");
    let (path, key) = (text(&data), drift.key());
    let written = format!(
        "[pipeline]\nname = \"drift\"\n[sources.s]\ntype = \"files\"\npath = \"{path}\"\nformat = \"{format}\"\n{declared}\n\
         [tables.bronze.t]\ncontract = {{ {key} = \"{answer}\" }}\n[hops.land]\nfrom = \"s\"\nto = \"bronze.t\"\n"
    );
    fs::write(&pipeline, written).expect("writable");
    let run = || sluice::run(&["run", text(&pipeline), "--lake", text(&lake)]);
    if lands_first {
        run().ok();
        fs::write(&later, file(format, Some(drift))).expect("writable");
    }
    let outcome = run();
    let stopped = (outcome.code != Some(0)).then(|| outcome.stderr.clone());
    let shown = sluice::run(&["quarantine", "show", "land", "--lake", text(&lake), "--json"]);
    let told = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let refused = shown.events().iter().map(|row| (told(row, "reason"), told(row, "payload"))).collect();
    Found { stopped, rows: rows(&lake).await, refused }
}

/// The rows of the table without what the host adds, `_rescued` excepted.
async fn rows(lake: &Path) -> Vec<Value> {
    let batches: Vec<RecordBatch> =
        open(lake, "bronze.t").await.scan(None).await.expect("scan").try_collect().await.expect("readable rows");
    let mut rows: Vec<Value> = batches.iter().flat_map(objects).collect();
    for row in &mut rows {
        let row = row.as_object_mut().expect("an object");
        row.retain(|name, _| !["_lane", "_position", "_ingested_at"].contains(&name.as_str()));
        if let Some(Value::String(rescued)) = row.get("_rescued") {
            let rescued = serde_json::from_str(rescued).expect("an object");
            row.insert("_rescued".to_owned(), rescued);
        }
    }
    rows.sort_by_key(|row| row["id"].as_i64());
    rows
}

/// A row as the first file's columns have it.
fn row(format: &str, id: i64) -> Value {
    match format {
        "csv" => json!({ "id": id, "v": id * 10 }),
        _ => json!({ "id": id, "v": id * 10, "s": { "x": id, "z": id } }),
    }
}

fn with(mut row: Value, path: &[&str], value: Value) -> Value {
    let (last, parents) = path.split_last().expect("a path");
    let object = parents.iter().fold(&mut row, |row, name| &mut row[*name]).as_object_mut().expect("an object");
    match value {
        Value::Null => object.remove(*last),
        value => object.insert((*last).to_owned(), value),
    };
    row
}

/// What the documentation promises: the rows of the second file, and the reasons of those that are refused. `None`
/// where the hop stops.
#[allow(clippy::type_complexity, reason = "rows, and reasons")]
fn promised(format: &str, drift: Drift, answer: &str) -> Option<(Vec<Value>, Vec<&'static str>)> {
    let (two, three) = (row(format, 2), row(format, 3));
    let typed = matches!(format, "parquet" | "avro");
    let json = format == "jsonl";
    Some(match (drift, answer) {
        (Drift::Narrower, _) => (vec![two, three], vec![]),
        (_, "freeze") => return None,
        (Drift::New, "evolve") if !json => {
            // An undeclared column of CSV is text.
            let seven = if format == "csv" { json!("7") } else { json!(7) };
            (vec![with(two, &["n"], seven), three], vec![])
        }
        (Drift::New, "evolve" | "null_value") => {
            let seven = if format == "csv" { json!("7") } else { json!(7) };
            (vec![with(two, &["_rescued"], json!({ "n": seven })), three], vec![])
        }
        (Drift::NewInside, "evolve") if typed => (vec![with(two, &["s", "y"], json!(7)), three], vec![]),
        (Drift::NewInside, "null_value") if typed => {
            (vec![with(two, &["_rescued"], json!({ "s.y": 7 })), three], vec![])
        }
        (Drift::NewInside, "evolve" | "null_value") => {
            (vec![with(two, &["_rescued"], json!({ "s": { "x": 2, "z": 2, "y": 7 } })), three], vec![])
        }
        (Drift::New | Drift::NewInside, _) => {
            (vec![three], vec![if json { "json.new-field" } else { "contract.new-column" }])
        }
        (Drift::Missing | Drift::MissingInside, "reject_row") => {
            (vec![], vec![if json { "json.missing-field" } else { "contract.missing-column" }; 2])
        }
        (Drift::Missing, _) => (vec![with(two, &["v"], Value::Null), with(three, &["v"], Value::Null)], vec![]),
        (Drift::MissingInside, _) => {
            (vec![with(two, &["s", "z"], Value::Null), with(three, &["s", "z"], Value::Null)], vec![])
        }
        // A table that is there cannot follow.
        (Drift::Changed | Drift::ChangedStruct, "evolve") => return None,
        (Drift::Changed, "null_value") if typed => {
            let three = with(with(three, &["v"], Value::Null), &["_rescued"], json!({ "v": "x" }));
            (vec![two, three], vec![])
        }
        (Drift::Changed, _) => {
            let reason = match format {
                "csv" => "csv.type",
                "jsonl" => "json.type",
                _ => "contract.type-change",
            };
            (vec![two], vec![reason])
        }
        (Drift::ChangedStruct, "null_value") => {
            let two = with(with(two, &["s"], Value::Null), &["_rescued"], json!({ "s": 9 }));
            (vec![two, with(three, &["s"], Value::Null)], vec![])
        }
        (Drift::ChangedStruct, _) => (vec![with(three, &["s"], Value::Null)], vec!["contract.type-change"]),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_every_drift_of_every_format() {
    for format in FORMATS {
        for drift in DRIFTS.into_iter().filter(|drift| drift.exists(format)) {
            for answer in ANSWERS {
                let cell = format!("{format}: {drift:?} × {answer}");
                let found = run(format, drift, answer, "").await;
                let Some((mut rows, reasons)) = promised(format, drift, answer) else {
                    let said = found.stopped.unwrap_or_else(|| panic!("{cell} should stop: {:?}", found.rows));
                    let column = drift.column();
                    assert!(
                        said.contains(&format!("'{column}'")) || said.contains(&format!("`{column}`")),
                        "{cell}: {said}"
                    );
                    assert!(said.contains(&format!("b.{format}")), "{cell}: {said}");
                    continue;
                };
                assert_eq!(found.stopped, None, "{cell}");
                rows.insert(0, row(format, 1));
                assert_eq!(found.rows, rows, "{cell}");
                let told: Vec<&str> = found.refused.iter().map(|(reason, _)| reason.as_str()).collect();
                assert_eq!(told, reasons, "{cell}");
                // The bytes that were refused are kept, those of the record or, of a format without any, its columns.
                for (_, payload) in &found.refused {
                    assert!(payload.contains(['2', '3']), "{cell}: {payload}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_declared_is_drift_in_every_format() {
    for format in FORMATS {
        let declared = "columns = { id = \"int64\" }";
        for answer in ANSWERS {
            let cell = format!("{format}: {answer}");
            let found = run(format, Drift::New, answer, declared).await;
            match answer {
                "freeze" => {
                    let said = found.stopped.unwrap_or_else(|| panic!("{cell} should stop: {:?}", found.rows));
                    assert!(
                        said.contains("'v'") || said.contains("`v`") || said.contains("'s'") || said.contains("`s`"),
                        "{cell}: {said}"
                    );
                }
                "reject_row" => {
                    assert_eq!((found.stopped, found.rows.len(), found.refused.len()), (None, 0, 3), "{cell}");
                }
                _ => {
                    assert_eq!(found.stopped, None, "{cell}");
                    let place = |row: &Value| match (answer, format) {
                        ("evolve", "csv" | "parquet" | "avro") => row["n"].clone(),
                        _ => row["_rescued"]["n"].clone(),
                    };
                    let seven = if format == "csv" { json!("7") } else { json!(7) };
                    let kept: Vec<Value> = found.rows.iter().map(place).collect();
                    assert_eq!(kept, [Value::Null, seven, Value::Null], "{cell}: {:?}", found.rows);
                }
            }
        }
    }
}
