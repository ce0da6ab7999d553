//! Delimited text.

use std::fmt::Write;

use proptest::prelude::*;
use sluicebox_core::fault::Fault;
use sluicebox_core::plan::{CsvFormat, Encoding, EpochUnit, FilesSpec, Format, Quoting, TimeForm, ValueForm};

use super::harness::{Folder, Read, csv, schema};

fn read(columns: &[(&str, &str)], text: impl AsRef<[u8]>) -> Read {
    let folder = Folder::csv();
    let folder = if columns.is_empty() { folder } else { folder.columns(columns) };
    folder.with("a.csv", text).read()
}

const TWO: &[(&str, &str)] = &[("a", "string"), ("b", "string")];

#[test]
fn columns_are_found_by_name() {
    let read = read(&[("b", "int32"), ("gone", "string"), ("a", "string")], "\u{feff} a ,c, b\nx,y,1\n");
    let names: Vec<_> = read.batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["b", "a", "c", "_lane", "_position"]);
    assert_eq!(read.table(), [["1", "x", "y"]]);
}

#[test]
fn a_header_may_be_written_in_another_case() {
    let read = read(&[("UserId", "int32"), ("Name", "string")], "NAME,userid,Extra\nx,1,y\n");
    let names: Vec<_> = read.batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["UserId", "Name", "Extra", "_lane", "_position"], "the declared names count");
    assert_eq!(read.table(), [["1", "x", "y"]]);
}

#[test]
fn a_file_that_is_no_text_is_named_for_what_it_is() {
    for (bytes, kind, hint) in [
        (&b"PAR1\x15\x04\x15"[..], "Parquet", "format = \"parquet\""),
        (b"Obj\x01\x04\x16", "Avro", "format = \"avro\""),
        (b"\x1f\x8b\x08\x00\x00", "gzip", "compression = \"gzip\""),
        (b"\x28\xb5\x2f\xfd\x04", "zstd", "compression = \"zstd\""),
        (b"PK\x03\x04\x14\x00", "spreadsheet", "CSV"),
        (b"a,b\n1,\x00\n", "zero bytes", "UTF-8"),
    ] {
        let error = Folder::csv().columns(TWO).with("a.csv", bytes).fails();
        let told = std::error::Error::source(&error).expect("because the file's own error is below").to_string();
        assert!(told.contains("not text") && told.contains(kind), "{told}");
        assert!(error.hint().is_some_and(|text| text.contains(hint)), "{:?}", error.hint());
    }
}

#[test]
fn quotes_line_ends_and_blank_lines() {
    let text = "a,b\r\n\"x, \"\"y\"\"\nz\",1\r\n\r\nlone,3\rplain,2\n\n\"\",";
    assert_eq!(read(TWO, text).table(), [["x, \"y\"\nz", "1"], ["lone", "3"], ["plain", "2"], ["", "∅"],]);
}

#[test]
fn text_that_rfc_4180_does_not_know_is_set_aside_whole() {
    let text = "a,b\nplain \"quoted\",1\n\"closed\" early,2\n\"two\nlines\" early,3\n4,\"He said \\\"hi\\\" twice\"\n\
        5,\"size 5\\\"\"\n6,\"fine\"\n7,\"never closed\n8,fine\n9,\"as \"\"it\"\" is\"\n";
    let read = read(TWO, text);
    assert_eq!(read.table(), [["6", "fine"], ["8", "fine"], ["9", "as \"it\" is"]]);
    assert_eq!(
        read.bad(),
        [
            (0, 2, "csv.quote", "plain \"quoted\",1".to_owned()),
            (1, 3, "csv.quote", "\"closed\" early,2".to_owned()),
            (2, 4, "csv.quote", "\"two\nlines\" early,3".to_owned()),
            (3, 6, "csv.quote", "4,\"He said \\\"hi\\\" twice\"".to_owned()),
            (4, 7, "csv.unclosed-quote", "5,\"size 5\\\"\"".to_owned()),
            (6, 9, "csv.unclosed-quote", "7,\"never closed".to_owned()),
        ]
    );
}

