//! The store's own reports by country, cleaned: buyers, sellers and top-seller countries.

mod report;

use serde::Deserialize;
use sluicebox_sdk::prelude::*;

use report::Report;

/// Cleans one kind of report. A row without a country (or gender, for sellers) is a
/// subtotal and is rejected: counted as a country it would be counted twice.
pub struct CleanReports {
    report: &'static Report,
}

/// Which report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    report: Kind,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Buyers, one row for each country.
    Buyers,
    /// Sellers, one row for each country and gender.
    Sellers,
    /// Countries with sellers of 20 products and more, one row each.
    Countries,
}

impl Kind {
    fn report(self) -> &'static Report {
        match self {
            Kind::Buyers => &report::BUYERS,
            Kind::Sellers => &report::SELLERS,
            Kind::Countries => &report::COUNTRIES,
        }
    }
}

impl Transform for CleanReports {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        let report = config.report.report();
        let read = report.columns().map(|column| column.read());
        let made = report.columns().map(|column| column.made(report.keys));
        let derived = report.derived.iter().map(|(name, derived)| derived.field(name));
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("rows", read)
            .output(report.name, made.chain(derived))
            .row_preserving())
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        Ok(Self { report: config.report.report() })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let keys = self.report.keys.iter().map(|key| rows.utf8(key)).collect::<Result<Vec<_>>>()?;
        let (kept, _) = out.sift(rows, |row| {
            keys.iter()
                .try_for_each(|key| key.required(row).map(drop))
                .map_err(|null| Reject::new(null.code, format!("{}: the row is a subtotal of others", null.message)))
        });
        let mut columns = Vec::new();
        for column in self.report.columns() {
            columns.push(kept.of_column(rows.column(column.read().name())?)?);
        }
        for (_, derived) in self.report.derived {
            columns.push(kept.of_column(&derived.column(rows)?)?);
        }
        out.emit(self.report.name, columns)
    }
}

sluicebox_sdk::export!(CleanReports);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtotal_is_not_a_country() {
        let mut harness = Harness::<CleanReports>::open(r#"{"report": "sellers"}"#).unwrap();
        let rows = r#"
            {"country": "Italie", "sex": "Female", "nbsellers": 499, "totalproductslisted": 1000, "meansellerpassrate": "30.10"}
            {"country": "Italie", "sex": "Male", "nbsellers": 500, "totalproductslisted": 1000, "meansellerpassrate": "75.01"}
            {"country": "France", "sex": "Male", "nbsellers": 2000, "totalproductslisted": 3}
            {"sex": "Female", "nbsellers": 2127}
            {"nbsellers": 2719}
        "#;
        let recorded = harness.push_json("rows", rows).unwrap();
        assert_eq!(recorded.codes(), [(3, "country.null"), (4, "country.null")]);
        let sellers = recorded.json("sellers").join("\n");
        for part in [
            r#""seller_size_category":"Small","mean_products_listed_per_seller":2.00,"high_seller_pass_rate":false"#,
            r#""seller_size_category":"Medium","mean_products_listed_per_seller":2.00,"high_seller_pass_rate":true"#,
            r#""seller_size_category":"Large","mean_products_listed_per_seller":0.00}"#,
        ] {
            assert!(sellers.contains(part), "{part} is not in\n{sellers}");
        }
    }

    #[test]
    fn ratios_of_buyers_are_exact() {
        let mut harness = Harness::<CleanReports>::open(r#"{"report": "buyers"}"#).unwrap();
        let rows = r#"{"country": "France", "buyers": 1251, "femalebuyers": 851, "malebuyers": 400, "femalebuyersratio": "68.0",
            "topfemalebuyersratio": "62.3", "boughtperwishlistratio": "26.08", "totalproductsbought": 3573, "totalproductswished": 13700}"#;
        let recorded = harness.push_json("rows", &rows.replace('\n', " ")).unwrap();
        let buyers = recorded.json("buyers").join("\n");
        let end = r#""female_to_male_ratio":2.12,"wishlist_to_purchase_ratio":3.83,"high_engagement":false,"growing_female_market":true}"#;
        assert!(buyers.ends_with(end), "{buyers}");
    }

    #[test]
    fn an_unknown_report_is_refused() {
        let error = Harness::<CleanReports>::open(r#"{"report": "refunds"}"#).err().unwrap();
        assert!(error.to_string().contains("`buyers`, `sellers`, `countries`"), "{error}");
    }
}
