//! The order file: a CSV that needs cleaning, the same for every machine and run.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Every 50th order is delivered twice in a row.
const REPEAT_EVERY: u64 = 50;
const CATEGORIES: [&str; 6] = ["Electronics", " books", "Clothing ", "HOME DECOR", " toys ", "Food"];
const STATES: [&str; 7] = ["NY", "CA", "IL", "TX", "AZ", "WA", ""];
const SEED: u64 = 42;
/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;

/// What the job must make of the file, counted while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Rows in the file.
    pub rows: u64,
    /// Rows with a quantity below 1.
    pub rejected: u64,
    /// Rows that are copies of the row before.
    pub repeats: u64,
    /// Those of them that would not be rejected: they stay where nobody looks for repeats.
    pub kept_repeats: u64,
    /// Rows in silver: neither rejected nor repeats.
    pub clean: u64,
    /// The sum of their quantities.
    pub quantity: u64,
}

/// The folder below `cache` that holds `orders.csv` with `rows` rows, made now unless it is there.
///
/// # Errors
/// When the file cannot be written.
pub fn cached(cache: &Path, rows: u64) -> io::Result<(PathBuf, Expected)> {
    let folder = cache.join(format!("orders-{rows}"));
    let file = folder.join("orders.csv");
    if file.is_file() {
        return Ok((folder, write(io::sink(), rows)?));
    }
    fs::create_dir_all(&folder)?;
    // Renamed at the end, so that a half-written file is never taken for the whole.
    let draft = folder.join(".orders.csv.draft");
    let expected = write(BufWriter::with_capacity(1 << 20, File::create(&draft)?), rows)?;
    fs::rename(draft, file)?;
    Ok((folder, expected))
}

fn write(mut out: impl Write, rows: u64) -> io::Result<Expected> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut expected = Expected { rows, rejected: 0, repeats: 0, kept_repeats: 0, clean: 0, quantity: 0 };
    let (mut line, mut quantity, mut order) = (String::new(), 0, 0);
    writeln!(out, "order_id,customer_id,product_id,category,state,quantity,price,ts")?;
    for row in 0..rows {
        let repeat = row % REPEAT_EVERY == REPEAT_EVERY - 1;
        if !repeat {
            order += 1;
            quantity = random.random_range(0..9);
            line = format!(
                "{order},{},P{:04},{},{},{quantity},{:.2},{}",
                random.random_range(0..100_000),
                random.random_range(0..5_000),
                CATEGORIES[random.random_range(0..CATEGORIES.len())],
                STATES[random.random_range(0..STATES.len())],
                f64::from(random.random_range(0..50_000)) / 100.0,
                timestamp(START + row / 50),
            );
        }
        writeln!(out, "{line}")?;
        expected.repeats += u64::from(repeat);
        match (quantity, repeat) {
            (0, _) => expected.rejected += 1,
            (_, true) => expected.kept_repeats += 1,
            (_, false) => {
                expected.clean += 1;
                expected.quantity += quantity;
            }
        }
    }
    out.flush()?;
    Ok(expected)
}

/// ISO 8601; months are of 28 days, so every date is valid without a calendar.
fn timestamp(second: u64) -> String {
    let since = second - START;
    let (day, time) = (since / 86_400, since % 86_400);
    let (month, day) = (1 + day / 28, 1 + day % 28);
    format!("2026-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_same_every_time_and_its_counts_add_up() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let expected = write(&mut first, 10_000).unwrap();
        write(&mut second, 10_000).unwrap();
        assert_eq!(first, second);
        let text = String::from_utf8(first).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len() as u64, expected.rows);
        let repeats = lines.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        assert_eq!(repeats, expected.repeats);
        assert_eq!(expected.clean + expected.rejected + expected.kept_repeats, expected.rows);
    }
}