#[test]
fn dialects() {
    let with = |change: &dyn Fn(&mut CsvFormat), text: &str| {
        let mut format = csv();
        change(&mut format);
        Folder::new(Format::Csv(format)).columns(TWO).with("a.csv", text).read()
    };
    let escaped = with(&|csv| csv.escape = Some(b'\\'), "a,b\n1,\"He said \\\"hi\\\"\"\n2\\,5,C:\\\\new\n3,\\N\n");
    assert_eq!(escaped.table(), [["1", "He said \"hi\""], ["2,5", "C:\\new"], ["3", "\\N"]]);
    let nulls = with(&|csv| (csv.escape, csv.nulls) = (Some(b'\\'), vec!["\\N".to_owned()]), "a,b\n3,\\N\n");
    assert_eq!(nulls.table(), [["3", "∅"]]);
    let none = with(&|csv| csv.quoting = Quoting::None, "a,b\n\"1,5\" pipe\n\"\",x\"y\"\n");
    assert_eq!(none.table(), [["\"1", "5\" pipe"], ["\"\"", "x\"y\""]]);
    let lenient = with(&|csv| csv.quoting = Quoting::Lenient, "a,b\n1,5\" pipe\n\"2\"x,3\n");
    assert_eq!(lenient.table(), [["1", "5\" pipe"]]);
    assert_eq!(lenient.bad(), [(1, 3, "csv.quote", "\"2\"x,3".to_owned())]);
    let comments = with(&|csv| csv.comment = Some(b'#'), "# made by hand\na,b\n#1,2\n3,#4\n");
    assert_eq!(comments.table(), [["3", "#4"]]);
    let skipped = with(&|csv| csv.skip_rows = 3, "Report \"\n\r\nof,all,that\r\na,b\n1,2\n3\n");
    assert_eq!(skipped.table(), [["1", "2"]]);
    assert_eq!(skipped.bad(), [(1, 6, "csv.column-count", "3".to_owned())]);
    let ragged = with(&|csv| csv.ragged = true, "a,b\n1\n2,3,,\n4,5,6\n7,8\n");
    assert_eq!(ragged.table(), [["1", "∅"], ["2", "3"], ["7", "8"]]);
    assert_eq!(ragged.bad(), [(2, 4, "csv.column-count", "4,5,6".to_owned())]);
    let blank = with(&|csv| csv.skip_blank = Some(false), "a,b\n1,2\n\n3,4\n");
    assert_eq!(blank.bad(), [(1, 3, "csv.column-count", String::new())]);
}

#[test]
fn an_empty_line_of_a_file_with_one_column_is_a_row() {
    let one = &[("a", "string")];
    assert_eq!(read(one, "a\r\nx\r\n\r\n\"\"\r\ny\r\n").table(), [["x"], ["∅"], [""], ["y"]]);
    let mut format = csv();
    format.skip_blank = Some(true);
    let folder = Folder::new(Format::Csv(format)).columns(one).with("a.csv", "a\nx\n\ny\n");
    assert_eq!(folder.read().table(), [["x"], ["y"]]);
}

#[test]
fn tabs_separate_the_fields_of_tsv_files() {
    let folder = Folder::csv().columns(TWO).with("a.tsv", "a\tb\n1,5\t2\n").with("b.csv", "a,b\n3,4\n");
    assert_eq!(folder.read().table(), [["1,5", "2"], ["3", "4"]]);
}

#[test]
fn values_as_other_countries_write_them() {
    let mut format = csv();
    format.delimiter = Some(b';');
    let form = |text: &str| TimeForm::new(text).unwrap();
    format.values.all = ValueForm {
        decimal: Some(b','),
        thousands: Some('.'),
        dates: vec![form("%d.%m.%Y")],
        timezone: "Europe/Berlin".parse().ok(),
        true_values: vec!["ja".to_owned()],
        false_values: vec!["nein".to_owned()],
        ..ValueForm::default()
    };
    let epoch = ValueForm { epoch: Some(EpochUnit::Milliseconds), ..format.values.all.clone() };
    format.values.columns = vec![("seen".to_owned(), epoch)];
    let text = "amount;day;at;seen;ok\n1.234,56;31.12.2024;2024-07-01 12:00:00;1719835200001;ja\n0,50;1.2.2024;2024-01-01T00:00:00Z;0;NEIN\n\
        1.5;30.02.2024;;;\n";
    let folder = Folder::new(Format::Csv(format)).with("a.csv", text);
    let columns =
        [("amount", "decimal(12,2)"), ("day", "date"), ("at", "timestamp"), ("seen", "timestamp"), ("ok", "bool")];
    let declared = folder.columns(&columns);
    let read = declared.read();
    assert_eq!(
        read.table(),
        [
            ["1234.56", "2024-12-31", "2024-07-01T10:00:00Z", "2024-07-01T12:00:00.001Z", "true"],
            ["0.50", "2024-02-01", "2024-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "false"],
        ]
    );
    assert_eq!(read.bad(), [(2, 4, "csv.type", "1.5;30.02.2024;;;".to_owned())]);
    declared.write("a.csv", text.rsplit_once("1.5;").unwrap().0);
    let inferred = Folder { dir: declared.dir, spec: FilesSpec { columns: None, ..declared.spec } };
    let expected =
        [("amount", "decimal(18,2)"), ("day", "date"), ("at", "timestamp"), ("seen", "timestamp"), ("ok", "bool")];
    assert_eq!(inferred.schema(None).unwrap(), schema(&expected));
}

#[test]
fn a_file_has_no_more_columns_than_a_table_is_good_for() {
    let names: Vec<String> = (0..300_000).map(|at| format!("c{at}")).collect();
    let begun = std::time::Instant::now();
    let error = Folder::csv().with("a.csv", names.join(",") + "\n" + &"1,".repeat(299_999) + "1\n").fails();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.contains("more than 10000 columns"), "{told}");
    assert!(begun.elapsed().as_secs() < 10);
    let wide = names[..5_000].join(",") + "\n" + &("7,".repeat(4_999) + "7\n").repeat(3);
    let read = Folder::csv().with("a.csv", wide).read();
    assert_eq!((read.rows(), read.batches[0].num_columns()), (3, 5_002));
}

