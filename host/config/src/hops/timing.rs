//! `event_time` and `flush` of a hop: its event time, and when it commits.

use std::time::Duration;

use crate::keys::{Column, DAY, GIB, KIB, Key, KeySet, Section, Size, SubTable, Time, Whole};
use sluicebox_core::plan::{EventTime, Flush};

const COLUMN: Key<Column> = Key::new("column", Column, "The column of the upstream that holds it, an instant.")
    .more("Its type is `timestamp`.")
    .example(r#""ordered_at""#);
const LATENESS: Key<Time> =
    Key::new("lateness", Time::from_to(0, 31 * DAY), "How much later than others rows may come.")
        .default(|| Duration::from_secs(600))
        .example(r#""1h""#);

/// `event_time` of a hop.
pub(super) static EVENT_TIME_KEYS: KeySet =
    KeySet { about: "Event time, from which the watermark follows.", keys: &[&COLUMN, &LATENESS] };

/// The value of a key `event_time`.
pub(super) const EVENT_TIME: SubTable<EventTime> = SubTable { keys: &EVENT_TIME_KEYS, read: event_time };

fn event_time(section: &Section<'_>) -> Option<EventTime> {
    let column = section.get(&COLUMN);
    let lateness = section.get(&LATENESS);
    Some(EventTime { column: column?, lateness: lateness? })
}

const ROWS: Key<Whole<u64>> = Key::new("rows", Whole::from_to(1, 1_000_000_000), "Rows taken in.")
    .default(|| Flush::default().rows)
    .example("100_000");
const BYTES: Key<Size<u64>> =
    Key::new("bytes", Size::from_to(64 * KIB, 64 * GIB), "Bytes of rows taken in, as they lie in memory.")
        .default(|| Flush::default().bytes)
        .example(r#""64 MiB""#);
const TIME: Key<Time> = Key::new("time", Time::from_to(10, DAY), "Time since the first of them.")
    .default(|| Flush::default().time)
    .example(r#""5s""#);

/// `flush` of a hop.
pub(super) static FLUSH_KEYS: KeySet =
    KeySet { about: "When the hop commits: at whichever comes first.", keys: &[&ROWS, &BYTES, &TIME] };

/// The value of a key `flush`.
pub(super) const FLUSH: SubTable<Flush> = SubTable { keys: &FLUSH_KEYS, read: flush };

fn flush(section: &Section<'_>) -> Option<Flush> {
    let rows = section.get(&ROWS);
    let bytes = section.get(&BYTES);
    let time = section.get(&TIME);
    Some(Flush { rows: rows?, bytes: bytes?, time: time? })
}
