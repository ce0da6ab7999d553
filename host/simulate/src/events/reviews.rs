//! Review events of products, with every value as a string.

use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::super::{CUSTOMERS, PRODUCTS};
use super::{Moment, nullable, text};

const OPENINGS: [&str; 6] =
    ["Works as described.", "Not what I expected.", "A present for my sister:", "Second one I buy.", "Hm.", "Great!"];

const CLOSINGS: [&str; 6] = [
    "Would buy again.",
    "The box was open, \"as new\" it said.",
    "Five stars for the packaging \u{1f4e6}",
    "Too small.\nGoes back.",
    "Arrived late.",
    "Très bien.",
];

pub(super) fn columns() -> SchemaRef {
    let names = ["review_id", "product_id", "customer_id", "rating", "review_date", "review_text", "sentiment"];
    Arc::new(Schema::new(names.map(|name| nullable(name, DataType::Utf8)).to_vec()))
}

/// Three reviews of a hundred have no text; the sentiment is never set.
pub(super) fn write(moment: &Moment, random: &mut ChaCha8Rng, out: &mut Vec<u8>) {
    let mut date = Vec::new();
    text::date(&mut date, moment.at);
    let product = random.random_range(1..=PRODUCTS);
    let customer = random.random_range(1..=CUSTOMERS);
    let rating = [1, 2, 3, 4, 4, 5, 5, 5][random.random_range(0..8)];
    let opening = OPENINGS[random.random_range(0..OPENINGS.len())];
    let closing = CLOSINGS[random.random_range(0..CLOSINGS.len())];
    let words = if random.random_range(0..100) < 3 { String::new() } else { format!("{opening} {closing}") };
    let review = json!({
        "review_id": match moment.fault {
            Some(4) => Value::Null,
            _ => (moment.number + 1).to_string().into(),
        },
        "product_id": product.to_string(),
        "customer_id": customer.to_string(),
        "rating": match moment.fault {
            Some(3) => "five".to_owned(),
            _ => rating.to_string(),
        },
        "review_date": String::from_utf8_lossy(&date),
        "review_text": words,
        "sentiment": Value::Null,
    });
    out.extend_from_slice(review.to_string().as_bytes());
}
