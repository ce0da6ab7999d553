//! JSON lines.

use std::fmt::Write;

use sluicebox_core::fault::Fault;

use super::harness::{Folder, Read, schema};

fn read(columns: &[(&str, &str)], text: impl AsRef<[u8]>) -> Read {
    Folder::json().columns(columns).with("a.jsonl", text).read()
}

#[test]
fn declared_fields_and_what_is_beyond_them() {
    let read = read(
        &[("id", "int64"), ("name", "string"), ("price", "decimal(10,2)"), ("at", "timestamp")],
        "{\"id\":1,\"name\":\"x\",\"price\":2.5,\"at\":\"2024-01-01T00:00:00Z\"}\r\n\n  \n\
         {\"extra\":{\"a\": [1.10]},\"id\":\"2\",\"more\":12345678901234567890.5}\n\
         {\"name\":{\"first\":\"A\",\"n\":1.50},\"id\":3}\n{\"name\":7,\"id\":null}",
    );
    assert_eq!(
        read.table(),
        [
            ["1", "x", "2.50", "2024-01-01T00:00:00Z", "∅"],
            ["2", "∅", "∅", "∅", "{\"extra\":{\"a\": [1.10]},\"more\":12345678901234567890.5}"],
            ["3", "{\"first\":\"A\",\"n\":1.50}", "∅", "∅", "∅"],
            ["∅", "7", "∅", "∅", "∅"],
        ]
    );
    assert_eq!(read.places().iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn cut_off_and_doubled_objects_do_not_run_into_their_neighbours() {
    // One line with two objects and two lines with one: as many rows as lines, and all wrong.
    let text = "{\"a\":1}{\"a\":2}\n{\"a\":3\n,\"b\":4}\n{\"a\":5}\n{\"a\":\n6}\n{\"a\":7";
    let read = read(&[("a", "int64"), ("b", "int64")], text);
    assert_eq!(read.table(), [["5", "∅", "∅"]]);
    let bad: Vec<_> =
        read.bad().into_iter().map(|(at, line, reason, text)| (at, line, reason.to_owned(), text)).collect();
    assert_eq!(
        bad.iter().map(|bad| (bad.0, bad.1)).collect::<Vec<_>>(),
        [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]
    );
    assert!(bad.iter().all(|bad| bad.2 == "json.syntax"), "{bad:?}");
    assert_eq!(bad[1].3, "{\"a\":3");
}

#[test]
fn wrong_types_nulls_and_encodings_cost_their_row_only() {
    let text = b"{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":null}\n[1]\n7\n{\"a\":2,\"b\":\"\xff\"}\n{\"a\":1.5}\n{\"a\":3}\n";
    let read = read(&[("a", "int64 not null"), ("b", "string")], text);
    assert_eq!(read.table(), [["1", "∅", "∅"], ["3", "∅", "∅"]]);
    let bad: Vec<_> = read.rejects.iter().map(|bad| (bad.position, bad.reason.as_str())).collect();
    assert_eq!(
        bad,
        [
            (1, "json.type"),
            (2, "json.null"),
            (3, "json.type"),
            (4, "json.syntax"),
            (5, "json.encoding"),
            (6, "json.type"),
        ]
    );
    assert!(read.rejects[0].message.contains('a'), "{}", read.rejects[0].message);
    assert_eq!(read.rejects[4].payload, b"{\"a\":2,\"b\":\"\xff\"}");
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    assert_eq!(read(&[("a", "int64")], "{\"a\":1,\"a\":2}\n").table(), [["2", "∅"]]);
}

#[test]
fn columns_are_inferred_in_their_order() {
    let text = "{\"z\":1,\"a\":\"x\",\"n\":{\"q\":1,\"b\":[true]},\"none\":null,\"_lane\":\"mine\"}\n{\"m\":1.5,\"z\":2,\"n\":{\"c\":\"t\"}}\n";
    let folder = Folder::json().with("a.jsonl", text);
    let found = folder.schema(None).unwrap();
    let kinds: Vec<_> = found.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    assert_eq!(kinds[0], "z Int64");
    assert_eq!(kinds[1], "a Utf8");
    assert!(kinds[2].starts_with("n Struct("), "{kinds:?}");
    assert_eq!(&kinds[3..], ["none Utf8", "m Float64"]);
    let read = folder.read();
    assert_eq!(
        read.table(),
        [
            ["1", "x", "{b: [true], c: , q: 1}", "∅", "∅", "{\"_lane\":\"mine\"}"],
            ["2", "∅", "{b: , c: t, q: }", "∅", "1.5", "∅"],
        ]
    );
}

#[test]
fn the_line_that_is_of_another_kind_is_named() {
    let text = "{\"a\": 1}\n\n{\"a\": \"x\"}\n{\"a\": {\"b\": 1}}\n{\"a\": 2}\n{\"a\": {\"b\": 2}}\n";
    let folder = Folder::json().with("a.jsonl", text);
    let error = folder.schema(None).unwrap_err();
    let told = std::error::Error::source(&error).expect("because the file's own error is below").to_string();
    assert!(told.contains("line 4"), "{told}");
    assert!(error.hint().is_some_and(|hint| hint.contains("`columns`")), "{:?}", error.hint());
    // What the hint says helps.
    let read = folder.columns(&[("a", "string")]).read();
    assert_eq!(
        read.table().iter().map(|row| row[0].clone()).collect::<Vec<_>>(),
        ["1", "x", "{\"b\": 1}", "2", "{\"b\": 2}"]
    );
}

#[test]
fn a_struct_with_unknown_fields_is_rescued_whole() {
    let folder =
        Folder::json().with("a.jsonl", "{\"n\":{\"q\":1}}\n").with("b.jsonl", "{\"n\":{\"q\":2,\"new\":[1]}}\n");
    assert_eq!(folder.read().table(), [["{q: 1}", "∅"], ["{q: 2}", "{\"n\":{\"q\":2,\"new\":[1]}}"]]);
}

#[test]
fn many_bad_lines_among_many() {
    let mut text = String::new();
    for id in 0..30_000 {
        let n = match id % 100 {
            3 => "\"oops\"",
            70 => "tru",
            _ => "1",
        };
        writeln!(text, "{{\"id\":{id},\"n\":{n}}}").unwrap();
    }
    let read = read(&[("id", "int64"), ("n", "int64")], text);
    assert_eq!((read.rows(), read.rejects.len()), (29_400, 600));
    for ((_, position), row) in read.places().iter().zip(read.table()) {
        assert_eq!(position.to_string(), row[0]);
    }
    assert!(read.rejects.iter().all(|bad| bad.line == Some(bad.position as u64 + 1)));
}

#[test]
fn a_line_without_end_is_cut() {
    let text = format!(
        "{{\"a\":\"x\"}}\n{{\"a\":\"{}\"}}\n{{\"a\":\"{}\"}}\n{{\"a\":\"y\"}}",
        "long".repeat(5 << 20),
        "fine".repeat(1 << 20)
    );
    let read = read(&[("a", "string")], text);
    assert_eq!(read.rows(), 3);
    assert_eq!(read.bad().iter().map(|bad| (bad.0, bad.1, bad.2)).collect::<Vec<_>>(), [(1, 2, "json.too-long")]);
}

#[test]
fn a_resume_goes_on_with_the_next_line() {
    let folder = Folder::json().columns(&[("a", "int64")]).with("a.jsonl", "{\"a\":0}\n\nx\n{\"a\":2}\n{\"a\":3}");
    for done in 0..=4_i64 {
        let read = folder.read_after(&sluicebox_core::batch::Positions::of("a.jsonl".into(), done));
        let left: Vec<_> = [0, 2, 3].into_iter().filter(|at| *at >= done).collect();
        assert_eq!(read.places().into_iter().map(|(_, at)| at).collect::<Vec<_>>(), left);
        assert_eq!(read.rejects.len(), usize::from(done <= 1));
    }
}

#[test]
fn declared_nothing_known_nothing() {
    let folder = Folder::json().with("a.jsonl", "\n\n").with("b.jsonl", "not json\n{\"a\":1}\n");
    assert_eq!(folder.schema(None).unwrap(), schema(&[("a", "int64")]));
    let read = folder.read();
    assert_eq!(read.table(), [["1", "∅"]]);
    assert_eq!(read.bad(), [(0, 1, "json.syntax", "not json".to_owned())]);
}

#[test]
fn whole_numbers_and_decimals_are_exact() {
    let columns = &[("i", "int32"), ("d", "decimal(10,2)"), ("b", "bool"), ("x", "binary")];
    let text = "{\"i\":12.0,\"d\":1.10,\"b\":true,\"x\":\"ab\"}\n{\"i\":1.5}\n{\"d\":1.255}\n{\"i\":3000000000}\n{\"b\":\"maybe\"}\n{\"i\":1e3}\n{\"i\":[1]}\n";
    let read = read(columns, text);
    assert_eq!(read.table(), [["12", "1.10", "true", "6162", "∅"], ["1000", "∅", "∅", "∅", "∅"]]);
    assert_eq!(
        read.bad().iter().map(|bad| (bad.0, bad.2)).collect::<Vec<_>>(),
        [(1, "json.type"), (2, "json.type"), (3, "json.type"), (4, "json.type"), (6, "json.type"),]
    );
    assert_eq!(read.rejects[0].message, "column `i`: `1.5` is not of type int32");
}

#[test]
fn a_wrong_value_deep_inside_costs_its_row() {
    let folder = Folder::json()
        .with("a.jsonl", "{\"n\":{\"q\":[1,2],\"p\":{\"z\":1}}}\n")
        .with("b.jsonl", "{\"n\":{\"q\":[]}}\n{\"n\":null}\n{\"n\":{\"q\":[1,2.5]}}\n{\"n\":{\"q\":[3],\"p\":{\"z\":\"x\"}}}\n{\"n\":{\"q\":[4]}}\n");
    let read = folder.read();
    assert_eq!(read.rows(), 4);
    assert_eq!(read.bad().iter().map(|bad| (bad.0, bad.2)).collect::<Vec<_>>(), [(2, "json.type"), (3, "json.type")]);
    assert_eq!(read.rejects[0].message, "column `n`: `2.5` is not of type struct");
}
