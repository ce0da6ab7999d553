//! The keys of a table that say how its rows lie and what is done to keep it in shape.

use super::{GIB, KIB, Key, Kind, MIB, Section};
use crate::words;
use sluicebox_core::plan::Otherwise;

/// `layout` of a table.
pub static LAYOUT: Section = Section {
    about: "How the table's data files are made.",
    keys: &[
        Key::new("file_size", Kind::Size(64 * KIB, 4 * GIB), "\"64 MiB\"", "A file is complete at this size.")
            .default("\"128 MiB\""),
        Key::new(
            "sort_by",
            Kind::Columns,
            "[\"ordered_at\"]",
            "Columns by which the rows of a commit are sorted, so that readers can skip more.",
        ),
        Key::new(
            "deletion_vectors",
            Kind::Flag,
            "true",
            "Whether replaced rows are marked instead of their files being rewritten; readers must know how.",
        )
        .default("false"),
        Key::new(
            "memory",
            Kind::Size(16 * MIB, 64 * GIB),
            "\"512 MiB\"",
            "Bytes that an upsert or a sort may hold in memory.",
        )
        .default("\"256 MiB\""),
    ],
};

/// An entry of `expect` of a table.
pub static EXPECT: Section = Section {
    about: "What the values of one column must fulfil; null fulfils everything but `not_null`.",
    keys: &[
        Key::new("column", Kind::Text, "\"price\"", "The column.").required(),
        Key::new("not_null", Kind::Flag, "true", "Whether it must not be null.").default("false"),
        Key::new("min", Kind::Bound, "0", "The least value, itself included."),
        Key::new("max", Kind::Bound, "\"100.00\"", "The greatest value, itself included."),
        Key::new("matches", Kind::Text, "\"^[A-Z]{2}$\"", "A regular expression that matches somewhere in the text."),
        Key::new("one_of", Kind::Bounds, "[\"new\", \"paid\"]", "The values that there may be."),
        Key::new("unique", Kind::Flag, "true", "Whether no other row of the same commit may have the value.")
            .default("false"),
        Key::new(
            "unique_within",
            Kind::Columns,
            "[\"order_id\"]",
            "As `unique`, among rows with the same values in these columns.",
        ),
        Key::new(
            "otherwise",
            Kind::Word(words::names::<Otherwise>),
            "\"stop\"",
            "What happens to a row that does not: it is counted and goes on, goes to quarantine, or stops the hop.",
        )
        .default("\"reject\""),
    ],
};

/// `upkeep` of a table.
pub static UPKEEP: Section = Section {
    about: "What is done to keep the table in shape.",
    keys: &[
        Key::new(
            "compact_at",
            Kind::Integer(0, 1_000_000),
            "20",
            "Small files of one partition are put together once there are this many; 0 for never.",
        )
        .default("100"),
        Key::new(
            "z_order",
            Kind::Columns,
            "[\"customer_id\", \"ordered_at\"]",
            "Columns whose values lie close together in the files that are put together.",
        ),
        Key::new(
            "keep_files",
            Kind::Time(HOUR, TEN_YEARS),
            "\"2days\"",
            "Files are removed when no version of this age or younger names them.",
        )
        .default("\"7days\""),
        Key::new(
            "keep_log",
            Kind::Time(HOUR, TEN_YEARS),
            "\"90days\"",
            "Entries of the log are removed at this age, where a checkpoint covers them and no reader needs them.",
        )
        .default("\"30days\""),
        Key::new(
            "every",
            Kind::Time(1_000, TEN_YEARS),
            "\"1h\"",
            "How often all of this is looked after while a pipeline runs; without it, by `sluice maintain` alone.",
        ),
    ],
};

const HOUR: u64 = 60 * 60 * 1_000;
const TEN_YEARS: u64 = 10 * 365 * 24 * HOUR;
