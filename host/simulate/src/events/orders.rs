//! Order events of a live shop.

use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef, TimeUnit};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Moment, nullable, text};

const PRODUCTS: [(&str, &str); 20] = [
    ("Headphones", "Electronics"),
    ("Keyboard", "Electronics"),
    ("Camera", "Electronics"),
    ("Speaker", "Electronics"),
    ("Novel", "Books"),
    ("Cookbook", "Books"),
    ("Atlas", "Books"),
    ("Biography", "Books"),
    ("Jacket", "Clothing"),
    ("Scarf", "Clothing"),
    ("Shirt", "Clothing"),
    ("Socks", "Clothing"),
    ("Vase", "Home Decor"),
    ("Mirror", "Home Decor"),
    ("Lamp", "Home Decor"),
    ("Rug", "Home Decor"),
    ("Puzzle", "Toys"),
    ("Robot", "Toys"),
    ("Kite", "Toys"),
    ("Blocks", "Toys"),
];

const PLACES: [(&str, &str); 12] = [
    ("New York", "NY"),
    ("Buffalo", "NY"),
    ("Los Angeles", "CA"),
    ("San Diego", "CA"),
    ("Chicago", "IL"),
    ("Springfield", "IL"),
    ("Houston", "TX"),
    ("Austin", "TX"),
    ("Phoenix", "AZ"),
    ("Tucson", "AZ"),
    ("Miami", "FL"),
    ("Seattle", "WA"),
];

const STATUS: [&str; 8] =
    ["Processing", "Processing", "Processing", "Shipped", "Shipped", "Delivered", "Delivered", "Cancelled"];

pub(super) fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        nullable("order_id", DataType::Utf8),
        nullable("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        nullable("customer_id", DataType::Int64),
        nullable("product", DataType::Utf8),
        nullable("category", DataType::Utf8),
        nullable("price", DataType::Decimal128(10, 2)),
        nullable("quantity", DataType::Int32),
        nullable("city", DataType::Utf8),
        nullable("state", DataType::Utf8),
        nullable("delivery_status", DataType::Utf8),
    ]))
}

/// Of a hundred orders, one has no price, one no quantity, and ten a time without zone, as
/// some senders leave it out.
pub(super) fn write(moment: &Moment, random: &mut ChaCha8Rng, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"order_id\":\"");
    text::uuid(out, random.random());
    out.extend_from_slice(b"\",\"timestamp\":\"");
    text::moment(out, moment.at);
    let lot = random.random_range(0..100);
    out.extend_from_slice(if lot >= 90 { b"\",\"customer_id\":" } else { b"Z\",\"customer_id\":" });
    text::digits(out, random.random_range(1..=super::super::CUSTOMERS.into()), 1);
    let (product, category) = PRODUCTS[random.random_range(0..PRODUCTS.len())];
    field(out, "product", product);
    field(out, "category", category);
    out.extend_from_slice(b",\"price\":");
    let price = random.random_range(99..=50_000);
    if lot == 0 {
        out.extend_from_slice(b"null")
    } else {
        text::cents(out, price)
    }
    out.extend_from_slice(b",\"quantity\":");
    let quantity = random.random_range(1..=8);
    match (moment.fault, lot) {
        (Some(3), _) => out.extend_from_slice(b"\"many\""),
        (_, 1) => out.extend_from_slice(b"null"),
        _ => text::digits(out, quantity, 1),
    }
    let (city, state) = PLACES[random.random_range(0..PLACES.len())];
    field(out, "city", city);
    match moment.fault {
        Some(4) => out.extend_from_slice(b",\"state\":null"),
        _ => field(out, "state", state),
    }
    field(out, "delivery_status", STATUS[random.random_range(0..STATUS.len())]);
    out.push(b'}');
}

/// A field of text that needs no escapes.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}
