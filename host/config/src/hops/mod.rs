//! `[hops.<name>]`: what moves rows.

mod limits;
mod module;
mod ports;
mod timing;

use std::path::PathBuf;

use limits::LIMITS;
use module::{Free, ModuleFile};
use ports::{Lookups, Outputs, Ports, UpstreamName};
use timing::{EVENT_TIME, FLUSH};

use crate::diagnostics::{At, Context};
use crate::document::{Entry, Value};
use crate::keys::{AnyKey, File, Key, KeySet, Maybe, NamedTables, Section, SubTable, Word, Words, check_name};
use sluicebox_core::plan::{EventTime, Flush, HopSpec, Limits, ModuleSpec, OnDeletes, TableName, Upstream};

const FROM: Key<UpstreamName> =
    Key::new("from", UpstreamName, "A source, or a table as `layer.table`.").example(r#""bronze.orders""#);
const MODULE: Key<Maybe<ModuleFile>> =
    Key::new("module", ModuleFile, "The compiled module, relative to this file; without it rows land as they are.")
        .optional()
        .example(r#""modules/clean_orders.wasm""#);
const CONFIG: Key<Free> = Key::new("config", Free, "Handed to the module as one JSON object.")
    .more("Dates have to be written as text. Without the key the module sees an empty object.")
    .default(|| "{}".to_owned())
    .absent("`{}`")
    .example(r#"{ country = "FR" }"#);
const LOOKUPS: Key<Lookups> = Key::new("lookups", Lookups, "The table of each lookup port of the module.")
    .default(Ports::default)
    .absent("none")
    .example(r#"{ countries = "silver.countries" }"#);
const TO: Key<Outputs> =
    Key::new("to", Outputs, "The table of the module's first output, or a table for each output by name.")
        .example(r#""silver.orders""#);
const LIMITS_KEY: Key<SubTable<Limits>> = Key::new("limits", LIMITS, "What one job of the module may use.")
    .default(Limits::default)
    .absent("see [below](#limits)")
    .example(r#"{ memory = "512 MiB" }"#);
const FIXTURES: Key<Maybe<File>> =
    Key::new("fixtures", File, "The folder of the module's fixtures, relative to this file, for `sluice test`.")
        .optional()
        .example(r#""modules/clean_orders/fixtures""#);
const EVENT_TIME_KEY: Key<Maybe<SubTable<EventTime>>> =
    Key::new("event_time", EVENT_TIME, "What says when a row's event happened; the module then gets a watermark.")
        .more("See [below](#event_time).")
        .optional()
        .example(r#"{ column = "ordered_at", lateness = "10m" }"#);
const ON_DELETES: Key<Word<OnDeletes>> = Key::new(
    "on_deletes",
    Word::new(),
    "What happens when another program removes rows of the append table that the hop reads.",
)
.more("See below.")
.default(|| OnDeletes::Stop)
.example(r#""follow""#);
const FLUSH_KEY: Key<SubTable<Flush>> = Key::new("flush", FLUSH, "When the hop commits: at whichever comes first.")
    .default(Flush::default)
    .absent("see [below](#flush)")
    .example(r#"{ time = "5s" }"#);

/// `[hops.<name>]`.
static KEYS: KeySet = KeySet {
    about: "Moves rows from one upstream, through a module if there is one, into tables.",
    keys: &[&FROM, &MODULE, &CONFIG, &LOOKUPS, &TO, &LIMITS_KEY, &FIXTURES, &EVENT_TIME_KEY, &ON_DELETES, &FLUSH_KEY],
};

/// Key sets of hops with their names on the reference page.
pub(crate) static REFERENCE: &[(&str, &KeySet)] = &[
    ("hop", &KEYS),
    ("event_time", &timing::EVENT_TIME_KEYS),
    ("limits", &limits::KEYS),
    ("flush", &timing::FLUSH_KEYS),
];

/// The hops of a file.
pub(crate) const HOPS: NamedTables<HopDraft> = NamedTables { keys: &KEYS, read: draft };

/// A hop as far as it could be read. What it reads and writes is known even where the
/// rest is wrong, so that other hops are not blamed for it.
pub(crate) struct HopDraft {
    pub(crate) name: At<String>,
    pub(crate) from: Option<At<Upstream>>,
    pub(crate) to: Vec<At<TableName>>,
    /// Whether `to` is all that it writes; else it may write any table.
    pub(crate) to_is_whole: bool,
    pub(crate) lookups: Vec<At<TableName>>,
    /// `None` when something about it is wrong; that is already reported.
    pub(crate) spec: Option<HopSpec>,
}

fn draft(cx: &Context, entry: &Entry) -> HopDraft {
    let name = At::new(entry.key.clone(), &entry.key_span);
    let named = check_name(cx, "hop", &entry.key, &entry.key_span);
    let what = format!("hop `{}`", entry.key);
    let Some(section) = Section::open(cx, &KEYS, what, &entry.key_span, &entry.node) else {
        return HopDraft { name, from: None, to: Vec::new(), to_is_whole: false, lookups: Vec::new(), spec: None };
    };
    let from = section.get(&FROM);
    check_outputs(&section);
    let to = section.get(&TO).unwrap_or_else(Ports::unreadable);
    let lookups = section.get(&LOOKUPS).unwrap_or_else(Ports::unreadable);
    let module = module(&section);
    let event_time = section.get(&EVENT_TIME_KEY);
    let on_deletes = section.get(&ON_DELETES);
    if matches!(&from, Some(At { value: Upstream::Source(_), .. })) {
        section.misplaced(&ON_DELETES, "has no use with a source, of which rows are only added", "remove it");
    }
    let flush = section.get(&FLUSH_KEY);
    let spec = || {
        Some(HopSpec {
            name: entry.key.clone(),
            from: from.as_ref()?.value.clone(),
            module: module?,
            to: to.bare()?,
            lookups: lookups.bare()?,
            event_time: event_time?,
            on_deletes: on_deletes?,
            flush: flush?,
        })
    };
    let spec = spec().filter(|_| named);
    HopDraft { name, spec, from, to_is_whole: to.whole, to: to.tables(), lookups: lookups.tables() }
}

impl Words for OnDeletes {
    const ALL: &'static [(&'static str, Self)] =
        &[("stop", Self::Stop), ("follow", Self::Follow), ("skip", Self::Skip)];
}

/// Reports ports in `to` that cannot be.
fn check_outputs(section: &Section<'_>) {
    let Some(Value::Table(entries)) = section.peek(&TO).map(|entry| &entry.node.value) else { return };
    if !section.has(&MODULE) {
        section.misplaced(
            &TO,
            "names output ports, and there is no module to have them",
            "name one table: `to = \"bronze.orders\"`, for example",
        );
    } else if entries.is_empty() {
        section.misplaced(&TO, "names no table", "name a table for at least one output");
    }
}

/// The module of a hop, if there is one; and the keys that only a hop with a module has.
fn module(section: &Section<'_>) -> Option<Option<ModuleSpec>> {
    let path: Option<Option<PathBuf>> = section.get(&MODULE);
    let config = section.get(&CONFIG);
    let limits = section.get(&LIMITS_KEY);
    let fixtures = section.get(&FIXTURES);
    if !section.has(&MODULE) {
        let stray: [&dyn AnyKey; 5] = [&CONFIG, &LOOKUPS, &LIMITS_KEY, &FIXTURES, &EVENT_TIME_KEY];
        for key in stray {
            section.misplaced(key, "has no use without a module", "add `module = \"….wasm\"`, or remove it");
        }
    }
    match path? {
        Some(path) => Some(Some(ModuleSpec { path, config: config?, limits: limits?, fixtures: fixtures? })),
        None => Some(None),
    }
}
