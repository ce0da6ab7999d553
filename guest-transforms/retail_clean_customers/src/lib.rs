//! Customers of a shop, cleaned: ids as text.

use sluicebox_sdk::prelude::*;

/// Rejects customers without an id. Names, addresses (of two lines) and missing e-mail
/// addresses stay as they are.
pub struct CleanCustomers;

impl Transform for CleanCustomers {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", [int64("customer_id")])
            .pass_through("clean", "rows", SYSTEM_COLUMNS, [required(utf8("customer_id"))])
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let id = rows.i64("customer_id")?;
        let (kept, ids) = out.sift(rows, |row| Ok(id.required(row)?.to_string()));
        out.keep("clean", kept.column("customer_id", strings(ids)))
    }
}

sluicebox_sdk::export!(CleanCustomers);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_two_lines_is_one_customer() {
        let mut harness = Harness::<CleanCustomers>::open("").unwrap();
        let rows = r#"
            {"customer_id": 1, "name": "Ada", "address": "1 High St\nYork, NY 10001"}
            {"name": "Nobody", "email": "n@example.com"}
        "#;
        let recorded = harness.push_json("rows", rows).unwrap();
        let expected = r#"{"customer_id":"1","name":"Ada","address":"1 High St\nYork, NY 10001"}"#;
        assert_eq!(recorded.json("clean"), [expected]);
        assert_eq!(recorded.codes(), [(1, "customer_id.null")]);
    }
}
