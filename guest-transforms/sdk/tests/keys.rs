//! Lookups and groups.

use sluicebox_sdk::prelude::*;

/// Joins rows with a lookup of two key columns.
struct Join(Lookup);

#[derive(serde::Deserialize)]
struct Config {
    #[serde(default)]
    first: bool,
}

impl Transform for Join {
    type Config = Config;

    fn describe(_: &Config) -> Result<Descriptor> {
        let key = || [utf8("country"), utf8("sex")];
        Ok(Descriptor::new("join", "1")
            .rows("rows", key())
            .lookup("table", key().into_iter().chain([int64("sellers")]))
            .pass_through("rows", "rows", &["sex"], [int64("sellers")])
            .row_preserving())
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        let key = ["country", "sex"];
        Ok(Self(if config.first { Lookup::first(&key) } else { Lookup::unique(&key) }))
    }

    fn lookup(&mut self, rows: &Rows) -> Result<()> {
        self.0.push(rows)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let found = self.0.find(&rows.columns(&["country", "sex"])?)?;
        let sellers = self.0.column("sellers", &found)?;
        out.keep("rows", Kept::all(rows).column("sellers", sellers))
    }
}

const FIRST: &str = r#"
    {"country": "FR", "sex": "F", "sellers": 733}
    {"sex": "F", "sellers": 2127}
"#;
const SECOND: &str = r#"
    {"country": "FR", "sex": "M", "sellers": 233}
    {"sex": "F", "sellers": 1}
    {"country": "F", "sex": "RF", "sellers": 0}
"#;
const ROWS: &str = r#"
    {"country": "FR", "sex": "M"}
    {"country": "FR", "sex": "F"}
    {"country": "FR"}
    {"sex": "F"}
    {"country": "FRF", "sex": ""}
    {"country": "DE", "sex": "F"}
"#;

#[test]
fn a_row_finds_the_row_with_all_of_its_key() {
    let mut harness = Harness::<Join>::open("").unwrap();
    harness.push_json("table", FIRST).unwrap();
    harness.push_json("table", SECOND).unwrap();
    harness.end("table").unwrap();
    let joined = harness.push_json("rows", ROWS).unwrap().json("rows");
    let expected = [
        r#"{"country":"FR","sellers":233}"#,
        r#"{"country":"FR","sellers":733}"#,
        r#"{"country":"FR"}"#,
        r#"{}"#,
        r#"{"country":"FRF"}"#,
        r#"{"country":"DE"}"#,
    ];
    assert_eq!(joined, expected);
}

#[test]
fn a_key_that_comes_again_is_named() {
    let mut harness = Harness::<Join>::open("").unwrap();
    harness.push_json("table", FIRST).unwrap();
    let error = harness.push_json("table", FIRST).unwrap_err().to_string();
    assert!(error.contains("same country, sex") && error.contains("\"FR\""), "{error}");
}

#[test]
fn the_first_row_counts_where_that_is_asked_for() {
    let mut harness = Harness::<Join>::open(r#"{"first": true}"#).unwrap();
    harness.push_json("table", FIRST).unwrap();
    harness.push_json("table", r#"{"country": "FR", "sex": "F", "sellers": 9}"#).unwrap();
    let joined = harness.push_json("rows", r#"{"country": "FR", "sex": "F"}"#).unwrap().json("rows");
    assert_eq!(joined, [r#"{"country":"FR","sellers":733}"#]);
}

#[test]
fn an_empty_table_finds_nothing() {
    let mut harness = Harness::<Join>::open("").unwrap();
    let joined = harness.push_json("rows", r#"{"country": "FR", "sex": "F"}"#).unwrap().json("rows");
    assert_eq!(joined, [r#"{"country":"FR"}"#]);
}

#[test]
fn groups_keep_the_order_in_which_they_came_and_null_is_one() {
    let column = |values: [Option<&str>; 4]| vec![strings(values)];
    let mut groups = Groups::of([utf8("key")]).unwrap();
    assert_eq!(groups.number(&column([Some("b"), None, Some("a"), Some("b")])).unwrap(), [0, 1, 2, 0]);
    assert_eq!(groups.is_new(&column([None, Some("c"), Some("c"), Some("")])).unwrap(), [false, true, false, true]);
    let keys = [Some("b"), None, Some("a"), Some("c"), Some("")];
    assert_eq!(groups.columns().unwrap()[0].as_ref(), strings(keys).as_ref());
}

#[test]
fn saved_groups_come_back_with_their_numbers() {
    let mut groups = Groups::of([utf8("key"), int64("number")]).unwrap();
    let rows = [strings([Some("a"), None]), int64s([Some(7), None])];
    groups.number(&rows).unwrap();
    let saved = groups.save();
    let mut restored = Groups::of([utf8("key"), int64("number")]).unwrap();
    restored.restore(&saved).unwrap();
    assert_eq!(restored.number(&rows).unwrap(), [0, 1]);
    assert_eq!(restored.columns().unwrap(), groups.columns().unwrap());
    for cut in [1, 8, saved.len() - 1] {
        let mut empty = Groups::of([utf8("key"), int64("number")]).unwrap();
        assert!(empty.restore(&saved[..cut]).is_err(), "{cut} bytes of {}", saved.len());
    }
}

#[test]
fn keys_of_other_types_are_refused() {
    let mut groups = Groups::of([int64("key")]).unwrap();
    let error = groups.number(&[strings(["a"])]).unwrap_err();
    assert!(error.to_string().contains("key columns"), "{error}");
}

#[test]
fn groups_are_saved_in_pieces_that_do_not_change_once_they_are_full() {
    let numbers = |range: std::ops::Range<i64>| -> Vec<ArrayRef> { vec![int64s(range.collect::<Vec<_>>())] };
    let mut groups = Groups::of([int64("id")]).unwrap();
    groups.number(&numbers(0..40_000)).unwrap();
    let mut before = State::default();
    groups.save_as("ids", &mut before);
    groups.number(&numbers(39_000..40_100)).unwrap();
    let mut after = State::default();
    groups.save_as("ids", &mut after);
    let changed = after.iter().filter(|(key, bytes)| before.get(key) != Some(bytes)).count();
    assert_eq!((after.iter().count(), changed), (3, 1));
    let mut restored = Groups::of([int64("id")]).unwrap();
    restored.restore_as("ids", &after).unwrap();
    assert_eq!(restored.columns().unwrap()[0].as_ref(), groups.columns().unwrap()[0].as_ref());
    assert_eq!(restored.number(&numbers(40_099..40_102)).unwrap(), [40_099, 40_100, 40_101]);
}
