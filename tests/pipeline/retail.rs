//! `pipelines/retail.toml` on simulated files of the original's sizes, read by DuckDB.

use std::path::Path;

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

/// Orders are corrected, moved to another day and taken back, then products change. Each
/// time gold is what DuckDB makes of the files.
#[test]
fn gold_is_made_of_orders_and_products_as_they_are_now() {
    let folder = Lake::new();
    let (files, lake) = (folder.path().join("files"), folder.path().join("lake"));
    sluice::run(&["simulate", "shop", "--out", text(&files), "--seed", "11", "--bad", "0.01"]).ok();
    let pipeline = root().join("pipelines/retail.toml");
    let var = format!("data={}", text(&files));
    let run = || sluice::run(&["run", text(&pipeline), "--lake", text(&lake), "--var", &var, "--json"]).ok();
    run();
    if !gold_is_right(&files, &lake) {
        return;
    }

    let orders = std::fs::read_to_string(files.join("orders.csv")).expect("it was written just above");
    std::fs::write(files.join("orders2.csv"), corrections(&orders)).expect("a temporary folder is writable");
    let second = run();
    assert!(gold_is_right(&files, &lake), "DuckDB has read tables before");
    let silver = second.hop("clean_orders");
    let days = second.hop("fact_daily_sales");
    assert!(days["rows_in"].as_u64() < Some(50_000), "only the days concerned are made again: {days} after {silver}");

    let products = std::fs::read_to_string(files.join("products.csv")).expect("it was written just above");
    std::fs::write(files.join("products2.csv"), other_prices(&products)).expect("a temporary folder is writable");
    let third = run();
    assert!(gold_is_right(&files, &lake), "DuckDB has read tables before");
    let days = third.hop("fact_daily_sales");
    assert!(days["rows_in"].as_u64() > Some(150_000), "a product's price is in the figures of every day: {days}");

    let fourth = run().summary();
    for hop in fourth["hops"].as_array().expect("the summary lists hops") {
        assert_eq!(hop["commits"], 0, "{hop}");
    }
}

/// Of the orders of one month, some with another quantity and status, some on another day,
/// some to be deleted.
fn corrections(orders: &str) -> String {
    let mut lines = orders.lines();
    let header = lines.next().expect("because a CSV file has a header");
    let mut text = format!("{header},deleted\n");
    let mut changed = [0; 3];
    for line in lines.filter(|line| line.contains(",2024-03-")) {
        let mut fields: Vec<&str> = line.split(',').collect();
        let (number, [order, _, product, date, quantity, status, _]) = (changed.iter().sum::<usize>(), &mut fields[..])
        else {
            panic!("{line} is no order");
        };
        if order.is_empty() || product.is_empty() || quantity.starts_with('-') || !date.starts_with("2024-03-") {
            continue;
        }
        let deleted = match number % 3 {
            0 => {
                (*quantity, *status) = ("9", "failed");
                ""
            }
            1 => {
                *date = "2024-03-31";
                "false"
            }
            _ => "true",
        };
        changed[number % 3] += 1;
        text.push_str(&format!("{},{deleted}\n", fields.join(",")));
    }
    assert!(changed.iter().all(|count| *count > 1_000), "{changed:?}");
    text
}

/// Every tenth product at another price and in another category.
fn other_prices(products: &str) -> String {
    let header = products.lines().next().expect("because a CSV file has a header");
    let mut text = format!("{header}\n");
    for id in (1..=2_000).step_by(10) {
        text.push_str(&format!("{id},Renamed {id},Clearance,{id}.25,1\n"));
    }
    text
}

/// Compares gold with what DuckDB makes of all files, each later one over the ones before.
/// False where there is no DuckDB to do so.
fn gold_is_right(files: &Path, lake: &Path) -> bool {
    let csv = |name: &str| {
        format!(
            "(select *, row_number() over () as place from read_csv('{}/{name}*.csv', header = true, all_varchar = true,
                  union_by_name = true, filename = true, quote = '\"'))",
            text(files)
        )
    };
    let deleted = if files.join("orders2.csv").exists() { "deleted" } else { "null" };
    let Some(found) = duckdb::row(
        lake,
        &format!(
            "with lines as (select *, row_number() over (partition by order_id, product_id
                                order by filename desc, place desc) as turn
                            from {orders} where order_id is not null and customer_id is not null
                                and product_id is not null and try_cast(quantity as int) > 0),
                  orders as (from lines where turn = 1 and coalesce({deleted}, 'false') <> 'true'),
                  versions as (select *, row_number() over (partition by product_id
                                order by filename desc, place desc) as turn
                               from {products} where product_id is not null and price::decimal(10,2) > 0),
                  products as (from versions where turn = 1),
                  sales as (select o.order_id as order_key, o.customer_id as customer_key, o.product_id as product_key,
                                   o.order_date::date as order_date_key, o.shipping_date::date as shipping_date_key,
                                   o.quantity::int as quantity_sold, p.price::decimal(10,2) as unit_price_at_sale,
                                   (p.price::decimal(10,2) * o.quantity::int)::decimal(21,2) as sale_amount,
                                   o.status as order_status, p.category as product_category
                            from orders o left join products p using (product_id)),
                  daily as (select order_date_key, product_category, sum(quantity_sold)::bigint as daily_quantity_sold,
                                   sum(sale_amount)::decimal(21,2) as daily_total_sales_amount,
                                   count(distinct order_key) as daily_number_of_orders,
                                   count(distinct customer_key) as daily_unique_customers
                            from sales group by all),
                  gold_sales as (select {sales} from delta_scan('{{lake}}/gold/fact_sales')),
                  gold_daily as (select {daily} from delta_scan('{{lake}}/gold/fact_daily_sales')),
                  gold_products as (select product_key, category, unit_price from delta_scan('{{lake}}/gold/dim_products'))
             select (select count(*) from orders) as orders, (select count(*) from gold_sales) as sales,
                    (select count(*) from (from sales except all from gold_sales)) as missing_sales,
                    (select count(*) from (from gold_sales except all from sales)) as wrong_sales,
                    (select count(*) from daily) as days, (select count(*) from gold_daily) as gold_days,
                    (select count(*) from (from daily except all from gold_daily)) as missing_days,
                    (select count(*) from (from gold_daily except all from daily)) as wrong_days,
                    (select count(*) from products) as products, (select count(*) from gold_products) as dim_products,
                    (select count(*) from (select product_id, category, price::decimal(10,2) from products
                                           except all from gold_products)) as missing_products",
            orders = csv("orders"),
            products = csv("products"),
            sales = "order_key, customer_key, product_key, order_date_key, shipping_date_key, quantity_sold,
                     unit_price_at_sale, sale_amount, order_status, product_category",
            daily = "order_date_key, product_category, daily_quantity_sold, daily_total_sales_amount,
                     daily_number_of_orders, daily_unique_customers",
        ),
    ) else {
        return false;
    };
    assert_eq!((&found["sales"], &found["gold_days"]), (&found["orders"], &found["days"]), "{found}");
    assert_eq!(found["dim_products"], found["products"], "{found}");
    for count in ["missing_sales", "wrong_sales", "missing_days", "wrong_days", "missing_products"] {
        assert_eq!(found[count], 0, "{count}: {found}");
    }
    true
}
