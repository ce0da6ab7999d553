//! `pipelines/retail-reviews.toml` on files as Event Hubs Capture writes them, read by DuckDB.

use std::path::Path;

use serde_json::{Value, json};
use sluicebox_core::plan::{Dataset, EventMix, SimulateSpec};
use sluicebox_simulate::Events;

use crate::harness::capture::{Captured, put};
use crate::harness::{Lake, duckdb, root, sluice, text};

const REVIEWS: u64 = 6_000;

/// Events by partition: each fourth review is of the same one.
fn captured() -> [Vec<Captured>; 4] {
    let events = EventMix { duplicates: 0.03, step: std::time::Duration::from_secs(300), ..EventMix::default() };
    let spec = SimulateSpec { dataset: Dataset::Reviews, rows: REVIEWS, seed: 7, bad: 0.05, events };
    let mut partitions: [Vec<Captured>; 4] = Default::default();
    for (number, event) in Events::of(&spec, 0..REVIEWS).iter().enumerate() {
        let partition = &mut partitions[number % 4];
        partition.push(Captured::new(1_000 + partition.len() as i64, event));
    }
    partitions
}

/// A file of a partition, of what came in a minute of one day.
fn path(partition: usize, minute: usize) -> String {
    format!("ns/reviews/{partition}/2024/03/01/{:02}/{:02}/00.avro", minute / 60, minute % 60)
}

fn run(captured: &Path, lake: &Path) -> sluice::Outcome {
    let pipeline = root().join("pipelines/retail-reviews.toml");
    let var = format!("captured={}", text(captured));
    sluice::run(&["run", text(&pipeline), "--lake", text(lake), "--var", &var, "--json"]).ok()
}

#[test]
fn the_summary_is_of_every_review_once_whatever_files_come_late_or_again() {
    let folder = Lake::new();
    let (files, lake) = (folder.path().join("captured"), folder.path().join("lake"));
    let partitions = captured();
    let chunks: Vec<Vec<&[Captured]>> = partitions.iter().map(|events| events.chunks(100).collect()).collect();
    // At first half of the files, and the fifth of each partition is late.
    for (partition, chunks) in chunks.iter().enumerate() {
        for (minute, chunk) in chunks.iter().enumerate().take(8).filter(|(minute, _)| *minute != 4) {
            put(&files, &path(partition, minute), chunk);
        }
        put(&files, &path(partition, 59), &[]);
    }
    let first = run(&files, &lake);
    assert_eq!(first.hop("land_product_reviews")["rows_in"], 4 * 400, "each partition waits for its fifth file");
    // Then the rest, and some of it twice.
    for (partition, chunks) in chunks.iter().enumerate() {
        for (minute, chunk) in chunks.iter().enumerate() {
            put(&files, &path(partition, minute), chunk);
        }
        let again: Vec<Captured> = partitions[partition][350..1_250].to_vec();
        put(&files, &path(partition, 30), &again);
    }
    let second = run(&files, &lake);
    assert_eq!(second.hop("land_product_reviews")["rows_in"], REVIEWS - 4 * 400);
    assert_eq!(run(&files, &lake).hop("land_product_reviews")["rows_in"], 0);

    // Each review as its last sender has it; sound ones alone.
    let mut reviews = std::collections::BTreeMap::new();
    let mut refused = 0;
    for event in partitions.iter().flatten() {
        let Ok(review) = serde_json::from_slice::<Value>(event.body.as_deref().unwrap_or_default()) else {
            refused += 1;
            continue;
        };
        let rating = review["rating"].as_str().and_then(|rating| rating.parse::<i32>().ok());
        match (review["review_id"].as_str(), rating) {
            (Some(id), Some(_)) => {
                reviews.insert(id.to_owned(), review.to_string());
            }
            _ => refused += 1,
        }
    }
    let lines: String = reviews.values().map(|review| format!("{review}\n")).collect();
    std::fs::write(lake.join("reviews.jsonl"), lines).expect("a temporary folder is writable");
    let found = duckdb::row(
        &lake,
        "with expected as (
             select product_id as product_key, review_date::date as review_date_key, count(*) as total_reviews,
                    (floor(avg(rating::int) * 100 + 0.5) / 100)::decimal(12,2) as avg_rating
             from read_json('{lake}/reviews.jsonl', format = 'newline_delimited', columns = {
                 product_id: 'VARCHAR', review_date: 'VARCHAR', rating: 'VARCHAR' }) group by all)
         select count(*) filter (e.total_reviews is distinct from f.total_reviews
                    or e.avg_rating is distinct from f.avg_rating) as different,
                sum(f.total_reviews)::bigint as reviews
         from expected e full join delta_scan('{lake}/gold/agg_product_reviews_summary') f
              using (product_key, review_date_key)",
    );
    let Some(found) = found else { return };
    assert_eq!(found, json!({ "different": 0, "reviews": reviews.len() }));
    let quarantined = duckdb::row(
        &lake,
        "select (select count(*) from delta_scan('{lake}/quarantine/land_product_reviews')) as undecodable,
                (select count(*) from delta_scan('{lake}/quarantine/clean_product_reviews')) as unfit",
    );
    let quarantined = quarantined.expect("because DuckDB has read a table before");
    let count = |name: &str| quarantined[name].as_i64().unwrap_or(-1);
    assert_eq!(count("undecodable") + count("unfit"), refused);
    assert!(count("undecodable") > 100 && count("unfit") > 10, "{quarantined}");
}
