//! `pipelines/storefront.toml` on the real invoice lines, judged by DuckDB over the files.

use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::harness::{Lake, data, duckdb, root, sluice, text};

const LINES: u64 = 541_909;

const GOLD: [&str; 8] = [
    "dim_product",
    "dim_customer",
    "fact_sales",
    "revenue_by_day",
    "revenue_by_country",
    "revenue_by_category",
    "rfm_segments",
    "cltv",
];

#[test]
fn gold_has_the_known_figures_and_dimensions_follow_their_rules() {
    let Some(files) = data("online-retail") else { return };
    let lake = Lake::new();
    let first = run(&files, lake.path()).ok();
    assert_eq!(first.hop("land_lines")["rows_in"], LINES);
    assert_eq!(first.hop("clean_lines")["rows_out"], LINES);
    assert_eq!(first.hop("clean_lines")["rows_rejected"], 0);
    if !figures(lake.path()) {
        return;
    }
    dimensions(&files, lake.path());
    revenue(lake.path());
    customer_value(lake.path());

    let second = run(&files, lake.path()).ok().summary();
    for hop in second["hops"].as_array().expect("the summary lists hops") {
        assert_eq!((&hop["rows_in"], &hop["commits"]), (&json!(0), &json!(0)), "{hop}");
    }
}

/// Files come in drops, in an order that nobody planned; a run is killed after most of them.
/// `SLUICE_DROPS=305` lets each file come alone, which takes some minutes.
#[test]
fn gold_is_the_same_whatever_order_files_come_in_and_wherever_a_run_is_killed() {
    let Some(files) = data("online-retail") else { return };
    let folder = Lake::new();
    let (dropped, disturbed) = (folder.path().join("dropped"), folder.path().join("disturbed"));
    std::fs::create_dir(&dropped).expect("a temporary folder is writable");
    let mut names: Vec<_> = std::fs::read_dir(&files)
        .expect("the data is readable")
        .map(|entry| entry.expect("the data is readable").file_name())
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "csv"))
        .collect();
    assert_eq!(names.len(), 305);
    names.sort();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(305);
    names.shuffle(&mut random);

    let drops = std::env::var("SLUICE_DROPS").map_or(9, |drops| drops.parse().expect("SLUICE_DROPS is a number"));
    // Milliseconds; a run takes longer where more files come at once.
    let longest = (27_000 / drops as u64).max(600);
    let mut killed = 0;
    for (number, drop) in names.chunks(names.len().div_ceil(drops)).enumerate() {
        for name in drop {
            std::fs::copy(files.join(name), dropped.join(name)).expect("a temporary folder is writable");
        }
        if number % 4 == 3 {
            run(&dropped, &disturbed).ok();
            continue;
        }
        let mut child = sluice::command()
            .args(arguments(&dropped, &disturbed))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program under test can be started");
        // Not a wait for anything: the moment of the kill is what is random here.
        let (_never, moment) = mpsc::channel::<()>();
        let _ = moment.recv_timeout(Duration::from_millis(random.random_range(50..longest)));
        child.kill().expect("because the child was not waited for yet");
        let status = child.wait().expect("a killed child can be waited for");
        killed += usize::from(status.code().is_none());
    }
    assert!(killed > 0, "no run was killed before it ended: nothing was tested");
    run(&dropped, &disturbed).ok();
    if !figures(&disturbed) {
        return;
    }

    let undisturbed = folder.path().join("undisturbed");
    run(&files, &undisturbed).ok();
    for table in GOLD {
        let (expected, found) = (fingerprint(&undisturbed, table), fingerprint(&disturbed, table));
        assert_eq!(expected, found, "gold.{table} differs after {killed} kills");
    }
}

/// How many rows a gold table has and a sum over their contents, whatever their order.
fn fingerprint(lake: &Path, table: &str) -> serde_json::Value {
    let statement =
        format!("select count(*) as n, sum(hash(t)::hugeint)::varchar as h from delta_scan('{{lake}}/gold/{table}') t");
    duckdb::row(lake, &statement).expect("because DuckDB has read a table before")
}

/// Checks what is known of the data. False where there is no DuckDB to do so.
fn figures(lake: &Path) -> bool {
    let Some(found) = duckdb::row(
        lake,
        "with lines as (from delta_scan('{lake}/silver/lines')), sales as (from delta_scan('{lake}/gold/fact_sales'))
         select (select count(*) from lines) as lines,
                (select count(distinct (source_file, line)) from lines) as places,
                (select sum(amount) from lines) as amount,
                (select count(*) from lines where is_cancellation) as cancellations,
                (select count(*) from sales) as sales,
                (select sum(amount) from sales) as revenue,
                (select count(distinct invoice_no) from sales) as orders,
                (select count(distinct customer_id) from sales) as customers,
                (select count(distinct stock_code) from sales) as products",
    ) else {
        return false;
    };
    let expected = json!({
        "lines": LINES, "places": LINES, "amount": "9747747.934", "cancellations": 9_288,
        "sales": 397_884, "revenue": "8911407.904", "orders": 18_532, "customers": 4_338, "products": 3_665,
    });
    assert_eq!(found, expected);
    true
}

