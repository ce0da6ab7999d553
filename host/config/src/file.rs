//! The whole file: its parts, and the plan made from them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::diagnostics::Context;
use crate::document::{self, Entry, Node, Places, Value};
use crate::hops::{HOPS, HopDraft};
use crate::keys::{Key, KeySet, Location, Maybe, Name, NamedTables, Section, SubTable, Text, json_schema as schema_of};
use crate::links::{self, Parts};
use crate::sources::{self, Sources};
use crate::tables::{self, Tables};
use crate::vars::{self, Vars};
use sluicebox_core::plan::{Plan, TableName, TableSpec, Upstream};

const PIPELINE: Key<SubTable<Pipeline>> =
    Key::new("pipeline", SubTable { keys: &PIPELINE_KEYS, read: pipeline }, "What the pipeline is.")
        .example(r#"{ name = "shop" }"#);
const VARS: Key<NamedTables<()>> = Key::new(
    "vars",
    // Variables are read first, because everything else may use them.
    NamedTables { keys: &vars::KEYS, read: |_, _| () },
    "Variables, used as `${name}` in any string.",
)
.default(Vec::new)
.example(r#"{ data = { type = "path" } }"#);
const SOURCES: Key<Sources> = Key::new("sources", Sources, "Where rows come from, by name.")
    .default(Vec::new)
    .example(r#"{ orders = { type = "simulate", dataset = "orders", rows = 1_000 } }"#);
const TABLES: Key<Tables> = Key::new("tables", Tables, "Tables that are not plain append tables, by layer and name.")
    .default(Vec::new)
    .example(r#"{ silver = { orders = { mode = "upsert", key = ["order_id"] } } }"#);
const HOPS_KEY: Key<NamedTables<HopDraft>> =
    Key::new("hops", HOPS, "What moves rows from one upstream into tables, by name.")
        .example(r#"{ land = { from = "orders", to = "bronze.orders" } }"#);

/// The whole file.
static KEYS: KeySet = KeySet {
    about: "A Sluicebox pipeline: sources, tables and the hops between them.",
    keys: &[&PIPELINE, &VARS, &SOURCES, &TABLES, &HOPS_KEY],
};

const NAME: Key<Name> =
    Key::new("name", Name("pipeline"), "The pipeline's name; its progress in the lake is kept under it.")
        .more("A renamed pipeline starts from the beginning.")
        .example(r#""shop-orders""#);
const DESCRIPTION: Key<Maybe<Text>> = Key::new("description", Text, "One sentence for its readers.")
    .optional()
    .example(r#""Orders of the shop, by day.""#);
const LAKE: Key<Maybe<Location>> =
    Key::new("lake", Location, "The folder or URL of the lake, relative to this file; `--lake` overrides it.")
        .optional()
        .absent("`lake` in the working directory")
        .example(r#""lake""#);

/// `[pipeline]`.
static PIPELINE_KEYS: KeySet = KeySet { about: "What the pipeline is.", keys: &[&NAME, &DESCRIPTION, &LAKE] };

/// Key sets of the file as a whole with their names on the reference page.
pub(crate) static REFERENCE: &[(&str, &KeySet)] = &[("pipeline", &PIPELINE_KEYS), ("vars", &vars::KEYS)];

/// The JSON Schema of pipeline files for editors, in draft 07, which they support best.
pub fn json_schema() -> Json {
    let mut schema = schema_of::of(&KEYS);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Sluicebox pipeline");
    schema
}

/// A parsed file.
pub(crate) struct Read {
    pub(crate) plan: Plan,
    /// The lake that it names: an absolute path or a URL.
    pub(crate) lake: Option<String>,
    /// The places of the keys.
    pub(crate) places: Places,
}

struct Pipeline {
    name: String,
    lake: Option<String>,
}

fn pipeline(section: &Section<'_>) -> Option<Pipeline> {
    let name = section.get(&NAME);
    let lake = section.get(&LAKE);
    section.get(&DESCRIPTION)?;
    Some(Pipeline { name: name?, lake: lake? })
}

/// Reads the file, its variables set by `given`. `None` only after an error was reported.
pub(crate) fn read(cx: &Context, given: &BTreeMap<String, String>) -> Option<Read> {
    let mut root = document::parse(cx)?;
    let Value::Table(entries) = &mut root.value else { return None };
    let vars = Vars::read(cx, entries, given);
    for entry in entries.iter_mut().filter(|entry| entry.key != "vars") {
        // Keys that take a secret are keys of sources.
        let keys_of: fn(&Node) -> Option<&'static KeySet> =
            if entry.key == "sources" { sources::keys_of } else { |_| None };
        vars.fill(cx, &mut entry.node, keys_of);
    }
    let file = Section::open_file(cx, &KEYS, &root)?;
    let pipeline = file.get(&PIPELINE);
    let parts = Parts {
        sources: file.get(&SOURCES).unwrap_or_default(),
        tables: file.get(&TABLES).unwrap_or_default(),
        hops: file.get(&HOPS_KEY).unwrap_or_default(),
    };
    if parts.hops.is_empty() {
        file.misplaced(&HOPS_KEY, "holds no hop", "add a hop: `[hops.land]` with `from` and `to`");
    }
    let order = links::check(cx, &parts);
    if cx.has_errors() {
        return None;
    }
    vars.report_unused(cx);
    links::report_unused(cx, &parts);
    let Value::Table(entries) = &root.value else { return None };
    let followed = links::followed(&parts);
    let text = document::resolved_text(entries);
    let Pipeline { name, lake } = pipeline?;
    let plan = assemble(name, config_hash(entries), text, parts, &order?, &followed)?;
    Some(Read { plan, lake, places: Places::new(cx.text.clone(), entries) })
}

fn config_hash(entries: &[Entry]) -> String {
    hex::encode(Sha256::digest(document::canonical(entries).as_bytes()))
}

fn assemble(
    name: String,
    config_hash: String,
    text: String,
    parts: Parts,
    order: &[usize],
    followed: &[TableName],
) -> Option<Plan> {
    let sources = parts.sources.into_iter().map(|source| source.spec).collect::<Option<Vec<_>>>()?;
    let mut hops: Vec<_> = parts.hops.into_iter().map(|hop| hop.spec).collect();
    let hops = order.iter().map(|&index| hops[index].take()).collect::<Option<Vec<_>>>()?;
    let declared = parts.tables.into_iter().map(|table| table.spec).collect::<Option<Vec<_>>>()?;
    let mut tables: Vec<TableSpec> = Vec::new();
    let mut add = |name: &TableName| {
        if !tables.iter().any(|table| table.name == *name) {
            let spec = declared.iter().find(|table| table.name == *name);
            tables.push(spec.cloned().unwrap_or_else(|| tables::plain(name)));
        }
    };
    for hop in &hops {
        if let Upstream::Table(table) = &hop.from {
            add(table);
        }
        hop.lookups.iter().for_each(|(_, table)| add(table));
        hop.to.iter().for_each(|(_, table)| add(table));
    }
    for table in tables.iter_mut().filter(|table| followed.contains(&table.name)) {
        table.changes = true;
    }
    Some(Plan { name, config_hash, text, sources, tables, hops })
}
