//! Parquet.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt8Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::data_type::{Int64Type as Longs, Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use sluicebox_core::batch::Positions;
use sluicebox_core::plan::{Format, Timestamps};

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
            ("ns", Arc::new(TimestampNanosecondArray::from(vec![2_000, -1_000_000_000]).with_timezone("UTC"))),
            ("cat", Arc::new(category)),
        ]),
    );
    let kinds: Vec<_> =
        folder.schema(None).unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(kinds, ["Int16", "Decimal128(20, 0)", "Timestamp(µs, \"UTC\")", "Utf8"]);
    assert_eq!(
        folder.read().table(),
        [["255", "18446744073709551615", "1970-01-01T00:00:00.000002Z", "x"], ["0", "∅", "1969-12-31T23:59:59Z", "y"],]
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

/// A file of a number and an INT96: the day by Julian count and nanoseconds of it.
fn int96(times: &[Option<(u32, u64)>], dictionary: bool) -> Vec<u8> {
    let schema = "message m { REQUIRED INT64 id; OPTIONAL INT96 at; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let ids: Vec<i64> = (0..times.len() as i64).collect();
    column.typed::<Longs>().write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let value = |(day, nanos): (u32, u64)| {
        let mut value = Int96::new();
        value.set_data(nanos as u32, (nanos >> 32) as u32, day);
        value
    };
    let values: Vec<Int96> = times.iter().flatten().copied().map(value).collect();
    let levels: Vec<i16> = times.iter().map(|time| i16::from(time.is_some())).collect();
    column.typed::<Int96Type>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn int96_holds_every_day_of_the_calendar() {
    // 2024-01-01, 9999-12-31, 0001-01-01 and 1582-10-04; then digits below microseconds, and a day far beyond.
    let last = 86_399_999_999_000;
    let times = [
        Some((2_460_311, 45_296_123_456_000)),
        Some((5_373_484, last)),
        None,
        Some((1_721_426, 0)),
        Some((2_299_150, 1_000)),
        Some((2_460_311, 1)),
        Some((u32::MAX, 0)),
        Some((2_460_311, 0)),
    ];
    for dictionary in [false, true] {
        for columns in [&[][..], &[("id", "int64"), ("at", "timestamp")]] {
            let folder = Folder::new(Format::Parquet).with("a.parquet", int96(&times, dictionary));
            let mut folder = if columns.is_empty() { folder } else { folder.columns(columns) };
            let read = folder.read();
            let good = [
                ["0", "2024-01-01T12:34:56.123456Z"],
                ["1", "9999-12-31T23:59:59.999999Z"],
                ["2", "∅"],
                ["3", "0001-01-01T00:00:00Z"],
                ["4", "1582-10-04T00:00:00.000001Z"],
                ["7", "2024-01-01T00:00:00Z"],
            ];
            assert_eq!(read.table(), good);
            assert_eq!(
                read.bad().iter().map(|bad| (bad.0, bad.2)).collect::<Vec<_>>(),
                [(5, "parquet.type"), (6, "parquet.type")]
            );
            assert!(read.rejects[0].message.contains("`2024-01-01T00:00:00.000000001`"), "{}", read.rejects[0].message);
            assert!(String::from_utf8_lossy(&read.rejects[1].payload).contains("\"id\":6"));
            folder.spec.timestamps = Timestamps::Truncate;
            assert_eq!(folder.read().bad().iter().map(|bad| bad.0).collect::<Vec<_>>(), [6]);
        }
    }
}

#[test]
fn nanoseconds_are_cut_by_choice_alone() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001, -1]));
    let items: ArrayRef = Arc::new(ListArray::new(
        Arc::new(arrow_schema::Field::new("item", times.data_type().clone(), true)),
        arrow_buffer::OffsetBuffer::from_lengths([1, 0, 2]),
        times.clone(),
        None,
    ));
    let mut folder = Folder::new(Format::Parquet).with("a.parquet", file(vec![("at", times), ("all", items)]));
    let read = folder.read();
    assert_eq!(read.table(), [["1970-01-01T00:00:00.000001Z", "[1970-01-01T00:00:00.000001Z]"]]);
    assert_eq!(read.bad().iter().map(|bad| bad.0).collect::<Vec<_>>(), [1, 2]);
    assert!(read.rejects[0].message.contains("microseconds do not hold"), "{}", read.rejects[0].message);
    folder.spec.timestamps = Timestamps::Truncate;
    assert_eq!(folder.read().rows(), 3);
}

#[test]
fn codecs_that_are_not_read_and_names_that_no_table_tells_apart() {
    // The codec stands in the footer as one byte: the field's header, and the number 1 or 3 doubled.
    let rows = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    // Of a column's metadata: its path, which is one text of one letter, and then the codec.
    let path = [0x19, 0x18, 1, b'a', 0x15, 2];
    let at = bytes.windows(path.len()).rposition(|part| part == path).unwrap();
    bytes[at + 5] = 6;
    let folder = Folder::new(Format::Parquet).with("a.parquet", bytes);
    let error = folder.fails();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("a.parquet") && told.contains("lzo"), "{error}: {told}");

    let ones = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let inner = arrow_array::StructArray::try_from(vec![("Upn", ones()), ("upN", ones())]).unwrap();
    let folder = Folder::new(Format::Parquet).with("a.parquet", file(vec![("s", Arc::new(inner))]));
    let told = std::error::Error::source(&folder.fails()).unwrap().to_string();
    assert!(told.contains("`s.Upn` and `s.upN`"), "{told}");
}

#[test]
fn row_groups_and_resumes_give_every_row_once() {
    let rows = |from: i64| {
        let text: StringArray = (from..from + 3_000).map(|id| Some("x".repeat((id % 50) as usize * 300))).collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new((from..from + 3_000).collect::<Int64Array>()) as ArrayRef),
            ("text", Arc::new(text)),
        ])
        .unwrap()
    };
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4_000)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows(0).schema(), Some(properties)).unwrap();
    (0..4).for_each(|part| writer.write(&rows(part * 3_000)).unwrap());
    let folder = Folder::new(Format::Parquet).with("a.parquet", writer.into_inner().unwrap());
    for done in [0_i64, 1, 3_999, 4_000, 9_000, 12_000] {
        let read = folder.read_after(&Positions::of("a.parquet".into(), done));
        let ids: Vec<String> = read.table().into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(ids, (done..12_000).map(|id| id.to_string()).collect::<Vec<_>>());
    }
}
