//! Orders of a shop, cleaned: ids as text, a positive quantity.

use sluicebox_sdk::prelude::*;

/// Rejects orders that lack one of their three ids or a positive quantity. An order of a
/// product or customer that nobody knows is still an order.
pub struct CleanOrders;

const IDS: [&str; 3] = ["order_id", "customer_id", "product_id"];

impl Transform for CleanOrders {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        let ids = IDS.map(|id| required(utf8(id)));
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", IDS.map(int64).into_iter().chain([int32("quantity")]))
            .pass_through("clean", "rows", SYSTEM_COLUMNS, ids)
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let [order, customer, product] = IDS.map(|id| rows.i64(id));
        let (order, customer, product, quantity) = (order?, customer?, product?, rows.i32("quantity")?);
        let (mut kept, made) = out.sift(rows, |row| {
            let ids = [order.required(row)?, customer.required(row)?, product.required(row)?];
            let quantity = quantity.required(row)?;
            ensure(quantity > 0, "quantity.not-positive", || {
                format!("the quantity of order {} is {quantity}", ids[0])
            })?;
            Ok(ids)
        });
        for (place, id) in IDS.into_iter().enumerate() {
            kept = kept.column(id, strings(made.iter().map(|ids| ids[place].to_string())));
        }
        out.keep("clean", kept)
    }
}

sluicebox_sdk::export!(CleanOrders);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanOrders>::check_fixture("fixtures/keys-and-quantities");
    }
}