#[test]
fn empty_and_listed_texts_are_null_and_quoted_ones_are_not() {
    let mut format = csv();
    format.nulls = vec!["NA".to_owned(), "-".to_owned()];
    let folder = Folder::new(Format::Csv(format)).columns(&[("s", "string"), ("i", "int64"), ("f", "float64")]);
    let read = folder.with("a.csv", "s,i,f\nNA,NA,NA\n\"NA\",\"NA\",-\n\"\",\"\",\"\"\n,,\n-x, -1 ,\"-1.5\"\n").read();
    assert_eq!(
        read.table(),
        [["∅", "∅", "∅"], ["NA", "∅", "∅"], ["", "∅", "∅"], ["∅", "∅", "∅"], ["-x", "-1", "-1.5"],]
    );
    assert_eq!(read.bad(), []);
}

#[test]
fn every_declared_type() {
    let columns = &[
        ("b", "bool"),
        ("i8", "int8"),
        ("i16", "int16"),
        ("i32", "int32"),
        ("i64", "int64"),
        ("f4", "float32"),
        ("f8", "float64"),
        ("d", "decimal(10,2)"),
        ("day", "date"),
        ("at", "timestamp"),
        ("x", "binary"),
    ];
    let text = "b,i8,i16,i32,i64,f4,f8,d,day,at,x\n\
        True,-128,32767,-2147483648,-7279641312655250028,0.1,106.83,99999999.99,2024-02-29,2024-02-29 12:00:00+01:00,abc\n\
        false,127,-1,0,9223372036854775807,1e3,NaN,-.5,1969-12-31,1969-12-31T23:59:59.999999Z,\n";
    let read = read(columns, text);
    assert_eq!(read.bad(), []);
    assert_eq!(
        read.table(),
        [
            [
                "true",
                "-128",
                "32767",
                "-2147483648",
                "-7279641312655250028",
                "0.1",
                "106.83",
                "99999999.99",
                "2024-02-29",
                "2024-02-29T11:00:00Z",
                "616263"
            ],
            [
                "false",
                "127",
                "-1",
                "0",
                "9223372036854775807",
                "1000.0",
                "NaN",
                "-0.50",
                "1969-12-31",
                "1969-12-31T23:59:59.999999Z",
                "∅"
            ],
        ]
    );
}

#[test]
fn bad_rows_are_set_aside_with_line_reason_and_bytes() {
    let text = "id,price\n1,2.50\nx,1\n2,1.255\n\"3\n\",4,5\n\n4\n99999999999,1\n5,7\n";
    let read = read(&[("id", "int32"), ("price", "decimal(10,2)")], text);
    assert_eq!(read.table(), [["1", "2.50"], ["5", "7.00"]]);
    assert_eq!(read.places().iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 6]);
    assert_eq!(
        read.bad(),
        [
            (1, 3, "csv.type", "x,1".to_owned()),
            (2, 4, "csv.type", "2,1.255".to_owned()),
            (3, 5, "csv.column-count", "\"3\n\",4,5".to_owned()),
            (4, 8, "csv.column-count", "4".to_owned()),
            (5, 9, "csv.type", "99999999999,1".to_owned()),
        ]
    );
    assert_eq!(read.rejects[0].message, "column `id`: `x` is not of type int32");
    assert_eq!(read.rejects[1].message, "column `price`: `1.255` is not of type decimal(10,2)");
    assert_eq!(read.rejects[2].message, "2 fields expected, 3 found");
}

