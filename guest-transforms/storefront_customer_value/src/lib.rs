//! What each customer of a shop is worth: segments by recency, frequency and monetary
//! value (RFM), and an expected lifetime value (CLTV).

mod score;

use std::iter::zip;

use serde::{Deserialize, Serialize};
use sluicebox_sdk::prelude::*;

/// Adds sales up by customer and compares customers with each other.
///
/// * `rfm`: days since the last order, number of orders and money spent, each scored from
///   1 to 5 by fifths of all customers, and the segment that the scores name. Days are
///   counted from the last day on which anybody bought, so that a table made again from the
///   same sales is the same table.
/// * `cltv`: average value of an order × orders in a year × `lifetime_years`. Orders in a
///   year are those so far over the time since the first one; who is known for fewer than
///   `least_days` counts as known for so long, lest one order of yesterday be read as one a
///   day. It is revenue, not profit, without interest, and supposes that customers go on as
///   they did.
pub struct CustomerValue {
    config: Config,
    customers: Groups,
    orders: Groups,
    totals: Vec<Totals>,
}

/// What the lifetime value supposes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "three_years")]
    lifetime_years: u16,
    #[serde(default = "a_quarter")]
    least_days: u16,
}

fn three_years() -> u16 {
    3
}

fn a_quarter() -> u16 {
    90
}

/// One customer's sales.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Totals {
    first: i32,
    last: i32,
    orders: i64,
    /// In thousandths.
    amount: i128,
}

const STATE_VERSION: u32 = 1;

