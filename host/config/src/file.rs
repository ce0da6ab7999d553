//! The whole file: its parts, and the plan made from them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::diagnostics::Context;
use crate::document::{self, Entry, Node, Places, Value};
use crate::hops::{HOPS, HopDraft};
use crate::kept;
use crate::keys::{
    Found, Key, KeySet, Kind, Location, Maybe, Name, NamedTables, Section, Shape, SubTable, Text,
    json_schema as schema_of,
};
use crate::links::{self, Parts};
use crate::sources::{self, Sources};
use crate::tables::{self, Tables};
use crate::vars::{self, Vars};
use sluicebox_core::columns::SystemNames;
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

const SYSTEM_PREFIX: Key<Prefix> =
    Key::new("system_prefix", Prefix, "What the names of the columns begin with that the host adds.")
        .more("Those are `_lane`, `_position`, `_ingested_at`, `_rescued` and the ones of messages and changes.")
        .default(SystemNames::default)
        .example(r#""_sluice_""#);

/// `[pipeline]`.
static PIPELINE_KEYS: KeySet =
    KeySet { about: "What the pipeline is.", keys: &[&NAME, &DESCRIPTION, &LAKE, &SYSTEM_PREFIX] };

/// What the names of the host's own columns begin with.
#[derive(Clone, Copy)]
struct Prefix;

impl Shape for Prefix {
    fn label(&self) -> String {
        "letters, digits and `_`".to_owned()
    }

    fn schema(&self) -> Json {
        schema_of::pattern("^[A-Za-z_][A-Za-z0-9_]*$")
    }
}

impl Kind for Prefix {
    type Value = SystemNames;

    fn read(&self, found: &Found<'_, '_>) -> Option<SystemNames> {
        let prefix = found.text()?.value;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if prefix.chars().all(plain) && !prefix.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(SystemNames::new(&prefix));
        }
        found.report(
            format!("`{}` is `{prefix}`, and a prefix is made of letters, digits and `_`", found.name()),
            Some("write `system_prefix = \"_sluice_\"`, for example".to_owned()),
        );
        None
    }

    fn toml(&self, value: &SystemNames) -> Option<String> {
        Some(format!("\"{}\"", value.prefix()))
    }
}

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
    system: SystemNames,
}

fn pipeline(section: &Section<'_>) -> Option<Pipeline> {
    let name = section.get(&NAME);
    let lake = section.get(&LAKE);
    let system = section.get(&SYSTEM_PREFIX);
    section.get(&DESCRIPTION)?;
    Some(Pipeline { name: name?, lake: lake?, system: system? })
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
        // What makes tables must be known to make them again.
        let may_be_secret = matches!(entry.key.as_str(), "sources" | "pipeline");
        vars.fill(cx, &mut entry.node, may_be_secret, keys_of);
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
    let kept = kept::entries(entries, &vars);
    let text = document::resolved_text(&kept);
    let Pipeline { name, lake, system } = pipeline?;
    let head = Head { name, config_hash: config_hash(&kept), text, system };
    let plan = assemble(head, parts, &order?, &followed)?;
    Some(Read { plan, lake, places: Places::new(cx.text.clone(), entries) })
}

fn config_hash(entries: &[Entry]) -> String {
    hex::encode(Sha256::digest(document::canonical(entries).as_bytes()))
}

/// What a plan says of the pipeline as a whole.
struct Head {
    name: String,
    config_hash: String,
    text: String,
    system: SystemNames,
}

fn assemble(head: Head, parts: Parts, order: &[usize], followed: &[TableName]) -> Option<Plan> {
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
    for table in &mut tables {
        table.system = head.system.clone();
    }
    let Head { name, config_hash, text, system } = head;
    Some(Plan { name, config_hash, text, system, sources, tables, hops })
}
