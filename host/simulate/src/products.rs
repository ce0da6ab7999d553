//! Products.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Decimal128Builder, Int32Builder, StringBuilder};
use arrow_schema::DataType;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::Dice;

/// A fault: no id, a price below zero, or an id that was there before.
const FAULTS: u32 = 3;

const CATEGORIES: [(&str, [&str; 6]); 6] = [
    ("Electronics", ["Headphones", "Charger", "Keyboard", "Speaker", "Camera", "Lamp"]),
    ("Books", ["Novel", "Cookbook", "Atlas", "Biography", "Dictionary", "Guide"]),
    ("Clothing", ["Shirt", "Jacket", "Scarf", "Trousers", "Hat", "Socks"]),
    ("Home Goods", ["Kettle", "Pillow", "Vase", "Blanket", "Pan", "Mirror"]),
    ("Food", ["Coffee", "Chocolate", "Olive Oil", "Honey", "Tea", "Pasta"]),
    ("Beauty", ["Soap", "Shampoo", "Perfume", "Cream", "Lipstick", "Balm"]),
];

const QUALITIES: [&str; 8] = ["Classic", "Compact", "Deluxe", "Eco", "Modern", "Premium", "Simple", "Vintage"];

pub(super) fn columns(dice: &Dice, range: Range<u64>) -> Vec<ArrayRef> {
    let mut id = Int32Builder::new();
    let mut name = StringBuilder::new();
    let mut category = StringBuilder::new();
    let mut price = Decimal128Builder::new().with_data_type(DataType::Decimal128(10, 2));
    let mut stock = Int32Builder::new();
    for row in range {
        let (mut random, fault) = dice.row(row, FAULTS);
        id.append_option(match fault {
            Some(0) => None,
            Some(2) if row > 0 => Some(row as i32),
            _ => Some(row as i32 + 1),
        });
        let (group, things) = CATEGORIES[random.random_range(0..CATEGORIES.len())];
        let thing = things.choose(&mut random).copied().unwrap_or(group);
        let quality = QUALITIES.choose(&mut random).copied().unwrap_or("Plain");
        name.append_value(format!("{quality} {thing}"));
        category.append_value(group);
        let cents: i128 = random.random_range(500..=100_000);
        price.append_value(if fault == Some(1) { -cents } else { cents });
        stock.append_value(random.random_range(0..=500));
    }
    vec![
        Arc::new(id.finish()),
        Arc::new(name.finish()),
        Arc::new(category.finish()),
        Arc::new(price.finish()),
        Arc::new(stock.finish()),
    ]
}
