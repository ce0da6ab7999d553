//! `limits` of a hop: what one job of its module may use.

use crate::keys::{DAY, GIB, KIB, Key, KeySet, MIB, Section, Size, SubTable, Time, Whole};
use sluicebox_core::plan::Limits;

const MEMORY: Key<Size<u64>> =
    Key::new("memory", Size::from_to(MIB, 4 * GIB), "Bytes over all of its memories and tables.")
        .default(|| Limits::default().memory)
        .example(r#""512 MiB""#);
const TIME: Key<Time> = Key::new("time", Time::from_to(1, DAY), "Wall time of one call.")
    .default(|| Limits::default().time)
    .example(r#""10s""#);
const OUTPUT_BYTES: Key<Size<u64>> =
    Key::new("output_bytes", Size::from_to(KIB, 4 * GIB), "Bytes emitted in one call.")
        .default(|| Limits::default().output_bytes)
        .example(r#""128 MiB""#);
const OUTPUT_ROWS: Key<Whole<u64>> = Key::new("output_rows", Whole::from_to(1, 1 << 32), "Rows emitted in one call.")
    .default(|| Limits::default().output_rows)
    .example("1_000_000");
const LOG_LINES: Key<Whole<u32>> = Key::new("log_lines", Whole::from_to(0, 1_000_000), "Log lines kept of one call.")
    .more("Further ones are counted.")
    .default(|| Limits::default().log_lines)
    .example("1_000");
const LOG_BYTES: Key<Size<u32>> = Key::new("log_bytes", Size::from_to(0, 1 << 30), "Log bytes kept of one call.")
    .default(|| Limits::default().log_bytes)
    .example(r#""1 MiB""#);
const HANDLES: Key<Whole<u32>> = Key::new("handles", Whole::from_to(1, 1_000_000), "Resource handles alive at once.")
    .default(|| Limits::default().handles)
    .example("100");
// Guests run on threads with 4 MiB of stack; more than 1 MiB of it could end the process.
const STACK: Key<Size<u32>> = Key::new("stack", Size::from_to(64 << 10, 1 << 20), "Bytes of WebAssembly stack.")
    .default(|| Limits::default().stack)
    .example(r#""512 KiB""#);

/// `limits` of a hop.
pub(super) static KEYS: KeySet = KeySet {
    about: "What one job of the module may use.",
    keys: &[&MEMORY, &TIME, &OUTPUT_BYTES, &OUTPUT_ROWS, &LOG_LINES, &LOG_BYTES, &HANDLES, &STACK],
};

/// The value of a key `limits`.
pub(super) const LIMITS: SubTable<Limits> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Limits> {
    let memory = section.get(&MEMORY);
    let time = section.get(&TIME);
    let output_bytes = section.get(&OUTPUT_BYTES);
    let output_rows = section.get(&OUTPUT_ROWS);
    let log_lines = section.get(&LOG_LINES);
    let log_bytes = section.get(&LOG_BYTES);
    let handles = section.get(&HANDLES);
    let stack = section.get(&STACK);
    Some(Limits {
        memory: memory?,
        time: time?,
        output_bytes: output_bytes?,
        output_rows: output_rows?,
        log_lines: log_lines?,
        log_bytes: log_bytes?,
        handles: handles?,
        stack: stack?,
    })
}
