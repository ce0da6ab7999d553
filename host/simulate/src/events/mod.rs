//! Generated events of other programs: bytes, some broken, some late, some repeated.

mod app;
mod orders;
mod reviews;
mod text;

use std::ops::Range;

use arrow_schema::{DataType, Field, SchemaRef};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Dice;
use sluicebox_core::plan::{Dataset, SimulateSpec};

/// The kinds of bad events: truncated, not UTF-8, not JSON, of a wrong type, or without a required value. The last
/// two are valid JSON, so that a decoder and a module each have something to reject.
const FAULTS: u32 = 5;

/// A repeated event comes at most this many events later.
const APART: u64 = 1_000;

/// The most microseconds that an event is late.
const LATEST: i64 = 600_000_000;

/// Bytes that an event rarely exceeds.
const USUAL: usize = 320;

/// Microseconds since 1970 of the first event: 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000_000;

/// The columns of a dataset of events, one JSON object each; `None` for other datasets.
pub fn event_columns(dataset: Dataset) -> Option<SchemaRef> {
    match dataset {
        Dataset::OrderEvents => Some(orders::columns()),
        Dataset::Reviews => Some(reviews::columns()),
        Dataset::AppEvents => Some(app::columns()),
        Dataset::Customers | Dataset::Products | Dataset::Orders => None,
    }
}

/// Several events in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Events {
    /// The events `range` of a dataset; none for a dataset without events.
    pub fn of(spec: &SimulateSpec, range: Range<u64>) -> Self {
        let Some(maker) = Maker::new(spec) else { return Self::default() };
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut events = Self { bytes: Vec::with_capacity(count * USUAL), ends: Vec::with_capacity(count) };
        for number in range {
            maker.write(number, &mut events.bytes);
            events.ends.push(events.bytes.len());
        }
        events
    }

    /// Each event's bytes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// The inputs of an event.
struct Moment {
    number: u64,
    /// Microseconds since 1970.
    at: i64,
    /// The kind of its fault, if a field has to be wrong.
    fault: Option<u32>,
}

struct Maker<'a> {
    dice: Dice,
    spec: &'a SimulateSpec,
    one: fn(&Moment, &mut ChaCha8Rng, &mut Vec<u8>),
}

impl<'a> Maker<'a> {
    fn new(spec: &'a SimulateSpec) -> Option<Self> {
        let one = match spec.dataset {
            Dataset::OrderEvents => orders::write,
            Dataset::Reviews => reviews::write,
            Dataset::AppEvents => app::write,
            Dataset::Customers | Dataset::Products | Dataset::Orders => return None,
        };
        Some(Self { dice: Dice::new(spec), spec, one })
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let (mut random, fault) = self.dice.row(number, FAULTS);
        let Fate { lot, back, .. } = Fate::of(&mut random);
        match fault {
            None if lot < self.spec.events.duplicates && back <= number => self.plain(number - back, None, out),
            fault => {
                let start = out.len();
                self.plain(number, fault, out);
                spoil(out, start, fault);
            }
        }
    }

    /// Writes an event without faults of transport.
    fn plain(&self, number: u64, fault: Option<u32>, out: &mut Vec<u8>) {
        let (mut random, _) = self.dice.row(number, FAULTS);
        let Fate { lot, behind, .. } = Fate::of(&mut random);
        let mix = &self.spec.events;
        let late = (mix.duplicates..mix.duplicates + mix.late).contains(&lot);
        let passed = i64::try_from(mix.step.as_micros()).unwrap_or(i64::MAX).saturating_mul(number as i64);
        let at = START.saturating_add(passed).saturating_sub(if late { behind } else { 0 });
        (self.one)(&Moment { number, at, fault }, &mut random, out);
    }
}

/// What happens to an event in transport.
struct Fate {
    /// Decides whether it is repeated or late: at least 0 and below 1.
    lot: f64,
    /// How many events before, if one is repeated.
    back: u64,
    /// How late it is, in microseconds.
    behind: i64,
}

impl Fate {
    fn of(random: &mut ChaCha8Rng) -> Self {
        Self {
            lot: random.random(),
            back: random.random_range(1..=APART),
            behind: random.random_range(1_000_000..=LATEST),
        }
    }
}

/// Corrupts the event that begins at `start`, if its fault is in its bytes.
fn spoil(out: &mut Vec<u8>, start: usize, fault: Option<u32>) {
    match fault {
        Some(0) => out.truncate(start + (out.len() - start) * 2 / 3),
        Some(1) => {
            // This byte is never part of UTF-8.
            let middle = start + (out.len() - start) / 2;
            out[middle] = 0xff;
        }
        Some(2) => {
            out.truncate(start);
            out.extend_from_slice(b"<html><body>502 Bad Gateway</body></html>");
        }
        _ => {}
    }
}

fn nullable(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}
