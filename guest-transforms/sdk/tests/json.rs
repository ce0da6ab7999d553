//! Test rows as JSON lines.

use sluicebox_sdk::prelude::*;

/// Passes on every type.
struct Types;

fn columns() -> [sluicebox_sdk::arrow_schema::Field; 9] {
    [
        utf8("text"),
        binary("bytes"),
        boolean("truth"),
        int32("small"),
        int64("large"),
        float64("real"),
        decimal("money", 10, 2),
        date("day"),
        timestamp("instant"),
    ]
}

impl Transform for Types {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new("types", "1").rows("rows", columns()).output("rows", columns()).row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        out.emit("rows", rows.batch().columns().to_vec())
    }
}

fn pass(line: &str) -> Result<Vec<String>> {
    Ok(Harness::<Types>::open("")?.push_json("rows", line)?.json("rows"))
}

#[test]
fn every_type_comes_back_as_it_was() {
    let rows = [
        r#"{"text":"a \"b\"\n","bytes":"abc","truth":true,"small":-1,"large":9223372036854775807,"real":0.5,"money":-0.05,"day":"2024-02-29","instant":"1969-12-31T23:59:59.000001Z"}"#,
        r#"{"money":12345678.90,"day":"0001-01-01","instant":"2024-12-31T00:00:00Z"}"#,
        r#"{}"#,
    ];
    assert_eq!(pass(&rows.join("\n")).unwrap(), rows);
}

#[test]
fn a_decimal_may_be_a_number() {
    assert_eq!(pass(r#"{"money": 3.5}"#).unwrap(), [r#"{"money":3.50}"#]);
}

#[test]
fn a_wrong_value_is_named_with_its_column() {
    for (line, column) in [
        (r#"{"small": 2147483648}"#, "small"),
        (r#"{"day": "2023-02-29"}"#, "day"),
        (r#"{"day": "2023-2-1"}"#, "day"),
        (r#"{"instant": "2023-02-01 10:00:00Z"}"#, "instant"),
        (r#"{"instant": "2023-02-01T24:00:00Z"}"#, "instant"),
        (r#"{"money": "0.001"}"#, "money"),
        (r#"{"money": "ten"}"#, "money"),
        (r#"{"truth": "yes"}"#, "truth"),
    ] {
        let error = pass(line).unwrap_err().to_string();
        assert!(error.contains(column), "{line}: {error}");
    }
}
