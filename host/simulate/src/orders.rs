//! Orders.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Date32Builder, Int32Builder, StringBuilder};
use rand::Rng;

use super::{CUSTOMERS, Dice, FIRST_DAY, PRODUCTS};

/// A fault: no order, customer or product id, a quantity below zero, a product that does not
/// exist, or the order and product of the row before.
const FAULTS: u32 = 6;

struct Order {
    order: Option<i32>,
    customer: Option<i32>,
    product: Option<i32>,
    date: i32,
    quantity: i32,
    status: &'static str,
    shipped: Option<i32>,
}

impl Order {
    fn new(dice: &Dice, row: u64) -> Self {
        let (mut random, fault) = dice.row(row, FAULTS);
        let date = FIRST_DAY + random.random_range(0..730);
        let status = ["completed", "completed", "completed", "pending", "failed"][random.random_range(0..5)];
        let days_to_ship = random.random_range(1..=7);
        let mut order = Self {
            order: Some(row as i32 + 1),
            customer: Some(random.random_range(1..=CUSTOMERS as i32)),
            product: Some(random.random_range(1..=PRODUCTS as i32)),
            date,
            quantity: random.random_range(1..=5),
            status,
            shipped: (status == "completed").then_some(date + days_to_ship),
        };
        match fault {
            Some(0) => order.order = None,
            Some(1) => order.customer = None,
            Some(2) => order.product = None,
            Some(3) => order.quantity = -order.quantity,
            Some(4) => order.product = order.product.map(|product| product + PRODUCTS as i32),
            Some(_) if row > 0 => {
                let before = Order::new(dice, row - 1);
                (order.order, order.product) = (before.order, before.product);
            }
            _ => {}
        }
        order
    }
}

pub(super) fn columns(dice: &Dice, range: Range<u64>) -> Vec<ArrayRef> {
    let mut order_id = Int32Builder::new();
    let mut customer_id = Int32Builder::new();
    let mut product_id = Int32Builder::new();
    let mut date = Date32Builder::new();
    let mut quantity = Int32Builder::new();
    let mut status = StringBuilder::new();
    let mut shipped = Date32Builder::new();
    for row in range {
        let order = Order::new(dice, row);
        order_id.append_option(order.order);
        customer_id.append_option(order.customer);
        product_id.append_option(order.product);
        date.append_value(order.date);
        quantity.append_value(order.quantity);
        status.append_value(order.status);
        shipped.append_option(order.shipped);
    }
    vec![
        Arc::new(order_id.finish()),
        Arc::new(customer_id.finish()),
        Arc::new(product_id.finish()),
        Arc::new(date.finish()),
        Arc::new(quantity.finish()),
        Arc::new(status.finish()),
        Arc::new(shipped.finish()),
    ]
}