#[test]
fn a_null_where_none_may_be_is_a_bad_row() {
    let read = read(&[("id", "int32 not null"), ("s", "string not null")], "id,s\n1,a\n,b\n2,\n3,\"\"\n");
    assert_eq!(read.table(), [["1", "a"], ["3", ""]]);
    assert_eq!(read.bad(), [(1, 3, "csv.null", ",b".to_owned()), (2, 4, "csv.null", "2,".to_owned())]);
}

#[test]
fn invalid_utf8_costs_its_row_only() {
    let read = read(&[("a", "string"), ("n", "int32")], b"a,n\nok,1\ncaf\xe9,2\nfine,\xff\n\xc3\xa9t\xc3\xa9,4\n");
    assert_eq!(read.table(), [["ok", "1"], ["été", "4"]]);
    let bad: Vec<_> = read.rejects.iter().map(|bad| (bad.position, bad.reason.as_str(), bad.payload.clone())).collect();
    assert_eq!(bad, [(1, "csv.encoding", b"caf\xe9,2".to_vec()), (2, "csv.encoding", b"fine,\xff".to_vec())]);
}

#[test]
fn other_encodings_and_byte_order_marks() {
    let with = |encoding, bytes: &[u8]| {
        let mut format = csv();
        format.encoding = encoding;
        Folder::new(Format::Csv(format)).columns(&[("é", "string"), ("n", "int32")]).with("a.csv", bytes).read()
    };
    let read = with(Encoding::Latin1, b"\xe9,n\nna\xefve \x80,1\n\xfc,x\n");
    assert_eq!(read.table(), [["naïve \u{80}", "1"]]);
    assert_eq!(read.rejects[0].payload, b"\xfc,x", "a reject has the file's own bytes");
    let read = with(Encoding::Windows1252, b"\xe9,n\n5 \x80,1\n\x80,x\n");
    assert_eq!(read.table(), [["5 €", "1"]]);
    assert_eq!(read.rejects[0].payload, b"\x80,x");
    assert_eq!(with(Encoding::Latin1, "\u{feff}é,n\nü,1\n".as_bytes()).table(), [["ü", "1"]], "the mark wins");
    let utf16: Vec<u8> = "\u{feff}é,n\nü,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(with(Encoding::Utf8, &utf16).table(), [["ü", "1"]]);
}

#[test]
fn a_quote_that_is_never_closed_costs_one_line() {
    let read = read(TWO, "a,b\n1,2\n\"3,4\n5,6\n7,8");
    assert_eq!(read.table(), [["1", "2"], ["5", "6"], ["7", "8"]]);
    assert_eq!(read.bad(), [(1, 3, "csv.unclosed-quote", "\"3,4".to_owned())]);
}

#[test]
fn a_record_without_end_is_cut_at_its_line() {
    let long = 17 << 20;
    let mut text = "a,b\n1,2\n".to_owned();
    text.push_str(&"x".repeat(long));
    text.push_str(",9\n3,4\n\"");
    text.push_str(&format!("y{}\n", " ".repeat(998)).repeat(long / 1_000));
    text.push_str("\",z\n5,6\n");
    let read = read(TWO, &text);
    let bad: Vec<_> =
        read.rejects[..2].iter().map(|bad| (bad.position, bad.line, bad.reason.as_str(), bad.payload.len())).collect();
    assert_eq!(bad, [(1, Some(3), "csv.too-long", 1 << 20), (3, Some(5), "csv.unclosed-quote", 1_000),]);
    assert!(read.rejects[0].message.contains("17825794 bytes"), "{}", read.rejects[0].message);
    let table = read.table();
    assert_eq!((table[0][0].as_str(), table[1][0].as_str()), ("1", "3"));
}

#[test]
fn a_long_record_within_bounds_is_whole() {
    let value = "long\n".repeat(1 << 20);
    let read = read(TWO, format!("a,b\n1,2\n\"{value}\",3\n4,5\n"));
    assert_eq!(read.bad(), []);
    assert_eq!(read.table()[1][0], value);
    assert_eq!(read.rows(), 3);
}

