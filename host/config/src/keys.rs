//! Every key of the pipeline file, once: the reader checks against this table and the
//! JSON Schema is made of it, so the two cannot disagree.

mod keeping;
mod streams;

pub use keeping::{EXPECT, LAYOUT, UPKEEP};
pub use streams::{AVRO, CAPTURE, CAPTURED, ENTRA, EVENT_HUBS, KAFKA, OAUTH};

use super::words;
use sluicebox_core::plan::{ChangedFiles, Compression, Dataset, Drift, Encoding};

/// A table of the file with a fixed set of keys.
#[derive(Debug)]
pub struct Section {
    /// One sentence for editors and documentation.
    pub about: &'static str,
    /// Its keys, in the order in which documentation lists them.
    pub keys: &'static [Key],
}

impl Section {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key of a section.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What holds without it, as TOML.
    pub default: Option<&'static str>,
    /// A value that a person might write, as TOML.
    pub example: &'static str,
    /// One sentence for hints, editors and documentation.
    pub about: &'static str,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Self {
        Self { name, kind, required: false, default: None, example, about }
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn default(mut self, toml: &'static str) -> Self {
        self.default = Some(toml);
        self
    }
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text but the empty one.
    Text,
    /// Lower-case letters, digits, `-` and `_`.
    Name,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range, both ends included.
    Integer(i64, i64),
    /// A number from 0 to 1.
    Share,
    /// Bytes in this range, as a number or as text with a unit.
    Size(u64, u64),
    /// A duration in this range of milliseconds, as text with a unit.
    Time(u64, u64),
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// Where a secret is to be had: `env:NAME` or `file:PATH`.
    Secret,
    /// Text of exactly one ASCII character.
    Byte,
    /// A list of texts, the empty one included.
    Texts,
    /// A glob or a list of globs.
    Globs,
    /// A value of a column: text, a number, a date or an instant.
    Bound,
    /// A list of values of a column, at least one.
    Bounds,
    /// A list of distinct column names, at least one.
    Columns,
    /// A list of distinct column names, or a table of such a column to a column of the upstream.
    Groups,
    /// Column names with their types.
    ColumnTypes,
    /// Column names with how they are made from other columns.
    Derivations,
    /// A word or a time, or a table of lanes to positions.
    Start,
    /// The name of a source, or `layer.table`.
    Upstream,
    /// `layer.table`, or a table of output port to `layer.table`.
    Outputs,
    /// A table of lookup port to `layer.table`.
    Lookups,
    /// A table of anything.
    Free,
    /// A table with these keys.
    Section(&'static Section),
    /// A list of tables with these keys.
    List(&'static Section),
    /// Tables by name, each with these keys.
    Named(&'static Section),
    /// Tables by layer and name, each with these keys.
    Layered(&'static Section),
    /// Tables by name, each with the keys that its `type` has.
    Sources(&'static [(&'static str, &'static Section)]),
}

/// The longest duration that a key takes: a day.
const DAY: u64 = 24 * 60 * 60 * 1_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The whole file.
pub static FILE: Section = Section {
    about: "A Sluicebox pipeline: sources, tables and the hops between them.",
    keys: &[
        Key::new("pipeline", Kind::Section(&PIPELINE), "{ name = \"shop\" }", "What the pipeline is.").required(),
        Key::new(
            "vars",
            Kind::Named(&VAR),
            "{ data = { type = \"path\" } }",
            "Variables, used as `${name}` in any string.",
        ),
        Key::new(
            "sources",
            Kind::Sources(SOURCES),
            "{ orders = { type = \"simulate\", dataset = \"orders\", rows = 1_000 } }",
            "Where rows come from, by name.",
        ),
        Key::new(
            "tables",
            Kind::Layered(&TABLE),
            "{ silver = { orders = { mode = \"upsert\", key = [\"order_id\"] } } }",
            "Tables that are not plain append tables, by layer and name.",
        ),
        Key::new(
            "hops",
            Kind::Named(&HOP),
            "{ land = { from = \"orders\", to = \"bronze.orders\" } }",
            "What moves rows from one upstream into tables, by name.",
        )
        .required(),
    ],
};

/// `[pipeline]`.
pub static PIPELINE: Section = Section {
    about: "What the pipeline is.",
    keys: &[
        Key::new(
            "name",
            Kind::Name,
            "\"shop-orders\"",
            "The pipeline's name; its progress in the lake is kept under it.",
        )
        .required(),
        Key::new("description", Kind::Text, "\"Orders of the shop, by day.\"", "One sentence for its readers."),
        Key::new(
            "lake",
            Kind::Text,
            "\"lake\"",
            "The folder or URL of the lake, relative to this file; `--lake` overrides it.",
        ),
    ],
};

/// `[vars.<name>]`.
pub static VAR: Section = Section {
    about: "A variable, set with `--var name=value`.",
    keys: &[
        Key::new("type", Kind::Word(words::names::<super::vars::VarType>), "\"path\"", "What its value is.")
            .default("\"string\""),
        Key::new("description", Kind::Text, "\"Folder with the CSV files.\"", "One sentence for its readers."),
        Key::new("default", Kind::Text, "\"data\"", "Its value without `--var`; a path is then relative to this file."),
    ],
};

/// The kinds of `[sources.<name>]`, by the value of `type`.
pub static SOURCES: &[(&str, &Section)] =
    &[("files", &FILES), ("capture", &CAPTURE), ("kafka", &KAFKA), ("eventhubs", &EVENT_HUBS), ("simulate", &SIMULATE)];

/// `[sources.<name>]` with `type = "files"`.
pub static FILES: Section = Section {
    about: "Files in a folder; each file is read once, in the order of its rows.",
    keys: &[
        Key::new("type", Kind::Text, "\"files\"", "The kind of source.").required(),
        Key::new(
            "path",
            Kind::Text,
            "\"${data}\"",
            "The folder, relative to this file, or the URL of an object store.",
        )
        .required(),
        Key::new("glob", Kind::Globs, "\"*orders*.csv\"", "Which files of the folder, as one glob or a list.")
            .default("\"**/*\""),
        Key::new("recursive", Kind::Flag, "true", "Whether folders below it are read too.").default("false"),
        Key::new("format", Kind::Word(words::names::<words::FormatName>), "\"csv\"", "How a file is decoded.")
            .required(),
        Key::new(
            "compression",
            Kind::Word(words::names::<Compression>),
            "\"gzip\"",
            "How a file is compressed; `auto` goes by the ending of its name.",
        )
        .default("\"auto\""),
        Key::new("keep_files", Kind::Flag, "true", "Whether each file is kept unchanged beside the bronze table.")
            .default("false"),
        Key::new(
            "changed_files",
            Kind::Word(words::names::<ChangedFiles>),
            "\"ignore\"",
            "What happens with a file that changed after it was read to its end.",
        )
        .default("\"stop\""),
        Key::new("csv", Kind::Section(&CSV), "{ delimiter = \";\" }", "How CSV is read; only with `format = \"csv\"`."),
        Key::new(
            "jsonl",
            Kind::Section(&JSONL),
            "{ encoding = \"utf-8\" }",
            "How JSON lines are read; only with `format = \"jsonl\"`.",
        ),
        Key::new(
            "columns",
            Kind::ColumnTypes,
            "{ id = \"int64 not null\", name = \"string\" }",
            "The columns in table order; without it they are inferred from the first file.",
        ),
    ],
};

/// `csv` of a files source.
pub static CSV: Section = Section {
    about: "How CSV is read.",
    keys: &[
        Key::new("delimiter", Kind::Byte, "\";\"", "Between fields.").default("\",\""),
        Key::new("quote", Kind::Byte, "\"'\"", "Around fields that hold a delimiter or a newline.").default("'\"'"),
        Key::new(
            "header",
            Kind::Flag,
            "false",
            "Whether the first record names the columns; without it `columns` apply in order.",
        )
        .default("true"),
        Key::new("nulls", Kind::Texts, "[\"NA\"]", "Fields with exactly this text are null, besides the empty one.")
            .default("[]"),
        Key::new("encoding", Kind::Word(words::names::<Encoding>), "\"latin-1\"", "The character encoding.")
            .default("\"utf-8\""),
    ],
};

/// `jsonl` of a files source.
pub static JSONL: Section = Section {
    about: "How JSON lines are read.",
    keys: &[Key::new("encoding", Kind::Word(words::names::<Encoding>), "\"latin-1\"", "The character encoding.")
        .default("\"utf-8\"")],
};

/// `[sources.<name>]` with `type = "simulate"`.
pub static SIMULATE: Section = Section {
    about: "Generated rows: the same seed gives the same rows.",
    keys: &[
        Key::new("type", Kind::Text, "\"simulate\"", "The kind of source.").required(),
        Key::new("dataset", Kind::Word(words::names::<Dataset>), "\"orders\"", "What is generated.").required(),
        Key::new("rows", Kind::Integer(1, 1_000_000_000_000), "200_000", "How many rows.").required(),
        Key::new("seed", Kind::Integer(0, i64::MAX), "42", "The seed.").default("0"),
        Key::new("bad", Kind::Share, "0.01", "The share of rows, from 0 to 1, that are bad on purpose.").default("0.0"),
        Key::new(
            "rate",
            Kind::Integer(0, 1_000_000_000),
            "1_000",
            "Events a second; 0 is as fast as they are taken. Only for datasets of events.",
        )
        .default("0"),
        Key::new(
            "late",
            Kind::Share,
            "0.05",
            "The share of events, from 0 to 1, that come up to 10 minutes after their time.",
        )
        .default("0.0"),
        Key::new(
            "duplicates",
            Kind::Share,
            "0.02",
            "The share of events, from 0 to 1, that were sent before, up to 1,000 events ago.",
        )
        .default("0.0"),
        Key::new("step", Kind::Time(0, DAY), "\"1s\"", "The time between two events, as they tell it.")
            .default("\"10ms\""),
    ],
};

/// `[tables.<layer>.<name>]`.
pub static TABLE: Section = Section {
    about: "A table and the rules for writing it.",
    keys: &[
        Key::new("mode", Kind::Word(words::names::<words::ModeName>), "\"upsert\"", "How rows change the table.")
            .default("\"append\""),
        Key::new(
            "key",
            Kind::Columns,
            "[\"order_id\"]",
            "The columns that name a row, or a group of rows; with `mode = \"upsert\"` or `\"accumulate\"`.",
        ),
        Key::new(
            "order_by",
            Kind::Text,
            "\"updated_at\"",
            "The column that says which of two rows is newer; only with `mode = \"upsert\"`.",
        ),
        Key::new(
            "delete_when",
            Kind::Section(&DELETE_WHEN),
            "{ column = \"op\", is = [\"d\"] }",
            "Which rows remove the row with their key; only with `mode = \"upsert\"`.",
        ),
        Key::new(
            "sum",
            Kind::Columns,
            "[\"amount\"]",
            "The columns that are summed up by key; only with `mode = \"accumulate\"`.",
        ),
        Key::new(
            "count",
            Kind::Text,
            "\"orders\"",
            "The column that counts the rows of a group; only with `mode = \"accumulate\"`.",
        )
        .default("\"rows\""),
        Key::new(
            "by",
            Kind::Groups,
            "[\"date\"]",
            "The columns that name a group, or a table of each to the upstream's column that it is made from; only with `mode = \"replace\"`.",
        ),
        Key::new(
            "change_feed",
            Kind::Flag,
            "true",
            "Whether each commit records which rows it changed; without it, where a hop of this file follows them.",
        ),
        Key::new("partition_by", Kind::Columns, "[\"date\"]", "Columns whose values name the table's folders."),
        Key::new(
            "description",
            Kind::Text,
            "\"One row for each order.\"",
            "One sentence, kept in the table's metadata.",
        ),
        Key::new(
            "derive",
            Kind::Derivations,
            "{ order_date = \"date(ordered_at)\" }",
            "Columns that the host makes out of others: `year`, `month`, `date` and `hour` of a column, or its `bucket`.",
        ),
        Key::new("upkeep", Kind::Section(&UPKEEP), "{ every = \"1h\" }", "What is done to keep the table in shape."),
        Key::new("layout", Kind::Section(&LAYOUT), "{ sort_by = [\"ordered_at\"] }", "How the data files are made."),
        Key::new(
            "expect",
            Kind::List(&EXPECT),
            "[{ column = \"price\", min = 0 }]",
            "What the values of its rows must fulfil.",
        ),
        Key::new(
            "contract",
            Kind::Section(&CONTRACT),
            "{ new_column = \"freeze\" }",
            "What happens when rows do not have the table's columns.",
        ),
    ],
};

/// `delete_when` of a table.
pub static DELETE_WHEN: Section = Section {
    about: "Which rows of an upsert are deletions.",
    keys: &[
        Key::new("column", Kind::Text, "\"op\"", "The column that says so.").required(),
        Key::new("is", Kind::Texts, "[\"d\"]", "Its values, as text, that mean deletion.").required(),
    ],
};

/// `contract` of a table.
pub static CONTRACT: Section = Section {
    about: "What happens when rows do not have the table's columns.",
    keys: &[
        Key::new(
            "new_column",
            Kind::Word(words::names::<Drift>),
            "\"freeze\"",
            "A column that the table does not have.",
        )
        .default("\"evolve\""),
        Key::new(
            "missing_column",
            Kind::Word(words::names::<Drift>),
            "\"reject_row\"",
            "A column of the table that the rows do not have.",
        )
        .default("\"null_value\""),
        Key::new(
            "type_change",
            Kind::Word(words::names::<Drift>),
            "\"freeze\"",
            "A column whose type is not the table's and cannot be widened to it.",
        )
        .default("\"reject_row\""),
    ],
};

/// `[hops.<name>]`.
pub static HOP: Section = Section {
    about: "Moves rows from one upstream, through a module if there is one, into tables.",
    keys: &[
        Key::new("from", Kind::Upstream, "\"bronze.orders\"", "A source, or a table as `layer.table`.").required(),
        Key::new(
            "module",
            Kind::Text,
            "\"modules/clean_orders.wasm\"",
            "The compiled module, relative to this file; without it rows land as they are.",
        ),
        Key::new("config", Kind::Free, "{ country = \"FR\" }", "Handed to the module as one JSON object."),
        Key::new(
            "lookups",
            Kind::Lookups,
            "{ countries = \"silver.countries\" }",
            "The table of each lookup port of the module.",
        ),
        Key::new(
            "to",
            Kind::Outputs,
            "\"silver.orders\"",
            "The table of the module's first output, or a table for each output by name.",
        )
        .required(),
        Key::new("limits", Kind::Section(&LIMITS), "{ memory = \"512 MiB\" }", "What one job of the module may use."),
        Key::new(
            "fixtures",
            Kind::Text,
            "\"modules/clean_orders/fixtures\"",
            "The folder of the module's fixtures, relative to this file, for `sluice test`.",
        ),
        Key::new(
            "event_time",
            Kind::Section(&EVENT_TIME),
            "{ column = \"ordered_at\", lateness = \"10m\" }",
            "What says when a row's event happened; the module then gets a watermark.",
        ),
        Key::new(
            "flush",
            Kind::Section(&FLUSH),
            "{ time = \"5s\" }",
            "When the hop commits: at whichever comes first.",
        ),
    ],
};

/// `event_time` of a hop.
pub static EVENT_TIME: Section = Section {
    about: "Event time, and how far it has come: the watermark.",
    keys: &[
        Key::new("column", Kind::Text, "\"ordered_at\"", "The column of the upstream that holds it, an instant.")
            .required(),
        Key::new("lateness", Kind::Time(0, 31 * DAY), "\"1h\"", "How much later than others rows may come.")
            .default("\"10m\""),
    ],
};

/// `limits` of a hop.
pub static LIMITS: Section = Section {
    about: "What one job of the module may use.",
    keys: &[
        Key::new("memory", Kind::Size(MIB, 4 * GIB), "\"512 MiB\"", "Bytes over all of its memories and tables.")
            .default("\"256 MiB\""),
        Key::new("time", Kind::Time(1, DAY), "\"10s\"", "Wall time of one call.").default("\"2s\""),
        Key::new("output_bytes", Kind::Size(KIB, 4 * GIB), "\"128 MiB\"", "Bytes emitted in one call.")
            .default("\"64 MiB\""),
        Key::new("output_rows", Kind::Integer(1, 1 << 32), "1_000_000", "Rows emitted in one call.")
            .default("4_194_304"),
        Key::new("log_lines", Kind::Integer(0, 1_000_000), "1_000", "Log lines kept of one call.").default("100"),
        Key::new("log_bytes", Kind::Size(0, GIB), "\"1 MiB\"", "Log bytes kept of one call.").default("\"64 KiB\""),
        Key::new("handles", Kind::Integer(1, 1_000_000), "100", "Resource handles alive at once.").default("1_000"),
        // Guests run on threads with 4 MiB of stack; more than 1 MiB of it could end the process.
        Key::new("stack", Kind::Size(64 * KIB, MIB), "\"512 KiB\"", "Bytes of WebAssembly stack.").default("\"1 MiB\""),
    ],
};

/// `flush` of a hop.
pub static FLUSH: Section = Section {
    about: "When the hop commits: at whichever comes first.",
    keys: &[
        Key::new("rows", Kind::Integer(1, 1_000_000_000), "100_000", "Rows taken in.").default("2_000_000"),
        Key::new(
            "bytes",
            Kind::Size(64 * KIB, 64 * GIB),
            "\"64 MiB\"",
            "Bytes of rows taken in, as they lie in memory.",
        )
        .default("\"256 MiB\""),
        Key::new("time", Kind::Time(10, DAY), "\"5s\"", "Time since the first of them.").default("\"30s\""),
    ],
};
