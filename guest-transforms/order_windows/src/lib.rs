//! Sales of a live shop by window of time, state and product.

use std::hash::BuildHasher;
use std::iter::zip;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::Deserialize;
use sluicebox_sdk::prelude::*;

/// Adds orders up in tumbling windows, for a table of mode `accumulate` with `orders` as its
/// count. A cancelled order is no sale.
///
/// It gives sums of what came since the last commit, so that the table adds few rows, and
/// remembers nothing beyond: rows that come late correct their window whenever they come.
pub struct OrderWindows {
    windows: Windows,
    size: i64,
    cancelled: String,
    groups: Vec<Group>,
    places: HashTable<usize>,
}

/// What a window is, and what is no sale.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "a_minute")]
    seconds: u32,
    #[serde(default = "cancelled")]
    cancelled: String,
}

fn a_minute() -> u32 {
    60
}

fn cancelled() -> String {
    "Cancelled".to_owned()
}

struct Group {
    start: i64,
    state: String,
    product: String,
    /// In hundredths.
    sales: i128,
    items: i64,
    orders: i64,
}

/// The same seed in every run: a module's output must not depend on chance.
const HASHER: FixedState = FixedState::with_seed(0);

/// Groups that are held before they are given; a commit gives the rest.
const HELD: usize = 65_536;

impl Transform for OrderWindows {
    type Config = Config;

    fn describe(config: &Config) -> Result<Descriptor> {
        Windows::tumbling(Duration::from_secs(config.seconds.into()))?;
        Ok(Descriptor::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .rows(
                "orders",
                [
                    timestamp("timestamp"),
                    utf8("state"),
                    utf8("product"),
                    int32("quantity"),
                    decimal("total_amount", 21, 2),
                    utf8("delivery_status"),
                ],
            )
            .output(
                "windows",
                [
                    required(timestamp("window_start")),
                    required(timestamp("window_end")),
                    required(utf8("state")),
                    required(utf8("product")),
                    required(decimal("total_sales", 38, 2)),
                    required(int64("total_items")),
                    required(int64("orders")),
                ],
            ))
    }

    fn open(config: Config, _: &Inputs, _: Option<&State>) -> Result<Self> {
        let windows = Windows::tumbling(Duration::from_secs(config.seconds.into()))?;
        let size = i64::from(config.seconds) * 1_000_000;
        Ok(Self { windows, size, cancelled: config.cancelled, groups: Vec::new(), places: HashTable::new() })
    }

    fn rows(&mut self, rows: &Rows, out: &mut Out) -> Result<()> {
        let (at, state, product) = (rows.timestamp("timestamp")?, rows.utf8("state")?, rows.utf8("product")?);
        let (quantity, amount) = (rows.i32("quantity")?, rows.decimal("total_amount")?);
        let status = rows.utf8("delivery_status")?;
        for row in rows.indexes() {
            if status.get(row) == Some(&self.cancelled) {
                continue;
            }
            let (at, state, product) = match (at.required(row), state.required(row), product.required(row)) {
                (Ok(at), Ok(state), Ok(product)) => (at, state, product),
                (Err(reason), _, _) | (_, Err(reason), _) | (_, _, Err(reason)) => {
                    out.reject(row, reason);
                    continue;
                }
            };
            let group = self.group(self.windows.start(at), state, product);
            group.sales += amount.get(row).unwrap_or(0);
            group.items += i64::from(quantity.get(row).unwrap_or(0));
            group.orders += 1;
        }
        if self.groups.len() >= HELD { self.give(out) } else { Ok(()) }
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        self.give(out)
    }

    fn flush(&mut self, _: Option<i64>, out: &mut Out) -> Result<()> {
        self.give(out)
    }
}

impl OrderWindows {
    fn group(&mut self, start: i64, state: &str, product: &str) -> &mut Group {
        let Self { groups, places, .. } = self;
        let hash = HASHER.hash_one((start, state, product));
        let same = |place: &usize| {
            let group = &groups[*place];
            group.start == start && group.state == state && group.product == product
        };
        let of =
            |place: &usize| HASHER.hash_one((groups[*place].start, &*groups[*place].state, &*groups[*place].product));
        let place = match places.entry(hash, same, of) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(groups.len()).get(),
        };
        if place == groups.len() {
            let (state, product) = (state.to_owned(), product.to_owned());
            groups.push(Group { start, state, product, sales: 0, items: 0, orders: 0 });
        }
        &mut groups[place]
    }

    fn give(&mut self, out: &mut Out) -> Result<()> {
        self.places.clear();
        let groups = std::mem::take(&mut self.groups);
        if groups.is_empty() {
            return Ok(());
        }
        let starts: Vec<i64> = groups.iter().map(|group| group.start).collect();
        let ends = zip(&starts, std::iter::repeat(self.size)).map(|(start, size)| start.saturating_add(size));
        let ends = timestamps(ends);
        out.emit(
            "windows",
            vec![
                timestamps(starts),
                ends,
                strings(groups.iter().map(|group| group.state.as_str())),
                strings(groups.iter().map(|group| group.product.as_str())),
                decimals(38, 2, groups.iter().map(|group| group.sales))?,
                int64s(groups.iter().map(|group| group.items)),
                int64s(groups.iter().map(|group| group.orders)),
            ],
        )
    }
}

sluicebox_sdk::export!(OrderWindows);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_hold() {
        Harness::<OrderWindows>::check_fixture("fixtures/orders");
    }
}
