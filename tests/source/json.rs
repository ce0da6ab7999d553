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
    assert_eq!(&kinds[3..], ["none Utf8", "_lane Utf8", "m Float64"]);
    let read = folder.read();
    assert_eq!(
        read.table(),
        [
            ["1", "x", "{b: [true], c: , q: 1}", "∅", "mine", "∅", "∅"],
            ["2", "∅", "{b: , c: t, q: }", "∅", "∅", "1.5", "∅"],
        ]
    );
}

#[test]
fn the_line_that_is_of_another_kind_is_named() {
    let text = "{\"a\": 1}\n\n{\"a\": \"x\"}\n{\"a\": {\"b\": 1}}\n{\"a\": 2}\n{\"a\": {\"b\": 2}}\n";
    let folder = Folder::json().with("a.jsonl", text);
    let error = folder.schema(None).unwrap_err();
    let told = std::error::Error::source(&error).expect("because the file's own error is below").to_string();
    assert!(told.contains("line 4") && told.contains("`a`"), "{told}");
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
    assert_eq!(read.rejects[0].message, "column `n`: `2.5` is not of type struct<p struct<z int64>, q list<int64>>");
}

/// Every reader of these numbers would lose a digit of one.
#[test]
fn inferred_numbers_keep_every_digit() {
    let text = "{\"id\":1,\"huge\":123456789012345678901234567890,\"amount\":2.50,\"rate\":0.1,\"fine\":0.12345678901234567890123,\"far\":1e400}\n\
                {\"id\":-9223372036854775808,\"huge\":1,\"amount\":1234567.00,\"rate\":3060.3362068965516,\"fine\":1,\"far\":2}\n";
    let folder = Folder::json().with("a.jsonl", text);
    let kinds: Vec<String> =
        folder.schema(None).unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(kinds, ["Int64", "Decimal128(38, 0)", "Decimal128(18, 2)", "Float64", "Decimal128(38, 23)", "Utf8"]);
    assert_eq!(
        folder.read().table(),
        [
            ["1", "123456789012345678901234567890", "2.50", "0.1", "0.12345678901234567890123", "1e400", "∅"],
            ["-9223372036854775808", "1", "1234567.00", "3060.3362068965516", "1.00000000000000000000000", "2", "∅"],
        ]
    );
}

#[test]
fn a_number_beyond_the_largest_is_of_no_type() {
    let read =
        read(&[("a", "float64"), ("b", "float32")], "{\"a\":1e308}\n{\"a\":1e309}\n{\"b\":-1e39}\n{\"a\":\"inf\"}\n");
    assert_eq!(read.table(), [["1e308", "∅", "∅"], ["inf", "∅", "∅"]]);
    assert_eq!(read.bad().iter().map(|bad| (bad.0, bad.2)).collect::<Vec<_>>(), [(1, "json.type"), (2, "json.type")]);
}

#[test]
fn keys_that_differ_in_case_are_one_column_at_every_depth() {
    let text = "{\"Id\":1,\"n\":{\"Upn\":\"a\",\"x\":1}}\n{\"ID\":2,\"n\":{\"UPN\":\"b\",\"x\":2}}\n{\"Id\":3,\"iD\":4,\"n\":{\"Upn\":\"c\"}}\n";
    let folder = Folder::json().with("a.jsonl", text);
    assert_eq!(folder.schema(None).unwrap().fields().len(), 2);
    assert_eq!(
        folder.read().table(),
        [
            ["1", "{Upn: a, x: 1}", "∅"],
            ["∅", "{Upn: , x: 2}", "{\"ID\":2,\"n\":{\"UPN\":\"b\",\"x\":2}}"],
            ["3", "{Upn: c, x: }", "{\"iD\":4}"],
        ]
    );
}

