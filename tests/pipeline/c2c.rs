//! `pipelines/c2c-users.toml` on the real files, read back by DuckDB and compared with the
//! figures that the data's author worked out from the same users.

use serde_json::json;

use crate::harness::{Lake, data, duckdb, root, sluice, text};

#[test]
fn gold_agrees_with_the_authors_figures_and_no_join_multiplies_users() {
    let Some(files) = data("french-c2c") else { return };
    let lake = Lake::new();
    let pipeline = root().join("pipelines/c2c-users.toml");
    let var = format!("data={}", text(&files));
    let run = || sluice::run(&["run", text(&pipeline), "--lake", text(lake.path()), "--var", &var, "--json"]).ok();

    let first = run();
    for hop in ["land_users", "clean_users", "users_wide"] {
        assert_eq!(first.hop(hop)["rows_in"], 119_656, "{hop}");
        assert_eq!(first.hop(hop)["rows_out"], 119_656, "{hop}");
    }
    // The three subtotals without a country are no sellers of any country.
    assert_eq!(first.hop("clean_sellers")["rows_rejected"], 3);

    let Some(users) = duckdb::row(
        lake.path(),
        "select count(*) as users, count(*) filter (website_longevity is null) as first_drop,
                count(distinct (snapshot, identifier_hash)) as keys, count(distinct country) as countries
         from delta_scan('{lake}/silver/users')",
    ) else {
        return;
    };
    assert_eq!(users["users"], 98_913 + 20_743);
    assert_eq!(users["first_drop"], 98_913, "the second drop alone has websiteLongevity");
    assert_eq!(users["keys"], 119_656);
    assert_eq!(users["countries"], 200);

    let gold = duckdb::row(
        lake.path(),
        "select count(*) as users, count(distinct (snapshot, identifier_hash)) as keys,
                count(buyers_buyers) as with_buyers
         from delta_scan('{lake}/gold/users_wide')",
    );
    let gold = gold.expect("because DuckDB has read a table before");
    assert_eq!((&gold["users"], &gold["keys"]), (&json!(119_656), &json!(119_656)));

    let directory = text(&files);
    agrees(&lake, &format!("{directory}/Buyers-repartition-by-country.csv"), "buyers_by_country", &["country"], 62);
    agrees(
        &lake,
        &format!("{directory}/Comparison-of-Sellers-by-Gender-and-Country.csv"),
        "sellers_by_country_and_gender",
        &["country", "sex"],
        70,
    );
    agrees(
        &lake,
        &format!("{directory}/Countries-with-Top-Sellers-(Fashion-C2C).csv"),
        "top_seller_countries",
        &["country"],
        19,
    );

    let second = run().summary();
    for hop in second["hops"].as_array().expect("the summary lists hops") {
        assert_eq!((&hop["rows_in"], &hop["commits"]), (&json!(0), &json!(0)), "{hop}");
    }
}

/// Compares every column of the author's file with ours of the same name, row by row.
/// The author's names have no underscores, and subtotals have no country.
fn agrees(lake: &Lake, file: &str, table: &str, key: &[&str], rows: u64) {
    let read = |statement: &str| duckdb::rows(lake.path(), statement).expect("because DuckDB has read a table before");
    let names = |from: &str| -> Vec<String> {
        let described = read(&format!("select column_name as name from (describe select * from {from})"));
        described.iter().map(|row| row["name"].as_str().expect("names are text").to_owned()).collect()
    };
    let (theirs, ours) = (format!("read_csv_auto('{file}')"), format!("delta_scan('{{lake}}/gold/{table}')"));
    let columns = names(&ours);
    let differences: Vec<String> = names(&theirs)
        .iter()
        .filter(|name| !key.contains(&name.as_str()))
        .map(|name| {
            let column = columns.iter().find(|column| column.replace('_', "") == *name);
            let column = column.unwrap_or_else(|| panic!("gold.{table} has no column for the author's `{name}`"));
            format!("((a.\"{name}\" is null) <> (b.{column} is null) or abs(a.\"{name}\"::double - b.{column}::double) > 0.0051)")
        })
        .collect();
    let on: Vec<String> = key.iter().map(|name| format!("a.{name} = b.{name}")).collect();
    let found = read(&format!(
        "select count(*) as rows, count(b.country) as matched, count(*) filter ({}) as different,
                (select count(*) from {ours}) as ours
         from {theirs} a left join {ours} b on {} where coalesce(a.country, '') <> ''",
        differences.join(" or "),
        on.join(" and ")
    ));
    let expected = json!([{ "rows": rows, "matched": rows, "different": 0, "ours": rows }]);
    assert_eq!(json!(found), expected, "gold.{table} beside {file}");
    assert!(differences.len() >= 15, "the author's file has columns to compare");
}
