//! Invoice lines of an online shop, cleaned: typed, trimmed, with their category.

mod words;

use serde::Deserialize;
use sluicebox_sdk::prelude::*;

use words::{Categories, Category};

/// Cleans invoice lines; rejects those that lack an invoice, a stock code, a quantity, a
/// price or a time. Lines without a customer and cancellations are lines like any other.
///
/// Two lines of a file may say the same and are still two, so a line is known by its file
/// and its place in it.
pub struct CleanLines {
    categories: Categories,
}

/// How a line finds its category.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The first that fits counts; a line that none fits is in `Other`.
    #[serde(default)]
    categories: Vec<Category>,
}

struct Line<'a> {
    invoice: &'a str,
    stock_code: &'a str,
    description: Option<String>,
    quantity: i32,
    /// In thousandths.
    price: i128,
    /// In microseconds.
    at: i64,
    customer: Option<&'a str>,
}

impl Transform for CleanLines {
    type Config = Config;

    fn describe(_: &Config) -> Result<Descriptor> {
        let texts = ["InvoiceNo", "StockCode", "Description", "CustomerID", "Country"].map(utf8);
        let numbers = [int32("Quantity"), decimal("UnitPrice", 12, 3), timestamp("InvoiceDate")];
        let identity = [required(utf8("_lane")), required(int64("_position"))];
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", texts.into_iter().chain(numbers).chain(identity))
            .output(
                "lines",
                [
                    required(utf8("source_file")),
                    required(int64("line")),
                    required(utf8("invoice_no")),
                    required(boolean("is_cancellation")),
                    required(utf8("stock_code")),
                    utf8("description"),
                    required(utf8("category")),
                    required(int32("quantity")),
                    required(decimal("unit_price", 12, 3)),
                    required(decimal("amount", 22, 3)),
                    required(timestamp("invoiced_at")),
                    required(date("invoice_date")),
                    utf8("customer_id"),
                    utf8("country"),
                    required(boolean("is_sale")),
                ],
            )
            .row_preserving())
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self { categories: Categories::of(&config.categories)? })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (invoice, stock_code) = (rows.utf8("InvoiceNo")?, rows.utf8("StockCode")?);
        let (description, customer) = (rows.utf8("Description")?, rows.utf8("CustomerID")?);
        let (quantity, price) = (rows.i32("Quantity")?, rows.decimal("UnitPrice")?);
        let (at, country) = (rows.timestamp("InvoiceDate")?, rows.utf8("Country")?);
        let (kept, lines) = out.sift(rows, |row| {
            Ok(Line {
                invoice: words::present("InvoiceNo", invoice.required(row)?)?,
                stock_code: words::present("StockCode", stock_code.required(row)?)?,
                description: description.get(row).and_then(words::single_spaced),
                quantity: quantity.required(row)?,
                price: price.required(row)?,
                at: at.required(row)?,
                customer: customer.get(row).and_then(words::customer),
            })
        });
        let each = || lines.iter();
        let category = |line: &Line| self.categories.find(line.stock_code, line.description.as_deref());
        let times = kept.of_column(rows.column("InvoiceDate")?)?;
        let countries = kept.rows().iter().map(|row| country.get(*row as usize).and_then(words::trimmed));
        out.emit(
            "lines",
            vec![
                kept.of_column(rows.column("_lane")?)?,
                kept.of_column(rows.column("_position")?)?,
                strings(each().map(|line| line.invoice)),
                booleans(each().map(|line| line.invoice.starts_with('C'))),
                strings(each().map(|line| line.stock_code)),
                strings(each().map(|line| line.description.as_deref())),
                strings(each().map(category)),
                int32s(each().map(|line| line.quantity)),
                decimals(12, 3, each().map(|line| line.price))?,
                decimals(22, 3, each().map(|line| line.price * i128::from(line.quantity)))?,
                times,
                dates(each().map(|line| words::day(line.at))),
                strings(each().map(|line| line.customer)),
                strings(countries),
                booleans(each().map(|line| line.customer.is_some() && line.quantity > 0 && line.price > 0)),
            ],
        )
    }
}

sluicebox_sdk::export!(CleanLines);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<CleanLines>::check_fixture("fixtures/lines");
    }
}
