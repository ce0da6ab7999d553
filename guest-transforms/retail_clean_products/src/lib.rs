//! Products of a shop, cleaned: ids as text, a positive price, no unknown stock.

use sluicebox_sdk::prelude::*;

/// Rejects products without an id or a positive price; an unknown stock is 0.
pub struct CleanProducts;

impl Transform for CleanProducts {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", [int64("product_id"), decimal("price", 10, 2), int32("stock")])
            .pass_through("clean", "rows", SYSTEM_COLUMNS, [required(utf8("product_id")), required(int32("stock"))])
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (id, price, stock) = (rows.i64("product_id")?, rows.decimal("price")?, rows.i32("stock")?);
        let (kept, made) = out.sift(rows, |row| {
            let id = id.required(row)?;
            let cents = price.required(row)?;
            ensure(cents > 0, "price.not-positive", || format!("the price of product {id} is {cents} cents"))?;
            Ok((id.to_string(), stock.get(row).unwrap_or(0)))
        });
        let (ids, stocks): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        out.keep("clean", kept.column("product_id", strings(ids)).column("stock", int32s(stocks)))
    }
}

sluicebox_sdk::export!(CleanProducts);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanProducts>::check_fixture("fixtures/prices-and-stock");
    }

    #[test]
    fn a_table_without_stock_has_none() {
        let mut harness = Harness::<CleanProducts>::open("").unwrap();
        let recorded = harness.push_json("rows", r#"{"product_id": 7, "price": 1.00}"#).unwrap();
        assert_eq!(recorded.json("clean"), [r#"{"product_id":"7","price":1.00,"stock":0}"#]);
    }
}
