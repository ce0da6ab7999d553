//! Orders of a live shop, cleaned: each once, with a price, a quantity and what they come to.

use serde::Deserialize;
use sluicebox_sdk::prelude::*;

/// Cleans orders. One without a price costs nothing, one without a quantity is of one piece;
/// what it comes to is worked out anew, whatever its sender said. One without id, state or time
/// is rejected.
///
/// An order that is sent again is dropped, and counted in the metric `duplicates`. Which ones were
/// there is remembered for as long as the hop's `event_time` lets rows be late; an order that
/// comes later still is rejected, because nobody knows whether it was there before.
pub struct CleanOrders {
    orders: Once,
}

/// How much is remembered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Orders at most; a million take about 25 MiB.
    #[serde(default = "five_million")]
    remember: usize,
}

fn five_million() -> usize {
    5_000_000
}

const STATE_VERSION: u32 = 1;

impl Transform for CleanOrders {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        Once::new(config.remember)?;
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows(
                "rows",
                [utf8("order_id"), timestamp("timestamp"), utf8("state"), decimal("price", 10, 2), int32("quantity")],
            )
            .pass_through(
                "clean",
                "rows",
                SYSTEM_COLUMNS,
                [
                    required(decimal("price", 10, 2)),
                    required(int32("quantity")),
                    required(decimal("total_amount", 21, 2)),
                ],
            )
            .stateful(STATE_VERSION))
    }

    fn open(config: Config, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let mut orders = Once::new(config.remember)?;
        if let Some(state) = restored {
            orders.restore("orders", state)?;
        }
        Ok(Self { orders })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (id, at, state) = (rows.utf8("order_id")?, rows.timestamp("timestamp")?, rows.utf8("state")?);
        let (price, quantity) = (rows.decimal("price")?, rows.i32("quantity")?);
        let clean = |row: usize| {
            let (id, at) = (id.required(row)?, at.required(row)?);
            state.required(row)?;
            let (price, quantity) = (price.get(row).unwrap_or(0), quantity.get(row).unwrap_or(1));
            ensure(price >= 0, "price.negative", || format!("the price of order {id} is negative"))?;
            ensure(quantity > 0, "quantity.not-positive", || format!("the quantity of order {id} is {quantity}"))?;
            Ok((id, at, price, quantity))
        };
        let mut kept = Kept::of(rows);
        let (mut prices, mut quantities) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut duplicates = 0;
        for row in rows.indexes() {
            let (id, at, price, quantity) = match clean(row) {
                Ok(order) => order,
                Err(reason) => {
                    out.reject(row, reason);
                    continue;
                }
            };
            match self.orders.see(id.as_bytes(), at) {
                Seen::First => {
                    kept.keep(row);
                    prices.push(price);
                    quantities.push(quantity);
                }
                Seen::Again => duplicates += 1,
                Seen::TooLate => out
                    .reject(row, Reject::new("timestamp.too-late", "it is from before the orders that are remembered")),
            }
        }
        if duplicates > 0 {
            metric("duplicates", f64::from(duplicates));
        }
        let totals = std::iter::zip(&prices, &quantities).map(|(price, quantity)| price * i128::from(*quantity));
        let totals = decimals(21, 2, totals)?;
        let kept = kept.column("price", decimals(10, 2, prices)?).column("quantity", int32s(quantities));
        out.keep("clean", kept.column("total_amount", totals))
    }

    fn flush(&mut self, watermark: Option<i64>, _: &mut Out) -> Result<()> {
        self.orders.forget(watermark);
        Ok(())
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        self.orders.save("orders", state)
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

    const ORDER: &str =
        r#"{"order_id": "a", "timestamp": "2024-01-01T00:00:00Z", "state": "NY", "price": 2.50, "quantity": 3}"#;

    #[test]
    fn an_order_passes_once_also_after_a_restart() {
        let mut harness = Harness::<CleanOrders>::open("").unwrap();
        let first = harness.push_json("rows", &format!("{ORDER}\n{ORDER}")).unwrap();
        assert_eq!((first.json("clean").len(), first.rejected().len()), (1, 0));
        assert_eq!(first.metrics(), [("duplicates".to_owned(), 1.0)]);
        let state = harness.snapshot().unwrap();
        let mut next = Harness::<CleanOrders>::open_with("", &[], Some(state)).unwrap();
        assert!(next.push_json("rows", ORDER).unwrap().json("clean").is_empty());
        // A day later nobody remembers it, and it is not taken for another.
        next.flush(Some(1_704_153_600_000_000)).unwrap();
        assert_eq!(next.push_json("rows", ORDER).unwrap().codes(), [(0, "timestamp.too-late")]);
    }
}
