//! Products of a shop, cleaned: ids as text, a positive price, no unknown stock.

use sluicebox_sdk::prelude::*;

/// Rejects products without an id or a positive price; an unknown stock is 0.
pub struct CleanProducts;

impl Transform for CleanProducts {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", [int64("product_id"), decimal("price", 10, 2), int32("stock")])
            .pass_through("clean", "rows", &[], [required(utf8("product_id")), required(int32("stock"))])
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (id, price, stock) = (rows.i64("product_id")?, rows.decimal("price")?, rows.i32("stock")?);
        let clean = |row| {
            let id = id.required(row)?;
            let price = price.required(row)?;
            ensure(price > 0, "price.not-positive", || format!("the price of product {id} is not positive"))?;
            Ok((id.to_string(), stock.get(row).unwrap_or(0)))
        };
        let (mut kept, mut ids, mut stocks) = (Kept::of(rows), Vec::new(), Vec::new());
        for row in rows.indexes() {
            match clean(row) {
                Ok((id, stock)) => {
                    kept.keep(row);
                    ids.push(id);
                    stocks.push(stock);
                }
                Err(reason) => out.reject(row, reason),
            }
        }
        out.keep("clean", kept.column("product_id", strings(ids)).column("stock", int32s(stocks)))
    }
}

sluicebox_sdk::export!(CleanProducts);
