//! `upkeep` of a table: its maintenance.

use crate::keys::{Columns, DAY, Key, KeySet, Maybe, Section, SubTable, Time, Whole};
use sluicebox_core::plan::Upkeep;

const COMPACT_AT: Key<Whole<u64>> = Key::new(
    "compact_at",
    Whole::from_to(0, 1_000_000),
    "Small files of one partition are compacted once there are this many; 0 for never.",
)
.more("A file is small below half of `file_size`.")
.default(|| Upkeep::default().compact_at)
.example("20");
const Z_ORDER: Key<Columns> =
    Key::new("z_order", Columns, "Columns whose values lie close together in compacted files.")
        .more("Without it, rows keep their order.")
        .default(|| Upkeep::default().z_order)
        .absent("none")
        .example(r#"["customer_id", "ordered_at"]"#);
const KEEP_FILES: Key<Time> = Key::new(
    "keep_files",
    Time::from_to(HOUR, TEN_YEARS),
    "Files are removed when no version of this age or younger names them.",
)
.default(|| Upkeep::default().keep_files)
.example(r#""2days""#);
const KEEP_LOG: Key<Time> = Key::new(
    "keep_log",
    Time::from_to(HOUR, TEN_YEARS),
    "Entries of the log are removed at this age, where a checkpoint covers them and no reader needs them.",
)
.default(|| Upkeep::default().keep_log)
.example(r#""90days""#);
const EVERY: Key<Maybe<Time>> = Key::new(
    "every",
    Time::from_to(1_000, TEN_YEARS),
    "How often the table is maintained while a pipeline runs; without it, only by `sluice maintain`.",
)
.optional()
.example(r#""1h""#);

const HOUR: u64 = 60 * 60 * 1_000;
const TEN_YEARS: u64 = 10 * 365 * DAY;

/// `upkeep` of a table.
pub(super) static KEYS: KeySet =
    KeySet { about: "How the table is maintained.", keys: &[&COMPACT_AT, &Z_ORDER, &KEEP_FILES, &KEEP_LOG, &EVERY] };

/// The value of a key `upkeep`.
pub(super) const UPKEEP: SubTable<Upkeep> = SubTable { keys: &KEYS, read };

fn read(section: &Section<'_>) -> Option<Upkeep> {
    let compact_at = section.get(&COMPACT_AT);
    let z_order = section.get(&Z_ORDER);
    let keep_files = section.get(&KEEP_FILES);
    let keep_log = section.get(&KEEP_LOG);
    let every = section.get(&EVERY);
    let (keep_files, keep_log) = (keep_files?, keep_log?);
    if keep_log < keep_files {
        section.misplaced(
            &KEEP_LOG,
            "is shorter than `keep_files`",
            "the log says which files are still needed, so it is kept at least as long",
        );
        return None;
    }
    Some(Upkeep { compact_at: compact_at?, z_order: z_order?, keep_files, keep_log, every: every? })
}
