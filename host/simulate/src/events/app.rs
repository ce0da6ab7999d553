//! Events of an app's users: page views, carts, failed logins.

use std::sync::Arc;

use arrow_schema::{DataType, Fields, Schema, SchemaRef, TimeUnit};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::super::{CUSTOMERS, PRODUCTS};
use super::{Moment, nullable, text};

const TYPES: [&str; 12] = [
    "page_view",
    "page_view",
    "page_view",
    "page_view",
    "page_view",
    "search",
    "search",
    "add_to_cart",
    "login_success",
    "checkout_start",
    "checkout_complete",
    "login_failure",
];

const WORDS: [&str; 6] = ["lamp", "running shoes", "novel", "olive oil", "headphones", "rain jacket"];

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:124.0) Gecko/20100101 Firefox/124.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_4) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Mobile Safari/537.36",
    "ShopApp/7.2.1 (iOS 17.4)",
];

pub(super) fn columns() -> SchemaRef {
    let mut details: Vec<_> = vec![nullable("product_id", DataType::Int64)];
    details.extend(["url", "query", "reason", "error_code", "message"].map(|name| nullable(name, DataType::Utf8)));
    Arc::new(Schema::new(vec![
        nullable("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        nullable("user_id", DataType::Int64),
        nullable("event_type", DataType::Utf8),
        nullable("ip_address", DataType::Utf8),
        nullable("user_agent", DataType::Utf8),
        nullable("details", DataType::Struct(Fields::from(details))),
    ]))
}

/// Logins that succeed and checkouts have no details; every fiftieth event is an error.
pub(super) fn write(moment: &Moment, random: &mut ChaCha8Rng, out: &mut Vec<u8>) {
    let mut at = Vec::new();
    text::moment(&mut at, moment.at);
    let user = random.random_range(1..=CUSTOMERS);
    let product = random.random_range(1..=PRODUCTS);
    let word = WORDS[random.random_range(0..WORDS.len())];
    let kind = if random.random_range(0..50) == 0 { "error" } else { TYPES[random.random_range(0..TYPES.len())] };
    let [a, b, c]: [u8; 3] = random.random();
    let details = match kind {
        "page_view" => json!({ "product_id": product, "url": format!("/product/{product}") }),
        "search" => json!({ "query": word }),
        "add_to_cart" => json!({ "product_id": product }),
        "login_failure" => json!({ "reason": "wrong password" }),
        "error" => json!({ "error_code": "E502", "message": "the payment service did not answer" }),
        _ => Value::Null,
    };
    let mut event = json!({
        "timestamp": match moment.fault {
            Some(4) => Value::Null,
            _ => format!("{}Z", String::from_utf8_lossy(&at)).into(),
        },
        "user_id": match moment.fault {
            Some(3) => Value::from("anonymous"),
            _ => user.into(),
        },
        "event_type": kind,
        "ip_address": format!("10.{a}.{b}.{c}"),
        "user_agent": AGENTS[random.random_range(0..AGENTS.len())],
    });
    if let (Value::Object(fields), false) = (&mut event, details.is_null()) {
        fields.insert("details".to_owned(), details);
    }
    out.extend_from_slice(event.to_string().as_bytes());
}
