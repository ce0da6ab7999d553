//! The cleaning step of the bench `files`: what every peer is asked to do, too.

use sluicebox_sdk::arrow_array::builder::StringBuilder;
use sluicebox_sdk::prelude::*;

/// Drops an order that repeats the one before it, rejects quantities below 1, and gives the category
/// without stray blanks and capitals.
///
/// It keeps no state, so a repeat is not seen when a batch ends between the two.
pub struct CleanOrders;

impl Transform for CleanOrders {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", [int64("order_id"), utf8("category"), int32("quantity")])
            .pass_through("orders", "rows", SYSTEM_COLUMNS, [utf8("category")]))
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self)
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (order, category, quantity) = (rows.i64("order_id")?, rows.utf8("category")?, rows.i32("quantity")?);
        let mut kept = Kept::of(rows);
        let mut categories = StringBuilder::with_capacity(rows.len(), rows.len() * 12);
        let (mut last, mut lower) = (None, String::new());
        for row in rows.indexes() {
            let order = order.get(row);
            let repeat = order.is_some() && order == last;
            last = order;
            if quantity.get(row).is_none_or(|quantity| quantity <= 0) {
                out.reject(row, Reject::new("quantity.not-positive", "the quantity is below 1 or unknown"));
            } else if !repeat {
                kept.keep(row);
                categories.append_option(category.get(row).map(|category| {
                    lower.clear();
                    lower.push_str(category.trim());
                    lower.make_ascii_lowercase();
                    lower.as_str()
                }));
            }
        }
        let categories: ArrayRef = std::sync::Arc::new(categories.finish());
        out.keep("orders", kept.column("category", categories))
    }
}

sluicebox_sdk::export!(CleanOrders);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanOrders>::check_fixture("fixtures/orders");
    }
}