#[test]
fn deep_records_and_maps_harm_nobody() {
    let nest = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let text = format!("{}\n{}\n{}\n{{\"a\":[]}}\n", nest(40), nest(5_000), nest(200_000));
    let read = read(&[("a", "string")], &text);
    assert_eq!(read.table().iter().map(|row| row[0].len()).collect::<Vec<_>>(), [81, 2]);
    assert_eq!(read.bad().iter().map(|bad| (bad.0, bad.2)).collect::<Vec<_>>(), [(1, "json.depth"), (2, "json.depth")]);
    // What no type is made for is text.
    let keys: Vec<String> = (0..2_000).map(|key| format!("\"k{key}\":{key}")).collect();
    let text = format!("{{\"deep\":{},\"map\":{{{}}},\"empty\":{{\"x\":{{}}}}}}\n", nest(50), keys.join(","));
    let folder = Folder::json().with("a.jsonl", text);
    let found = folder.schema(None).unwrap();
    assert!(found.fields().iter().all(|field| field.data_type() == &arrow_schema::DataType::Utf8), "{found}");
    assert_eq!(folder.read().rows(), 1);
}

#[test]
fn what_is_in_a_wrong_place_is_quoted_as_it_is_written() {
    let folder = Folder::json().with("a.jsonl", "{\"n\":{\"q\":1,\"l\":[1]}}\n").with(
        "b.jsonl",
        "{\"n\":{\"q\": {\"x\": \"é\\n\"}}}\n{\"n\":{\"l\":[1, [2]]}}\n{\"n\": \"t\"}\n{\"n\":{}}{}\n[1]\n",
    );
    let messages: Vec<String> = folder.read().rejects.into_iter().map(|bad| bad.message).collect();
    assert_eq!(
        messages,
        [
            "column `n.q`: `{\"x\": \"é\\n\"}` is not of type int64",
            "column `n.l.element`: `[2]` is not of type int64",
            "column `n`: `\"t\"` is not of type struct<l list<int64>, q int64>",
            "the line holds more than one JSON object",
            "the line is an array and not one JSON object",
        ]
    );
}

#[test]
fn times_below_microseconds_are_cut_by_choice_alone() {
    let text = "{\"at\":\"2024-01-01T00:00:00.1234567Z\"}\n{\"at\":\"2024-01-01T00:00:00.1234560Z\"}\n";
    let mut folder = Folder::json().columns(&[("at", "timestamp")]).with("a.jsonl", text);
    let exact = folder.read();
    assert_eq!((exact.rows(), exact.bad()[0].2), (1, "json.type"));
    folder.spec.timestamps = sluicebox_core::plan::Timestamps::Truncate;
    assert_eq!(folder.read().table(), [["2024-01-01T00:00:00.123456Z", "∅"], ["2024-01-01T00:00:00.123456Z", "∅"]]);
}

mod documents {
    use sluicebox_core::batch::Positions;
    use sluicebox_core::fault::Fault;
    use sluicebox_core::plan::{Encoding, Format};

    use super::super::harness::Folder;

    fn json(path: &[&str]) -> Folder {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        Folder::new(Format::Json { encoding: Encoding::Utf8, path })
    }

    fn ids(folder: &Folder) -> Vec<String> {
        folder.read().table().into_iter().map(|row| row[0].clone()).collect()
    }

    fn told(folder: &Folder) -> String {
        std::error::Error::source(&folder.fails()).unwrap().to_string()
    }

    #[test]
    fn records_are_found_however_they_are_laid_out() {
        for text in [
            r#"[{"id":1},{"id":2,"t":"]}\""},{"id":3}]"#,
            "\u{feff} [\n  {\n    \"id\": 1\n  },\n {\"id\":\n2}, {\"id\":3}\n]\n",
            "{\"id\":1}{\"id\":2}\n\n{\"id\":3}",
            "{\n\"id\":1\n}\n[{\"id\":2}]\n[]{\"id\":3}\n",
        ] {
            let folder = json(&[]).columns(&[("id", "int64")]).with("a.json", text);
            assert_eq!(ids(&folder), ["1", "2", "3"], "{text}");
            // As JSON lines none of them is one of the file's lines without a word.
            let lines = Folder::json().columns(&[("id", "int64")]).with("a.json", text);
            let landed = lines.try_read(&Positions::default()).map_or(0, |read| read.rows() + read.rejects.len());
            assert!(
                landed == 0 || lines.read().rejects.iter().any(|bad| bad.message.contains("more than one")),
                "{text}"
            );
        }
    }

