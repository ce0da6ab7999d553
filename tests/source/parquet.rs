//! Parquet.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt8Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::Format;

use super::harness::Folder;

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn types_that_no_table_holds_become_wider_ones() {
    let category: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    let folder = Folder::new(Format::Parquet).with(
        "a.parquet",
        file(vec![
            ("u8", Arc::new(UInt8Array::from(vec![255, 0]))),
            ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
            ("ns", Arc::new(TimestampNanosecondArray::from(vec![1_500, -1_000_000_000]).with_timezone("UTC"))),
            ("cat", Arc::new(category)),
        ]),
    );
    let kinds: Vec<_> =
        folder.schema(None).unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(kinds, ["Int16", "Decimal128(20, 0)", "Timestamp(µs, \"UTC\")", "Utf8"]);
    assert_eq!(
        folder.read().table(),
        [["255", "18446744073709551615", "1970-01-01T00:00:00.000001Z", "x"], ["0", "∅", "1969-12-31T23:59:59Z", "y"],]
    );
}

#[test]
fn declared_columns_come_first_in_their_order_and_type() {
    let folder = Folder::new(Format::Parquet).columns(&[("c", "string"), ("gone", "int64"), ("a", "int32")]).with(
        "a.parquet",
        file(vec![
            ("a", Arc::new(Int64Array::from(vec![1, 2]))),
            ("b", Arc::new(Int64Array::from(vec![3, 4]))),
            ("c", Arc::new(StringArray::from(vec!["x", "y"]))),
        ]),
    );
    // What is not declared is not left out; it follows as it is.
    assert_eq!(folder.read().table(), [["x", "1", "3"], ["y", "2", "4"]]);
}

#[test]
fn a_value_that_does_not_fit_costs_its_row_only() {
    let folder = Folder::new(Format::Parquet).columns(&[("A", "int32 not null"), ("b", "int32"), ("c", "date")]).with(
        "a.parquet",
        file(vec![
            ("a", Arc::new(Int64Array::from(vec![Some(1), Some(1 << 40), None, Some(4), Some(5), Some(6)]))),
            ("b", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(1.5), Some(1.5), None, Some(-2.0)]))),
            ("c", Arc::new(StringArray::from(vec!["2024-02-29", "", "", "2024-02-29", "29.2.2024", "2024-03-01"]))),
        ]),
    );
    let read = folder.read();
    assert_eq!(read.table(), [["1", "1", "2024-02-29"], ["6", "-2", "2024-03-01"]]);
    assert_eq!(read.places().iter().map(|(_, position)| *position).collect::<Vec<_>>(), [0, 5]);
    assert_eq!(
        read.bad(),
        [
            (1, 0, "parquet.type", r#"{"a":1099511627776,"b":null,"c":""}"#.to_owned()),
            (2, 0, "parquet.null", r#"{"a":null,"b":1.5,"c":""}"#.to_owned()),
            (3, 0, "parquet.type", r#"{"a":4,"b":1.5,"c":"2024-02-29"}"#.to_owned()),
            (4, 0, "parquet.type", r#"{"a":5,"b":null,"c":"29.2.2024"}"#.to_owned()),
        ]
    );
    assert!(read.rejects[2].message.contains("column `b`: `1.5` is not of type int32"), "{}", read.rejects[2].message);
    assert!(read.sealed("a.parquet").is_some(), "the file is read to its end");
}

#[test]
fn a_type_of_which_nothing_fits_stops_the_file() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let folder =
        Folder::new(Format::Parquet).columns(&[("a", "int32")]).with("a.parquet", file(vec![("a", Arc::new(lists))]));
    let error = folder.fails();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("column `a`"), "{error:?}");
}

#[test]
fn a_resume_goes_on_with_the_next_row() {
    let folder = Folder::new(Format::Parquet)
        .with("a.parquet", file(vec![("a", Arc::new(Int64Array::from_iter_values(0..20_000)))]));
    let whole = folder.read();
    assert_eq!((whole.rows(), whole.steps.len()), (20_000, 3));
    let read = folder.read_after(&Positions::of("a.parquet".into(), 10_001));
    assert_eq!(read.rows(), 9_999);
    assert_eq!(read.places()[0].1, 10_001);
    assert_eq!(read.table()[0], ["10001"]);
    assert_eq!(read.positions, whole.positions);
}

#[test]
fn what_is_not_parquet_is_named() {
    for bytes in [&b"PAR1"[..], b"a,b\n1,2\n", b"PAR1xxxxxxxxPAR1"] {
        let error = Folder::new(Format::Parquet).with("a.parquet", bytes).fails();
        assert!(error.to_string().contains("a.parquet"));
    }
    let mut bytes = file(vec![("a", Arc::new(Int64Array::from_iter_values(0..10_000)))]);
    for byte in &mut bytes[4..2_000] {
        *byte = 0xa5;
    }
    Folder::new(Format::Parquet).with("a.parquet", bytes).fails();
}
