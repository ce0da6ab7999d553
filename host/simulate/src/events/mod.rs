//! Events as they come from other people's programs: bytes, some of them broken, some late,
//! some sent twice.

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

/// A bad event: cut off, not UTF-8, not JSON, of a wrong type, or without what it must have.
/// The last two are sound JSON, so that a decoder and a module each have something to refuse.
const FAULTS: u32 = 5;

/// An event is sent again at most so many events later.
const APART: u64 = 1_000;

/// An event is late by at most so many microseconds.
const LATEST: i64 = 600_000_000;

/// Bytes that an event rarely has more of.
const USUAL: usize = 320;

/// Microseconds since 1970 of the first event: 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000_000;

/// The columns of a dataset that comes as events, one JSON object each; `None` for the others.
pub fn event_columns(dataset: Dataset) -> Option<SchemaRef> {
    match dataset {
        Dataset::OrderEvents => Some(orders::columns()),
        Dataset::Reviews => Some(reviews::columns()),
        Dataset::AppEvents => Some(app::columns()),
        Dataset::Customers | Dataset::Products | Dataset::Orders => None,
    }
}

/// Some events, one after another in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Events {
    /// The events `range` of a dataset; none where it does not come as events.
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

/// What an event is made of, apart from what is wrong with it.
struct Moment {
    number: u64,
    /// Microseconds since 1970.
    at: i64,
    /// The kind of its fault, where a field has to be wrong.
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

    /// An event as its sender made it.
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

/// What befalls an event on its way.
struct Fate {
    /// Decides whether it is sent again, or late: at least 0 and below 1.
    lot: f64,
    /// The event so many before is sent again.
    back: u64,
    /// It is late by so many microseconds.
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

/// Breaks the event that begins at `start`, if its fault lies in its bytes.
fn spoil(out: &mut Vec<u8>, start: usize, fault: Option<u32>) {
    match fault {
        Some(0) => out.truncate(start + (out.len() - start) * 2 / 3),
        Some(1) => {
            // No byte of UTF-8 is this one.
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