impl Transform for CustomerValue {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        if config.lifetime_years == 0 || config.least_days == 0 {
            return Err(Failure::config("`lifetime_years` and `least_days` are at least 1"));
        }
        let sales = [utf8("customer_id"), utf8("invoice_no"), date("invoice_date"), decimal("amount", 22, 3)];
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("sales", sales.map(required))
            .output(
                "rfm",
                [
                    utf8("customer_id"),
                    int32("recency_days"),
                    int64("frequency"),
                    decimal("monetary", 22, 3),
                    int32("recency_score"),
                    int32("frequency_score"),
                    int32("monetary_score"),
                    utf8("segment"),
                ]
                .map(required),
            )
            .output(
                "cltv",
                [
                    utf8("customer_id"),
                    date("first_order_date"),
                    int64("orders"),
                    decimal("average_order_value", 22, 2),
                    decimal("orders_per_year", 12, 2),
                    decimal("cltv", 22, 2),
                ]
                .map(required),
            )
            .stateful(STATE_VERSION))
    }

    fn open(config: Config, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let customers = Groups::of([utf8("customer_id")])?;
        let orders = Groups::of([utf8("customer_id"), utf8("invoice_no")])?;
        let mut job = Self { config, customers, orders, totals: Vec::new() };
        if let Some(state) = restored {
            job.customers.restore(state.get("customers").unwrap_or_default())?;
            job.orders.restore(state.get("orders").unwrap_or_default())?;
            job.totals = state.json("totals")?.unwrap_or_default();
        }
        Ok(job)
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        let customers = self.customers.number(&rows.columns(&["customer_id"])?)?;
        let new_order = self.orders.is_new(&rows.columns(&["customer_id", "invoice_no"])?)?;
        let (day, amount) = (rows.date("invoice_date")?, rows.decimal("amount")?);
        self.totals.resize(self.customers.len(), Totals::NONE);
        for (row, (customer, new_order)) in zip(customers, new_order).enumerate() {
            if let (Some(day), Some(amount)) = (day.get(row), amount.get(row)) {
                self.totals[customer].add(day, amount, new_order);
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        let ids = self.customers.columns()?;
        let Some(ids) = ids[0].as_any().downcast_ref::<StringArray>() else {
            return Err(Failure::internal("customers came back as another type"));
        };
        // By customer, so that the same sales give the same tables in whatever order they come.
        let mut customers: Vec<(&str, &Totals)> = zip(ids.iter().flatten(), &self.totals).collect();
        customers.sort_unstable_by_key(|(id, _)| *id);
        let ids = || strings(customers.iter().map(|(id, _)| *id));
        let each = || customers.iter().map(|(_, totals)| *totals);
        let today = each().map(|totals| totals.last).max().unwrap_or_default();

        let recency = score::fifths(each().map(|totals| totals.last));
        let frequency = score::fifths(each().map(|totals| totals.orders));
        let monetary = score::fifths(each().map(|totals| totals.amount));
        let scores = zip(&recency, zip(&frequency, &monetary));
        let segments = scores.map(|(recency, (frequency, monetary))| score::segment(*recency, *frequency, *monetary));
        out.emit(
            "rfm",
            vec![
                ids(),
                int32s(each().map(|totals| today - totals.last)),
                int64s(each().map(|totals| totals.orders)),
                decimals(22, 3, each().map(|totals| totals.amount))?,
                int32s(recency.iter().copied()),
                int32s(frequency.iter().copied()),
                int32s(monetary.iter().copied()),
                strings(segments),
            ],
        )?;

        let days = |totals: &Totals| i128::from((today - totals.first).max(i32::from(self.config.least_days)));
        let years = i128::from(self.config.lifetime_years);
        out.emit(
            "cltv",
            vec![
                ids(),
                dates(each().map(|totals| totals.first)),
                int64s(each().map(|totals| totals.orders)),
                // From thousandths to hundredths: hence the tens.
                decimals(22, 2, each().map(|totals| score::rounded(totals.amount, 10 * i128::from(totals.orders))))?,
                decimals(12, 2, each().map(|totals| score::rounded(36_500 * i128::from(totals.orders), days(totals))))?,
                decimals(22, 2, each().map(|totals| score::rounded(365 * years * totals.amount, 10 * days(totals))))?,
            ],
        )
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        state.put("customers", self.customers.save());
        state.put("orders", self.orders.save());
        state.put_json("totals", &self.totals)
    }
}

impl Totals {
    const NONE: Self = Self { first: i32::MAX, last: i32::MIN, orders: 0, amount: 0 };

    fn add(&mut self, day: i32, amount: i128, new_order: bool) {
        self.first = self.first.min(day);
        self.last = self.last.max(day);
        self.orders += i64::from(new_order);
        self.amount += amount;
    }
}

sluicebox_sdk::export!(CustomerValue);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CustomerValue>::check_fixture("fixtures/customers");
    }

    const SALES: [&str; 3] = [
        r#"{"customer_id": "2", "invoice_no": "a", "invoice_date": "2011-01-01", "amount": 10.005}"#,
        r#"{"customer_id": "1", "invoice_no": "b", "invoice_date": "2011-02-01", "amount": 1.000}"#,
        r#"{"customer_id": "2", "invoice_no": "a", "invoice_date": "2011-01-01", "amount": 20.000}"#,
    ];

    #[test]
    fn a_job_goes_on_where_another_stopped() {
        let mut first = Harness::<CustomerValue>::open("").unwrap();
        first.push_json("sales", &SALES[..2].join("\n")).unwrap();
        let state = first.snapshot().unwrap();
        let mut second = Harness::<CustomerValue>::open_with("", &[], Some(state)).unwrap();
        second.push_json("sales", SALES[2]).unwrap();
        let mut whole = Harness::<CustomerValue>::open("").unwrap();
        whole.push_json("sales", &SALES.join("\n")).unwrap();
        let (second, whole) = (second.end("sales").unwrap(), whole.end("sales").unwrap());
        assert_eq!(second.json("rfm"), whole.json("rfm"));
        assert_eq!(second.json("cltv"), whole.json("cltv"));
        assert!(
            whole.json("cltv")[1].contains(r#""orders":1,"average_order_value":30.01"#),
            "{:?}",
            whole.json("cltv")
        );
    }

    #[test]
    fn no_sales_are_no_customers() {
        let recorded = Harness::<CustomerValue>::open("").unwrap().end("sales").unwrap();
        assert!(recorded.json("rfm").is_empty() && recorded.json("cltv").is_empty());
    }
}
