//! Sales of a shop: each order, joined with its product.

use sluicebox_sdk::arrow_array::cast::AsArray;
use sluicebox_sdk::arrow_array::types::Decimal128Type;
use sluicebox_sdk::prelude::*;

/// Orders ⟕ products: every order is one sale, whether or not its product is known.
///
/// `unit_price_at_sale` keeps its published name, but no source says what a product cost
/// when it was sold: it is the price in the products table at the time of the run, and
/// `sale_amount` follows it. An unknown product has neither. Keys are the order's own, so
/// that nothing is lost; orders of unknown customers and products are counted as metrics.
pub struct FactSales {
    customers: Lookup,
    products: Lookup,
}

impl Transform for FactSales {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        let ids = ["order_id", "customer_id", "product_id"].map(|id| required(utf8(id)));
        let rest = [date("order_date"), date("shipping_date"), required(int32("quantity")), utf8("status")];
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("orders", ids.into_iter().chain(rest))
            .lookup("customers", [required(utf8("customer_id"))])
            .lookup("products", [required(utf8("product_id")), utf8("category"), decimal("price", 10, 2)])
            .output(
                "sales",
                [
                    required(utf8("order_key")),
                    required(utf8("customer_key")),
                    required(utf8("product_key")),
                    date("order_date_key"),
                    date("shipping_date_key"),
                    required(int32("quantity_sold")),
                    decimal("unit_price_at_sale", 10, 2),
                    decimal("sale_amount", 21, 2),
                    utf8("order_status"),
                    utf8("product_category"),
                ],
            )
            .row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self { customers: Lookup::unique(&["customer_id"]), products: Lookup::unique(&["product_id"]) })
    }

    fn lookup(&mut self, rows: &Rows) -> Result<()> {
        if rows.port() == "customers" { self.customers.push(rows) } else { self.products.push(rows) }
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let customer = self.customers.find(&rows.columns(&["customer_id"])?)?;
        let product = self.products.find(&rows.columns(&["product_id"])?)?;
        metric("orders_of_unknown_customers", customer.null_count() as f64);
        metric("orders_of_unknown_products", product.null_count() as f64);

        let price = self.products.column("price", &product)?;
        let prices = price.as_primitive::<Decimal128Type>();
        let quantity = rows.i32("quantity")?;
        let amounts = prices.iter().zip(quantity.iter());
        let amounts = amounts.map(|(price, quantity)| Some(price? * i128::from(quantity?)));
        let amount = decimals(21, 2, amounts)?;
        let mut columns = rows.columns(&["order_id", "customer_id", "product_id"])?;
        columns.extend(rows.columns(&["order_date", "shipping_date", "quantity"])?);
        columns.extend([price, amount, rows.column("status")?.clone(), self.products.column("category", &product)?]);
        out.emit("sales", columns)
    }
}

sluicebox_sdk::export!(FactSales);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<FactSales>::check_fixture("fixtures/left-join");
    }

    #[test]
    fn a_product_that_is_there_twice_stops_the_join() {
        let mut harness = Harness::<FactSales>::open("").unwrap();
        let products = r#"
            {"product_id": "1", "category": "Books", "price": 1.00}
            {"product_id": "1", "category": "Books", "price": 2.00}
        "#;
        let error = harness.push_json("products", products).unwrap_err();
        assert!(error.to_string().contains("more than one row with the same product_id"), "{error}");
    }
}