/// Works the dimensions out again from the files.
fn dimensions(files: &Path, lake: &Path) {
    for (table, key, attribute) in [
        (
            "dim_product",
            "trim(StockCode)",
            "stock_code, nullif(regexp_replace(trim(Description), '\\s+', ' ', 'g'), '') as description",
        ),
        ("dim_customer", "replace(CustomerID, '.0', '')", "customer_id, trim(Country) as country"),
    ] {
        let (key_name, attribute) = attribute.split_once(", ").expect("because both are named above");
        let name = attribute.rsplit(' ').next().expect("because it has a name");
        let found = duckdb::row(
            lake,
            &format!(
                "with lines as (select {key} as {key_name}, {attribute}, InvoiceDate::timestamp as moment
                                from read_csv('{}/*.csv', header = true, all_varchar = true)),
                      counted as (select {key_name}, {name}, count(*) as n, min(moment) as since, max(moment) as until
                                  from lines where {key_name} is not null group by all),
                      ranked as (select *, row_number() over (partition by {key_name}
                                     order by {name} is null, n desc, until desc, {name}) as place,
                                     sum(n) over same as total, min(since) over same as first, max(until) over same as last
                                 from counted window same as (partition by {key_name})),
                      expected as (from ranked where place = 1)
                 select (select count(*) from expected) as expected, count(*) as rows,
                        count(*) filter (e.{key_name} is null or d.{name} is distinct from e.{name}
                            or d.rows <> e.total or d.first_seen_at <> e.first or d.last_seen_at <> e.last) as different
                 from delta_scan('{{lake}}/gold/{table}') d left join expected e using ({key_name})",
                text(files),
            ),
        );
        let found = found.expect("because DuckDB has read a table before");
        assert_eq!((&found["rows"], &found["different"]), (&found["expected"], &json!(0)), "{table}: {found}");
    }
}

/// Adds the lines up again.
fn revenue(lake: &Path) {
    for (table, key, groups) in [
        ("revenue_by_day", "invoice_date", 305),
        ("revenue_by_country", "country", 38),
        ("revenue_by_category", "category", 11),
    ] {
        let found = duckdb::row(
            lake,
            &format!(
                "with expected as (select {key}, sum(quantity) as quantity, sum(amount) as amount, count(*) as lines
                                   from delta_scan('{{lake}}/silver/lines') group by all)
                 select count(*) as groups, sum(d.amount) as amount, sum(d.lines)::bigint as lines,
                        count(*) filter (d.quantity is distinct from e.quantity or d.amount is distinct from e.amount
                            or d.lines is distinct from e.lines) as different
                 from expected e full join delta_scan('{{lake}}/gold/{table}') d on d.{key} is not distinct from e.{key}"
            ),
        );
        let found = found.expect("because DuckDB has read a table before");
        let expected = json!({ "groups": groups, "amount": "9747747.934", "lines": LINES, "different": 0 });
        assert_eq!(found, expected, "{table}");
    }
}

/// Works scores, segments and lifetime values out again from the sales.
fn customer_value(lake: &Path) {
    let found = duckdb::row(
        lake,
        "with customers as (select customer_id, min(invoice_date) as since, max(invoice_date) as until,
                                   count(distinct invoice_no) as orders, sum(amount) as amount
                            from delta_scan('{lake}/gold/fact_sales') group by all),
              scored as (select *, max(until) over () as today,
                                1 + 5 * (rank() over (order by until) - 1) // count(*) over () as r,
                                1 + 5 * (rank() over (order by orders) - 1) // count(*) over () as f,
                                1 + 5 * (rank() over (order by amount) - 1) // count(*) over () as m
                         from customers),
              named as (select *, case when r >= 4 and f >= 4 then 'Champions' when r >= 3 and f >= 3 then 'Loyal'
                                       when r >= 4 then 'Promising' when r = 3 then 'Needs attention'
                                       when f >= 4 and m >= 4 then 'Cannot lose' when f >= 3 then 'At risk'
                                       else 'Hibernating' end as segment
                        from scored)
         select count(*) as customers, count(distinct s.segment) as segments, sum(s.monetary) as amount,
                count(*) filter (s.customer_id is null or s.recency_days <> n.today - n.until or s.frequency <> n.orders
                    or s.monetary <> n.amount or (s.recency_score, s.frequency_score, s.monetary_score) <> (n.r, n.f, n.m)
                    or s.segment <> n.segment) as other_rfm,
                count(*) filter (c.customer_id is null or c.first_order_date <> n.since or c.orders <> n.orders
                    or abs(c.average_order_value::double - n.amount::double / n.orders) > 0.00501
                    or abs(c.orders_per_year::double - n.orders * 365 / greatest(n.today - n.since, 90)) > 0.00501
                    or abs(c.cltv::double - n.amount::double * 365 * 3 / greatest(n.today - n.since, 90)) > 0.00501) as other_cltv
         from named n full join delta_scan('{lake}/gold/rfm_segments') s using (customer_id)
              full join delta_scan('{lake}/gold/cltv') c using (customer_id)",
    );
    let found = found.expect("because DuckDB has read a table before");
    let expected =
        json!({ "customers": 4_338, "segments": 7, "amount": "8911407.904", "other_rfm": 0, "other_cltv": 0 });
    assert_eq!(found, expected);
}

fn run(files: &Path, lake: &Path) -> sluice::Outcome {
    sluice::finish(sluice::command().args(arguments(files, lake)))
}

fn arguments(files: &Path, lake: &Path) -> Vec<String> {
    let pipeline = root().join("pipelines/storefront.toml");
    let data = format!("data={}", text(files));
    ["run", text(&pipeline), "--lake", text(lake), "--var", &data, "--json"].map(str::to_owned).to_vec()
}