#[test]
fn a_file_without_header() {
    let mut format = csv();
    format.header = false;
    format.delimiter = Some(b';');
    let declared = Folder::new(Format::Csv(format.clone())).columns(&[("a", "int32"), ("b", "string")]);
    let read = declared.with("a.csv", "1;x\n2;y\n3\n").read();
    assert_eq!(read.table(), [["1", "x"], ["2", "y"]]);
    assert_eq!(read.bad(), [(2, 3, "csv.column-count", "3".to_owned())]);
    let read = Folder::new(Format::Csv(format)).with("a.csv", "1;x\n2;y\n").read();
    assert_eq!(read.batches[0].schema().field(1).name(), "column_2");
    assert_eq!(read.table(), [["1", "x"], ["2", "y"]]);
}

#[test]
fn headers_that_cannot_be_meant() {
    let declared = Folder::csv().columns(&[("id", "int32")]);
    for (header, told) in [
        ("a,b,a\n", "names the column `a` twice"),
        ("id,ID\n1,2\n", "names the column `ID` twice"),
        ("x;id\n1;2\n", "none of the declared columns; it reads `x;id`"),
        ("\"id,\n", "header cannot be read"),
    ] {
        declared.write("a.csv", header);
        let error = declared.fails();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(told), "{source}");
    }
}

#[test]
fn types_are_inferred_with_care() {
    let text = "i,f,b,d,t,zip,s,n,big\n1,1.5,true,2024-01-01,2024-01-01 10:00:00,07197,x,,12345678901234567890\n\
        2,3,False,2024-01-02,2024-01-02T10:00:00Z,11320,,,1\n";
    let folder = Folder::csv().with("a.csv", text);
    let kinds: Vec<_> =
        folder.schema(None).unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(
        kinds,
        [
            "Int64",
            "Float64",
            "Boolean",
            "Date32",
            "Timestamp(µs, \"UTC\")",
            "Utf8",
            "Utf8",
            "Utf8",
            "Decimal128(38, 0)"
        ]
    );
}

#[test]
fn two_bad_rows_in_a_hundred_are_found_exactly() {
    let mut text = "id,n\n".to_owned();
    for id in 0..50_000 {
        let n = if id % 50 == 7 { "oops" } else { "1" };
        writeln!(text, "{id},{n}").unwrap();
    }
    let read = read(&[("id", "int64"), ("n", "int32")], text);
    assert_eq!((read.rows(), read.rejects.len()), (49_000, 1_000));
    assert!(read.rejects.iter().all(|bad| bad.position % 50 == 7 && bad.line == Some(bad.position as u64 + 2)));
    for ((_, position), row) in read.places().iter().zip(read.table()) {
        assert_eq!(position.to_string(), row[0]);
    }
}

/// The reference: the `csv` crate, reading text of any shape.
fn peer(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9é ]{0,6}",
        2 => "\"([a-z,\n\r]|\"\"){0,8}\"",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let record = (prop::collection::vec(field(), 1..5), prop_oneof!["\n", "\r\n", "\r", "\n\n"])
        .prop_map(|(fields, end)| fields.join(",") + &end);
    prop::collection::vec(record, 0..40).prop_map(|records| records.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Records of three fields are rows, others are rejects, just as the peer counts them. What is not of the rules
    /// is where the two differ on purpose.
    #[test]
    fn the_same_records_as_the_csv_crate(body in text()) {
        let text = format!("a,b,c\n{body}");
        let expected: Vec<_> = peer(body.as_bytes());
        let read = read(&[("a", "string"), ("b", "string"), ("c", "string")], &text);
        let rows: Vec<Vec<String>> = expected
            .iter()
            .filter(|record| record.len() == 3)
            .map(|record| record.iter().map(|field| String::from_utf8(field.clone()).unwrap()).collect())
            .collect();
        let found: Vec<Vec<String>> =
            read.table().into_iter().map(|row| row.into_iter().map(|text| if text == "∅" { String::new() } else { text }).collect()).collect();
        prop_assert_eq!(found, rows);
        prop_assert_eq!(read.rejects.len(), expected.iter().filter(|record| record.len() != 3).count());
        let mut positions: Vec<i64> = read.places().into_iter().map(|(_, at)| at).chain(read.rejects.iter().map(|bad| bad.position)).collect();
        positions.sort_unstable();
        prop_assert_eq!(positions, (0..expected.len() as i64).collect::<Vec<_>>());
    }
}
