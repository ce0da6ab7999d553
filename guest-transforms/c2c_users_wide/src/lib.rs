//! One big table: each user beside the figures of the country.

use sluicebox_sdk::arrow_schema::Field;
use sluicebox_sdk::prelude::*;

/// Users ⟕ top-seller countries, buyers (by country) and sellers (by country *and*
/// gender). Every user stays exactly one row: a lookup with two rows for one key stops
/// the job. Country names are compared as they are, in the store's own spelling.
pub struct UsersWide {
    tables: Vec<Table>,
}

struct Table {
    port: &'static str,
    rows: Lookup,
    /// The users' columns that find a row.
    key: &'static [&'static str],
}

/// Lookup port, its key, the users' columns that find it.
const TABLES: [(&str, &[&str], &[&str]); 3] = [
    ("countries", &["country"], &["country"]),
    ("buyers", &["country"], &["country"]),
    ("sellers", &["country", "sex"], &["country", "gender"]),
];

/// The columns taken from a lookup, before they get its name in front.
fn taken(port: &str) -> Vec<Field> {
    match port {
        "countries" => vec![
            int32("sellers"),
            int32("top_sellers"),
            decimal("top_seller_ratio", 12, 2),
            decimal("female_sellers_ratio", 12, 2),
            decimal("country_sold_ratio", 12, 2),
            int32("total_products_sold"),
            int32("total_products_listed"),
            decimal("mean_offline_days", 12, 2),
            boolean("high_female_seller_ratio"),
            decimal("performance_indicator", 12, 2),
            utf8("activity_level"),
        ],
        "buyers" => vec![
            int32("buyers"),
            int32("top_buyers"),
            decimal("top_buyer_ratio", 12, 2),
            int32("total_products_bought"),
            int32("total_products_wished"),
            int32("total_products_liked"),
            decimal("mean_products_bought", 12, 2),
            decimal("mean_offline_days", 12, 2),
            decimal("female_to_male_ratio", 12, 2),
            decimal("wishlist_to_purchase_ratio", 12, 2),
            boolean("high_engagement"),
            boolean("growing_female_market"),
        ],
        _ => vec![
            int32("nb_sellers"),
            int32("total_products_sold"),
            int32("total_products_listed"),
            decimal("mean_products_sold", 12, 2),
            decimal("mean_seller_pass_rate", 12, 2),
            utf8("seller_size_category"),
            decimal("mean_products_listed_per_seller", 12, 2),
            boolean("high_seller_pass_rate"),
        ],
    }
}

fn name(port: &str, column: &str) -> String {
    format!("{port}_{column}")
}

impl Transform for UsersWide {
    type Config = NoConfig;

    fn describe(_: &NoConfig) -> Result<Descriptor> {
        let mut descriptor = Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows("users", [utf8("country"), utf8("gender")]);
        let mut added = Vec::new();
        for (port, key, _) in TABLES {
            let columns = taken(port);
            added.extend(columns.iter().map(|column| column.clone().with_name(name(port, column.name()))));
            descriptor = descriptor.lookup(port, key.iter().map(|key| required(utf8(key))).chain(columns));
        }
        Ok(descriptor.pass_through("users", "users", &[], added).row_preserving())
    }

    fn open(_: NoConfig, _: &Inputs, _: Option<&State>) -> Result<Self> {
        let table = |(port, unique, key)| Table { port, rows: Lookup::unique(unique), key };
        Ok(Self { tables: TABLES.map(table).into() })
    }

    fn lookup(&mut self, rows: &Rows) -> Result<()> {
        let mut tables = self.tables.iter_mut();
        tables.find(|table| table.port == rows.port()).map_or(Ok(()), |table| table.rows.push(rows))
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let mut kept = Kept::all(rows);
        for Table { port, rows: table, key } in &mut self.tables {
            let found = table.find(&rows.columns(key)?)?;
            for column in taken(port) {
                kept = kept.column(&name(port, column.name()), table.column(column.name(), &found)?);
            }
        }
        out.keep("users", kept)
    }
}

sluicebox_sdk::export!(UsersWide);

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = r#"
        {"identifier_hash": "1", "country": "France", "gender": "Male"}
        {"identifier_hash": "2", "country": "France", "gender": "Female"}
        {"identifier_hash": "3", "country": "Côte d'Ivoire", "gender": "Female"}
        {"identifier_hash": "4", "gender": "Female"}
    "#;

    #[test]
    fn a_country_with_sellers_of_two_genders_does_not_double_its_users() {
        let mut harness = Harness::<UsersWide>::open("").unwrap();
        let sellers = r#"
            {"country": "France", "sex": "Male", "nb_sellers": 233}
            {"country": "France", "sex": "Female", "nb_sellers": 733}
            {"country": "Côte d'Ivoire", "sex": "Male", "nb_sellers": 5}
        "#;
        harness.push_json("sellers", sellers).unwrap();
        let recorded = harness.push_json("users", USERS).unwrap();
        let expected = [
            r#"{"country":"France","gender":"Male","identifier_hash":"1","sellers_nb_sellers":233}"#,
            r#"{"country":"France","gender":"Female","identifier_hash":"2","sellers_nb_sellers":733}"#,
            r#"{"country":"Côte d'Ivoire","gender":"Female","identifier_hash":"3"}"#,
            r#"{"gender":"Female","identifier_hash":"4"}"#,
        ];
        assert_eq!(recorded.json("users"), expected);
    }

    #[test]
    fn two_rows_for_one_country_stop_the_job() {
        let mut harness = Harness::<UsersWide>::open("").unwrap();
        let error = harness.push_json("buyers", "{\"country\": \"France\"}\n{\"country\": \"France\"}").unwrap_err();
        assert!(error.to_string().contains("more than one row with the same country"), "{error}");
    }
}