    #[test]
    fn an_array_among_lines_is_named() {
        for text in ["[{\"id\":1}]", "[\n{\"id\":1}\n]\n", "{\n \"id\": 1\n}\n"] {
            let folder = Folder::json().with("a.json", text);
            let error = folder.fails();
            assert!(error.to_string().contains("a.json"), "{error}");
            assert!(told(&folder).contains("and not one object a line"), "{}", told(&folder));
            assert!(error.hint().unwrap().contains("`format = \"json\"`"));
        }
    }

    #[test]
    fn records_lie_below_a_path() {
        let text = r#"{"next": {"data": 1}, "data": {"count": [[1], "]"], "items": [{"id":1}, {"id":2}], "more": null}}
            {"data": {"items": {"id": 3}}} {"data": {"items": null}} {"data": null} {"data": {"items": [4]}}"#;
        let folder = json(&["data", "items"]).columns(&[("id", "int64")]).with("a.json", text);
        assert_eq!(ids(&folder), ["1", "2", "3"]);
        assert_eq!(folder.read().bad(), [(3, 2, "json.syntax", "4".to_owned())]);
        let folder =
            json(&["data", "items"]).columns(&[("id", "int64")]).with("a.json", "{\"data\": {\"error\": 1}}\n");
        assert!(told(&folder).contains("`data.items`"), "{}", told(&folder));
    }

    #[test]
    fn what_is_damaged_stops_with_its_line() {
        for (text, line) in [
            ("[{\"id\":1}\n,{\"id\":2}}\n]", "line 2"),
            ("[{\"id\":1},\n\n{\"id\":2\n", "line 1"),
            ("[{\"id\":1}\n", "line 1"),
            ("{\"id\":1}\n]\n", "line 2"),
        ] {
            let folder = json(&[]).columns(&[("id", "int64")]).with("a.json", text);
            let error = folder.fails();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            let mut all = String::new();
            while let Some(error) = cause {
                all += &format!("{error}: ");
                cause = error.source();
            }
            assert!(all.contains(line), "{text}: {all}");
        }
    }

    #[test]
    fn bad_records_keep_their_text_and_large_ones_their_beginning() {
        let text = format!(
            "[{{\"id\":1}}, {{\"id\": \"x\"}}, 7,\n{{\"id\":tru}}, {{\"t\":\"{}\"}}, {{\"id\":2}}]",
            "y".repeat(17 << 20)
        );
        let folder = json(&[]).columns(&[("id", "int64")]).with("a.json", text);
        let read = folder.read();
        assert_eq!(read.table(), [["1", "∅"], ["2", "∅"]]);
        let bad: Vec<_> = read.bad().into_iter().map(|bad| (bad.0, bad.1, bad.2.to_owned(), bad.3.len())).collect();
        assert_eq!(
            bad,
            [
                (1, 1, "json.type".to_owned(), 11),
                (2, 1, "json.syntax".to_owned(), 1),
                (3, 2, "json.syntax".to_owned(), 10),
                (4, 2, "json.too-long".to_owned(), 1 << 20),
            ]
        );
    }

    #[test]
    fn a_resume_goes_on_with_the_next_record() {
        let text: Vec<String> = (0..20_000).map(|id| format!("{{\n \"id\": {id}\n}}")).collect();
        let folder = json(&[]).columns(&[("id", "int64")]).with("a.json", format!("[{}]", text.join(",")));
        for done in [0, 1, 8_192, 19_999, 20_000] {
            let read = folder.read_after(&Positions::of("a.json".into(), done));
            let first = read.table().first().map(|row| row[0].clone());
            assert_eq!(read.rows() as i64, 20_000 - done);
            assert_eq!(first, (done < 20_000).then(|| done.to_string()));
        }
    }
}
