//! Orders, cleaned: an id, a positive quantity, the amount worked out.

use serde::Deserialize;
use sluicebox_sdk::prelude::*;

/// Rejects orders without an id or with a quantity that nobody orders.
pub struct CleanOrders {
    config: Config,
}

/// The hop's `config` in the pipeline file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// More than this many is a slip of the pen.
    #[serde(default = "a_thousand")]
    largest_quantity: i32,
}

fn a_thousand() -> i32 {
    1_000
}

impl Transform for CleanOrders {
    type Config = Config;

    // What it reads, what it makes, what it promises. Only the columns named here cross
    // into the sandbox; `pass_through` carries all others over on the outside.
    fn describe(_: &Config) -> Result<Descriptor> {
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("orders", [utf8("order_id"), int32("quantity"), decimal("price", 10, 2)])
            .pass_through("clean", "orders", SYSTEM_COLUMNS, [required(utf8("order_id")), decimal("amount", 21, 2)])
            .row_preserving())
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self { config })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (id, quantity, price) = (rows.utf8("order_id")?, rows.i32("quantity")?, rows.decimal("price")?);
        let largest = self.config.largest_quantity;
        let (kept, made) = out.sift(rows, |row| {
            let id = id.required(row)?;
            let quantity = quantity.required(row)?;
            ensure((1..=largest).contains(&quantity), "quantity.range", || {
                format!("the quantity of order {id} is {quantity}, not 1 to {largest}")
            })?;
            Ok((id.trim().to_owned(), price.get(row).map(|price| price * i128::from(quantity))))
        });
        let (ids, amounts): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        out.keep("clean", kept.column("order_id", strings(ids)).column("amount", decimals(21, 2, amounts)?))
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

    #[test]
    fn the_largest_quantity_can_be_set() {
        let mut harness = Harness::<CleanOrders>::open(r#"{"largest_quantity": 2}"#).unwrap();
        let recorded = harness.push_json("orders", r#"{"order_id": "1", "quantity": 3}"#).unwrap();
        assert_eq!(recorded.codes(), [(0, "quantity.range")]);
    }
}
