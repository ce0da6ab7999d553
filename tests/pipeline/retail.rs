//! `pipelines/retail.toml` on simulated files of the original's sizes, read by DuckDB.

use serde_json::json;

use crate::harness::{Lake, duckdb, root, sluice, text};

#[test]
fn two_line_addresses_stay_whole_and_no_order_line_is_twice() {
    let folder = Lake::new();
    let (files, lake) = (folder.path().join("files"), folder.path().join("lake"));
    sluice::run(&["simulate", "shop", "--out", text(&files), "--seed", "11", "--bad", "0.01"]).ok();
    let pipeline = root().join("pipelines/retail.toml");
    let var = format!("data={}", text(&files));
    let run = sluice::run(&["run", text(&pipeline), "--lake", text(&lake), "--var", &var, "--json"]).ok();
    for hop in run.summary()["hops"].as_array().expect("the summary lists hops") {
        assert!(hop["rows_in"].as_u64() > Some(0), "{hop}");
    }
    assert_eq!(run.hop("land_customers")["rows_in"], 20_000, "a two-line address is one row");
    assert_eq!(run.hop("land_orders")["rows_in"], 200_000);

    // What the files say, read by DuckDB, under the rules that silver states.
    let csv = |name: &str| {
        format!("read_csv('{}/{name}.csv', header = true, all_varchar = true, quote = '\"')", text(&files))
    };
    let Some(found) = duckdb::row(
        &lake,
        &format!(
            "with orders as (select * from {orders} where order_id is not null and customer_id is not null
                             and product_id is not null and try_cast(quantity as int) > 0)
             select (select count(*) from {customers}) as customers,
                    (select count(distinct customer_id) from {customers} where customer_id is not null) as valid_customers,
                    (select count(*) from delta_scan('{{lake}}/gold/dim_customers')) as dim_customers,
                    (select count(*) from delta_scan('{{lake}}/gold/dim_customers') where address like '%' || chr(10) || '%') as two_lines,
                    (select count(distinct (order_id, product_id)) from orders) as lines,
                    (select count(*) from delta_scan('{{lake}}/silver/orders')) as silver_orders,
                    (select count(*) from (select order_id, product_id from delta_scan('{{lake}}/silver/orders') group by all having count(*) > 1)) as twice,
                    (select count(*) from delta_scan('{{lake}}/gold/fact_sales')) as fact_sales,
                    (select sum(daily_quantity_sold) from delta_scan('{{lake}}/gold/fact_daily_sales')) as daily_quantity,
                    (select sum(quantity_sold) from delta_scan('{{lake}}/gold/fact_sales')) as quantity",
            orders = csv("orders"),
            customers = csv("customers"),
        ),
    ) else {
        return;
    };
    assert_eq!(found["customers"], 20_000);
    assert_eq!(found["dim_customers"], found["valid_customers"]);
    assert_eq!(found["two_lines"], found["dim_customers"], "every address has two lines");
    assert_eq!(found["twice"], 0);
    assert_eq!(found["silver_orders"], found["lines"]);
    assert_eq!(found["fact_sales"], found["silver_orders"], "no join multiplies or loses order lines");
    assert_eq!(found["daily_quantity"], found["quantity"]);

    // The daily figures, worked out again from the facts by somebody else.
    let differences = duckdb::row(
        &lake,
        "with expected as (
             select order_date_key, product_category, sum(quantity_sold) as q, sum(sale_amount) as a,
                    count(distinct order_key) as o, count(distinct customer_key) as c
             from delta_scan('{lake}/gold/fact_sales') group by all)
         select count(*) as groups, count(*) filter (d.daily_quantity_sold is distinct from e.q
                    or d.daily_total_sales_amount is distinct from e.a
                    or d.daily_number_of_orders is distinct from e.o
                    or d.daily_unique_customers is distinct from e.c) as different
         from expected e full join delta_scan('{lake}/gold/fact_daily_sales') d
           on d.order_date_key is not distinct from e.order_date_key
          and d.product_category is not distinct from e.product_category",
    );
    let differences = differences.expect("because DuckDB has read a table before");
    assert_eq!(differences["different"], json!(0), "{differences}");
    assert!(differences["groups"].as_u64() > Some(1_000), "{differences}");
}

#[test]
fn gold_follows_when_only_one_of_its_inputs_moves() {
    let folder = Lake::new();
    let (files, more, lake) = (folder.path().join("files"), folder.path().join("more"), folder.path().join("lake"));
    sluice::run(&["simulate", "shop", "--out", text(&files), "--rows", "100"]).ok();
    sluice::run(&["simulate", "orders", "--out", text(&more), "--rows", "150", "--seed", "9"]).ok();
    let pipeline = root().join("pipelines/retail.toml");
    let var = format!("data={}", text(&files));
    let run = || sluice::run(&["run", text(&pipeline), "--lake", text(&lake), "--var", &var, "--json"]).ok();
    run();
    std::fs::copy(more.join("orders.csv"), files.join("orders2.csv")).expect("a temporary folder is writable");
    let second = run();
    assert_eq!(second.hop("land_orders")["rows_in"], 150);
    let silver = second.hop("clean_orders")["rows_out"].as_u64().expect("a count");
    assert!(second.hop("fact_sales")["rows_in"].as_u64() >= Some(silver), "gold is made anew: {}", second.summary());
    assert_eq!(second.hop("dim_customers")["commits"], 0, "what did not move is left alone");
    let third = run();
    assert_eq!(third.hop("fact_sales")["commits"], 0);
}
