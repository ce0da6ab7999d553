//! `[sources.<name>]` with `type = "simulate"`.

use super::{SourceType, Type, type_key};
use crate::keys::{DAY, Key, KeySet, Section, Share, Time, Whole, Word, Words, word_of};
use sluicebox_core::plan::{Dataset, EventMix, SimulateSpec, SourceKind};

const KIND: Key<Type> = type_key("simulate");
const DATASET: Key<Word<Dataset>> = Key::new("dataset", Word::new(), "What is generated.").example(r#""orders""#);
const ROWS: Key<Whole<u64>> =
    Key::new("rows", Whole::from_to(1, 1_000_000_000_000), "How many rows.").example("200_000");
const SEED: Key<Whole<u64>> =
    Key::new("seed", Whole::from_to(0, i64::MAX.unsigned_abs()), "The seed.").default(|| 0).example("42");
const BAD: Key<Share> =
    Key::new("bad", Share, "The share of rows, from 0 to 1, that are bad on purpose.").default(|| 0.0).example("0.01");
const RATE: Key<Whole<u64>> = Key::new(
    "rate",
    Whole::from_to(0, 1_000_000_000),
    "Events a second; 0 is as fast as they are taken. Only for datasets of events.",
)
.default(|| EventMix::default().rate)
.example("1_000");
const LATE: Key<Share> =
    Key::new("late", Share, "The share of events, from 0 to 1, that come up to 10 minutes after their time.")
        .default(|| EventMix::default().late)
        .example("0.05");
const DUPLICATES: Key<Share> =
    Key::new("duplicates", Share, "The share of events, from 0 to 1, that were sent before, up to 1,000 events ago.")
        .default(|| EventMix::default().duplicates)
        .example("0.02");
const STEP: Key<Time> = Key::new("step", Time::from_to(0, DAY), "The time between two events, as they tell it.")
    .default(|| EventMix::default().step)
    .example(r#""1s""#);

/// `[sources.<name>]` with `type = "simulate"`.
pub(super) static KEYS: KeySet = KeySet {
    about: "Generated rows: the same seed gives the same rows.",
    keys: &[&KIND, &DATASET, &ROWS, &SEED, &BAD, &RATE, &LATE, &DUPLICATES, &STEP],
};

/// Generated rows.
pub(super) const TYPE: SourceType =
    SourceType { name: "simulate", keys: &KEYS, read: |section| read(section).map(SourceKind::Simulate) };

fn read(section: &Section<'_>) -> Option<SimulateSpec> {
    let dataset = section.get(&DATASET);
    let rows = section.get(&ROWS);
    let seed = section.get(&SEED);
    let bad = section.get(&BAD);
    let rate = section.get(&RATE);
    let late = section.get(&LATE);
    let duplicates = section.get(&DUPLICATES);
    let step = section.get(&STEP);
    let dataset = dataset?;
    if !matches!(dataset, Dataset::OrderEvents | Dataset::Reviews | Dataset::AppEvents) {
        let why = format!("has no use with dataset `{}`", word_of(dataset));
        let hint = "remove it, or take `order-events`, `reviews` or `app-events`";
        section.misplaced(&RATE, &why, hint);
        section.misplaced(&LATE, &why, hint);
        section.misplaced(&DUPLICATES, &why, hint);
        section.misplaced(&STEP, &why, hint);
    }
    let events = EventMix { rate: rate?, late: late?, duplicates: duplicates?, step: step? };
    if events.late + events.duplicates > 1.0 {
        section.misplaced(&LATE, "and `duplicates` are more than all events", "lower one of them");
        return None;
    }
    Some(SimulateSpec { dataset, rows: rows?, seed: seed?, bad: bad?, events })
}

impl Words for Dataset {
    const ALL: &'static [(&'static str, Self)] = &[
        ("customers", Self::Customers),
        ("products", Self::Products),
        ("orders", Self::Orders),
        ("order-events", Self::OrderEvents),
        ("reviews", Self::Reviews),
        ("app-events", Self::AppEvents),
    ];
}
