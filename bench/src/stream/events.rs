//! The events of the stream job: orders of about 150 bytes of JSON, some of them sent twice.

use std::io::Write as _;

/// Of this many orders one is sent again.
const AGAIN_EVERY: u64 = 50;
/// An order that is sent again comes so many later.
const AGAIN_AFTER: u64 = 1_000;
/// Orders of a second of event time.
const A_SECOND: u64 = 10_000;
/// 2024-01-01T00:00:00Z in seconds since 1970.
const FIRST_SECOND: u64 = 1_704_067_200;

const STATES: [&str; 7] = ["NY", "CA", "IL", "TX", "AZ", "FL", "WA"];
const PRODUCTS: [(&str, &str); 8] = [
    ("Headphones", "Electronics"),
    ("Keyboard", "Electronics"),
    ("Cookbook", "Books"),
    ("Atlas", "Books"),
    ("Jacket", "Clothing"),
    ("Mirror", "Home Decor"),
    ("Puzzle", "Toys"),
    ("Kite", "Toys"),
];

/// What gold has to come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Orders, each once.
    pub orders: u64,
    /// Pieces of all orders.
    pub items: u64,
    /// What all orders come to, in cents.
    pub cents: u64,
}

/// Which order event `number` carries: itself, or one that was sent before.
fn order_of(number: u64) -> u64 {
    if number.is_multiple_of(AGAIN_EVERY) && number >= AGAIN_AFTER { number - AGAIN_AFTER + 1 } else { number }
}

/// Numbers that look as if nobody had chosen them, the same for the same order.
fn scattered(order: u64) -> u64 {
    let mixed = (order ^ (order >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

fn price_and_quantity(order: u64) -> (u64, u64) {
    let lot = scattered(order);
    (99 + lot % 49_000, 1 + (lot >> 20) % 8)
}

/// Writes event `number` over what `out` holds.
pub fn write(number: u64, out: &mut Vec<u8>) {
    let order = order_of(number);
    let (price, quantity) = price_and_quantity(order);
    let lot = scattered(order) >> 24;
    let (product, category) = PRODUCTS[(lot % 8) as usize];
    let state = STATES[(lot >> 8) as usize % STATES.len()];
    let second = FIRST_SECOND + order / A_SECOND;
    let (minute, second) = (second / 60 % 60, second % 60);
    let hour = (FIRST_SECOND + order / A_SECOND) / 3_600 % 24;
    out.clear();
    // A vector takes all that is written to it.
    let _ = write!(
        out,
        "{{\"order_id\":\"o{order:010}\",\"timestamp\":\"2024-01-01T{hour:02}:{minute:02}:{second:02}Z\",\"customer_id\":{},\
         \"product\":\"{product}\",\"category\":\"{category}\",\"price\":{}.{:02},\"quantity\":{quantity},\"state\":\"{state}\"}}",
        lot % 100_000,
        price / 100,
        price % 100,
    );
}

/// What the first `events` events come to.
pub fn expected(events: u64) -> Expected {
    let firsts = (0..events).filter(|number| order_of(*number) == *number);
    firsts.fold(Expected::default(), |sum, order| {
        let (price, quantity) = price_and_quantity(order);
        Expected { orders: sum.orders + 1, items: sum.items + quantity, cents: sum.cents + price * quantity }
    })
}
