//! Order rows through one small decision, in the ways a module can make it: what
//! `bench/boundary` measures natively and in the sandbox.

use serde::Deserialize;
use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

/// Keeps the orders that have a quantity and a price.
pub struct BenchOrders(Mode);

/// How the rows cross.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every column in, every column of the kept rows out.
    Full,
    /// Two columns in, the kept rows' indexes out.
    Keep,
    /// As `keep`, with one new column.
    Amount,
    /// Every column in, nothing out: what crossing alone costs.
    Idle,
}

/// Which of the modes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    mode: Mode,
}

/// The columns of an order.
pub fn columns() -> [Field; 7] {
    [
        int64("order_id"),
        int64("customer_id"),
        utf8("product_id"),
        utf8("category"),
        int32("quantity"),
        float64("price"),
        timestamp("ts"),
    ]
}

impl Transform for BenchOrders {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        let descriptor = Descriptor::new("bench_orders", "0.1.0");
        Ok(match config.mode {
            Mode::Full | Mode::Idle => descriptor.rows("rows", columns()).output("orders", columns()),
            Mode::Keep => {
                descriptor.rows("rows", [int32("quantity"), float64("price")]).pass_through("orders", "rows", &[], [])
            }
            Mode::Amount => descriptor.rows("rows", [int32("quantity"), float64("price")]).pass_through(
                "orders",
                "rows",
                &[],
                [float64("amount")],
            ),
        })
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self(config.mode))
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        if self.0 == Mode::Idle {
            return Ok(());
        }
        let (quantity, price) = (rows.i32("quantity")?, rows.f64("price")?);
        if self.0 != Mode::Amount {
            let kept = Kept::filter(rows, |row| amount(quantity.get(row), price.get(row)).is_some());
            return if self.0 == Mode::Keep {
                out.keep("orders", kept)
            } else {
                out.emit("orders", kept.of_rows(rows)?)
            };
        }
        let mut kept = Kept::of(rows);
        let mut amounts = Vec::with_capacity(rows.len());
        for row in rows.indexes() {
            if let Some(amount) = amount(quantity.get(row), price.get(row)) {
                kept.keep(row);
                amounts.push(amount);
            }
        }
        out.keep("orders", kept.column("amount", float64s(amounts)))
    }
}

/// What an order comes to, if it has a quantity and a price.
fn amount(quantity: Option<i32>, price: Option<f64>) -> Option<f64> {
    match (quantity, price) {
        (Some(quantity), Some(price)) if quantity > 0 && price > 0.0 => Some(f64::from(quantity) * price),
        _ => None,
    }
}

sluicebox_sdk::export!(BenchOrders);
