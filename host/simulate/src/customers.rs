//! Customers, with two-line addresses.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Date32Builder, Int32Builder, StringBuilder};
use fake::Fake;
use fake::faker::address::en::{BuildingNumber, CityName, StateAbbr, StreetName, ZipCode};
use fake::faker::name::en::{FirstName, LastName};
use rand::Rng;

use super::{Dice, FIRST_DAY};

/// A fault: no id, or an id that was there before.
const FAULTS: u32 = 2;

pub(super) fn columns(dice: &Dice, range: Range<u64>) -> Vec<ArrayRef> {
    let mut id = Int32Builder::new();
    let mut name = StringBuilder::new();
    let mut email = StringBuilder::new();
    let mut address = StringBuilder::new();
    let mut registered = Date32Builder::new();
    for row in range {
        let (mut random, fault) = dice.row(row, FAULTS);
        id.append_option(match fault {
            Some(0) => None,
            Some(_) if row > 0 => Some(row as i32),
            _ => Some(row as i32 + 1),
        });
        let first: String = FirstName().fake_with_rng(&mut random);
        let last: String = LastName().fake_with_rng(&mut random);
        name.append_value(format!("{first} {last}"));
        let has_email = random.random_bool(0.95);
        let user = format!("{first}.{last}").to_lowercase().replace([' ', '\''], "");
        email.append_option(has_email.then(|| format!("{user}{}@example.com", row + 1)));
        let number: String = BuildingNumber().fake_with_rng(&mut random);
        let street: String = StreetName().fake_with_rng(&mut random);
        let city: String = CityName().fake_with_rng(&mut random);
        let state: String = StateAbbr().fake_with_rng(&mut random);
        let zip: String = ZipCode().fake_with_rng(&mut random);
        address.append_value(format!("{number} {street}\n{city}, {state} {zip}"));
        registered.append_value(FIRST_DAY - random.random_range(0..1_096));
    }
    vec![
        Arc::new(id.finish()),
        Arc::new(name.finish()),
        Arc::new(email.finish()),
        Arc::new(address.finish()),
        Arc::new(registered.finish()),
    ]
}
