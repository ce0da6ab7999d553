//! Sales of a shop by day and category.

use std::iter::zip;

use serde::{Deserialize, Serialize};
use sluicebox_sdk::arrow_array::cast::AsArray;
use sluicebox_sdk::arrow_array::types::Decimal128Type;
use sluicebox_sdk::prelude::*;

/// Adds up orders by day and category of their product, whatever their status, and
/// counts distinct orders and customers. An order of an unknown product counts in the
/// group without a category, with no amount.
///
/// The price is the one in the products table at the time of the run, as in
/// `retail_fact_sales`.
pub struct DailySales {
    products: Lookup,
    groups: Groups,
    orders: Groups,
    customers: Groups,
    totals: Vec<Totals>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Totals {
    quantity: i64,
    /// In hundredths; null as long as no price is known.
    amount: Option<i128>,
    orders: i64,
    customers: i64,
}

const STATE_VERSION: u32 = 1;

impl Transform for DailySales {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        let ids = ["order_id", "customer_id", "product_id"].map(|id| required(utf8(id)));
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("orders", ids.into_iter().chain([date("order_date"), required(int32("quantity"))]))
            .lookup("products", [required(utf8("product_id")), utf8("category"), decimal("price", 10, 2)])
            .output(
                "daily",
                [
                    date("order_date_key"),
                    utf8("product_category"),
                    required(int64("daily_quantity_sold")),
                    decimal("daily_total_sales_amount", 21, 2),
                    required(int64("daily_number_of_orders")),
                    required(int64("daily_unique_customers")),
                ],
            )
            .stateful(STATE_VERSION))
    }

    fn open(_: NoConfig, _: &Inputs, restored: Option<&State>) -> Result<Self> {
        let by = || [date("order_date"), utf8("category")];
        let mut job = Self {
            products: Lookup::unique(&["product_id"]),
            groups: Groups::of(by())?,
            orders: Groups::of(by().into_iter().chain([utf8("order_id")]))?,
            customers: Groups::of(by().into_iter().chain([utf8("customer_id")]))?,
            totals: Vec::new(),
        };
        if let Some(state) = restored {
            job.groups.restore(state.get("groups").unwrap_or_default())?;
            job.orders.restore(state.get("orders").unwrap_or_default())?;
            job.customers.restore(state.get("customers").unwrap_or_default())?;
            job.totals = state.json("totals")?.unwrap_or_default();
        }
        Ok(job)
    }

    fn lookup(&mut self, rows: &Rows) -> Result<()> {
        self.products.push(rows)
    }

    fn rows(&mut self, rows: &Rows, _: &mut Out) -> Result<()> {
        let product = self.products.find(&rows.columns(&["product_id"])?)?;
        let price = self.products.column("price", &product)?;
        let by = [rows.column("order_date")?.clone(), self.products.column("category", &product)?];
        let with = |id: &str| -> Result<[ArrayRef; 3]> { Ok([by[0].clone(), by[1].clone(), rows.column(id)?.clone()]) };

        let groups = self.groups.number(&by)?;
        let new_order = self.orders.is_new(&with("order_id")?)?;
        let new_customer = self.customers.is_new(&with("customer_id")?)?;
        self.totals.resize(self.groups.len(), Totals::default());
        let quantity = rows.i32("quantity")?;
        for (row, (group, price)) in zip(groups, price.as_primitive::<Decimal128Type>()).enumerate() {
            let totals = &mut self.totals[group];
            let quantity = i64::from(quantity.get(row).unwrap_or(0));
            totals.quantity += quantity;
            if let Some(price) = price {
                *totals.amount.get_or_insert(0) += price * i128::from(quantity);
            }
            totals.orders += i64::from(new_order[row]);
            totals.customers += i64::from(new_customer[row]);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        let totals = || self.totals.iter();
        let mut columns = self.groups.columns()?;
        columns.push(int64s(totals().map(|totals| totals.quantity)));
        columns.push(decimals(21, 2, totals().map(|totals| totals.amount))?);
        columns.push(int64s(totals().map(|totals| totals.orders)));
        columns.push(int64s(totals().map(|totals| totals.customers)));
        out.emit("daily", columns)
    }

    fn snapshot(&mut self, state: &mut State) -> Result<()> {
        state.put("groups", self.groups.save());
        state.put("orders", self.orders.save());
        state.put("customers", self.customers.save());
        state.put_json("totals", &self.totals)
    }
}

sluicebox_sdk::export!(DailySales);

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTS: &str = r#"
        {"product_id": "100", "category": "Books", "price": 10.00}
        {"product_id": "101", "category": "Books", "price": 0.50}
        {"product_id": "200", "category": "Food", "price": 3.00}
    "#;
    const MORNING: &str = r#"
        {"order_id": "1", "customer_id": "7", "product_id": "100", "order_date": "2024-01-01", "quantity": 2}
        {"order_id": "1", "customer_id": "7", "product_id": "101", "order_date": "2024-01-01", "quantity": 1}
        {"order_id": "2", "customer_id": "7", "product_id": "200", "order_date": "2024-01-01", "quantity": 1}
    "#;
    const EVENING: &str = r#"
        {"order_id": "3", "customer_id": "8", "product_id": "100", "order_date": "2024-01-01", "quantity": 1}
        {"order_id": "4", "customer_id": "8", "product_id": "999", "order_date": "2024-01-02", "quantity": 4}
    "#;
    const DAILY: [&str; 3] = [
        r#"{"order_date_key":"2024-01-01","product_category":"Books","daily_quantity_sold":4,"daily_total_sales_amount":30.50,"daily_number_of_orders":2,"daily_unique_customers":2}"#,
        r#"{"order_date_key":"2024-01-01","product_category":"Food","daily_quantity_sold":1,"daily_total_sales_amount":3.00,"daily_number_of_orders":1,"daily_unique_customers":1}"#,
        r#"{"order_date_key":"2024-01-02","daily_quantity_sold":4,"daily_number_of_orders":1,"daily_unique_customers":1}"#,
    ];

    #[test]
    fn an_order_of_two_lines_is_one_order() {
        let mut harness = Harness::<DailySales>::open("").unwrap();
        harness.push_json("products", PRODUCTS).unwrap();
        harness.push_json("orders", MORNING).unwrap();
        harness.push_json("orders", EVENING).unwrap();
        assert_eq!(harness.end("orders").unwrap().json("daily"), DAILY);
    }

    #[test]
    fn a_job_goes_on_where_another_stopped() {
        let mut first = Harness::<DailySales>::open("").unwrap();
        first.push_json("products", PRODUCTS).unwrap();
        first.push_json("orders", MORNING).unwrap();
        let state = first.snapshot().unwrap();
        let mut second = Harness::<DailySales>::open_with("", &[], Some(state)).unwrap();
        second.push_json("products", PRODUCTS).unwrap();
        second.push_json("orders", EVENING).unwrap();
        assert_eq!(second.end("orders").unwrap().json("daily"), DAILY);
    }

    #[test]
    fn no_products_at_all_is_no_categories() {
        let mut harness = Harness::<DailySales>::open("").unwrap();
        harness.push_json("orders", MORNING).unwrap();
        assert_eq!(harness.end("orders").unwrap().output("daily").num_rows(), 1);
    }
}
