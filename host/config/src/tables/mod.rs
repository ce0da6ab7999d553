//! `[tables.<layer>.<name>]`: tables that are not plain append tables.

mod contract;
mod derive;
mod expect;
mod layout;
mod mode;
mod name;
mod upkeep;

use serde_json::{Map, Value as Json, json};

use contract::CONTRACT;
use derive::Derivations;
use expect::EXPECT;
use layout::LAYOUT;
use upkeep::UPKEEP;

use crate::diagnostics::{At, Context};
use crate::document::{Entry, entries};
use crate::keys::{
    Columns, Flag, Found, Key, KeySet, Kind, Maybe, Section, Shape, SubTable, TableList, Text, check_table_name,
    json_schema, words,
};
use sluicebox_core::plan::{Contract, Expectation, Layer, Layout, TableName, TableSpec, Upkeep, WriteMode};

pub(crate) use mode::ModeName;
pub(crate) use name::{parse_name, schema as name_schema};

const CHANGE_FEED: Key<Maybe<Flag>> = Key::new(
    "change_feed",
    Flag,
    "Whether each commit records which rows it changed; without it, where a hop of this file follows them.",
)
.more("This is Delta's change data feed.")
.optional()
.absent("where a hop of this file follows the table")
.example("true");
const PARTITION_BY: Key<Columns> = Key::new("partition_by", Columns, "Columns whose values name the table's folders.")
    .default(Vec::new)
    .absent("none")
    .example(r#"["date"]"#);
const DESCRIPTION: Key<Maybe<Text>> = Key::new("description", Text, "One sentence, kept in the table's metadata.")
    .optional()
    .example(r#""One row for each order.""#);
const DERIVE: Key<Derivations> = Key::new(
    "derive",
    Derivations,
    "Columns that the host derives from others: `year`, `month`, `date` and `hour` of a column, or its `bucket`.",
)
.more("See [below](#derive).")
.default(Vec::new)
.absent("none")
.example(r#"{ order_date = "date(ordered_at)" }"#);
const UPKEEP_KEY: Key<SubTable<Upkeep>> = Key::new("upkeep", UPKEEP, "How the table is maintained.")
    .default(Upkeep::default)
    .absent("see [below](#upkeep)")
    .example(r#"{ every = "1h" }"#);
const LAYOUT_KEY: Key<SubTable<Layout>> = Key::new("layout", LAYOUT, "How the data files are made.")
    .default(Layout::default)
    .absent("see [below](#layout)")
    .example(r#"{ sort_by = ["ordered_at"] }"#);
const EXPECT_KEY: Key<TableList<Expectation>> = Key::new("expect", EXPECT, "What the values of its rows must fulfil.")
    .more("See [below](#expect).")
    .default(Vec::new)
    .absent("none")
    .example(r#"[{ column = "price", min = 0 }]"#);
const CONTRACT_KEY: Key<SubTable<Contract>> =
    Key::new("contract", CONTRACT, "What happens when rows do not have the table's columns.")
        .default(Contract::default)
        .absent("see [below](#contract)")
        .example(r#"{ new_column = "freeze" }"#);

/// `[tables.<layer>.<name>]`.
static KEYS: KeySet = KeySet {
    about: "A table and the rules for writing it.",
    keys: &[
        &mode::MODE,
        &mode::KEY,
        &mode::ORDER_BY,
        &mode::DELETE_WHEN,
        &mode::SUM,
        &mode::COUNT,
        &mode::BY,
        &CHANGE_FEED,
        &PARTITION_BY,
        &DESCRIPTION,
        &DERIVE,
        &UPKEEP_KEY,
        &LAYOUT_KEY,
        &EXPECT_KEY,
        &CONTRACT_KEY,
    ],
};

/// Key sets of tables with their names on the reference page.
pub(crate) static REFERENCE: &[(&str, &KeySet)] = &[
    ("table", &KEYS),
    ("delete_when", &mode::DELETE_WHEN_KEYS),
    ("contract", &contract::KEYS),
    ("expect", &expect::KEYS),
    ("layout", &layout::KEYS),
    ("upkeep", &upkeep::KEYS),
];

/// A declared table as far as it could be read.
pub(crate) struct TableDraft {
    pub(crate) name: At<TableName>,
    /// `None` if something is wrong; that is already reported.
    pub(crate) spec: Option<TableSpec>,
    /// The value of `change_feed`, if it is set.
    pub(crate) change_feed: Option<At<bool>>,
}

/// Tables by layer and name.
#[derive(Clone, Copy)]
pub(crate) struct Tables;

impl Shape for Tables {
    fn label(&self) -> String {
        "tables by layer and name".to_owned()
    }

    fn schema(&self) -> Json {
        let one_layer = || json_schema::named(json_schema::of(&KEYS), json_schema::TABLE_NAME);
        let layers: Map<String, Json> =
            words::<Layer>().into_iter().map(|layer| (layer.to_owned(), one_layer())).collect();
        json!({ "type": "object", "properties": layers, "additionalProperties": false })
    }
}

impl Kind for Tables {
    type Value = Vec<TableDraft>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<TableDraft>> {
        let cx = found.section.cx;
        let mut drafts = Vec::new();
        for layer in found.entries()? {
            let shown = format!("`{}`", layer.key);
            let Some(layer_found) = name::parse_layer(cx, &layer.key, &shown, &layer.key_span) else { continue };
            let Some(tables) = entries(cx, &format!("`tables.{}`", layer.key), &layer.node) else { continue };
            for entry in tables {
                if check_table_name(cx, &entry.key, &entry.key_span) {
                    let name = TableName { layer: layer_found, name: entry.key.clone() };
                    drafts.push(draft(cx, At::new(name, &entry.key_span), entry));
                }
            }
        }
        Some(drafts)
    }
}

/// An undeclared table.
pub(crate) fn plain(name: &TableName) -> TableSpec {
    TableSpec::new(name.clone(), WriteMode::Append)
}

fn draft(cx: &Context, name: At<TableName>, entry: &Entry) -> TableDraft {
    let what = format!("table `{}`", name.value);
    let Some(section) = Section::open(cx, &KEYS, what, &entry.key_span, &entry.node) else {
        return TableDraft { name, spec: None, change_feed: None };
    };
    let change_feed = section.get(&CHANGE_FEED);
    let spec = spec(&section, &name.value)
        .zip(change_feed)
        .map(|(spec, flag)| TableSpec { changes: flag.unwrap_or(false), ..spec });
    let change_feed = change_feed.flatten().map(|flag| At::new(flag, section.span(&CHANGE_FEED)));
    TableDraft { name, spec, change_feed }
}

fn spec(section: &Section<'_>, name: &TableName) -> Option<TableSpec> {
    let mode = mode::read(section, name);
    let partition_by = section.get(&PARTITION_BY);
    let description = section.get(&DESCRIPTION);
    let derive = section.get(&DERIVE);
    let expect = section.get(&EXPECT_KEY);
    let layout = section.get(&LAYOUT_KEY);
    let upkeep = section.get(&UPKEEP_KEY);
    let contract = section.get(&CONTRACT_KEY);
    let mode::Mode { mode, groups_from } = mode?;
    Some(TableSpec {
        groups_from,
        partition_by: partition_by?,
        derive: derive?,
        expect: expect?,
        layout: layout?,
        upkeep: upkeep?,
        contract: contract?,
        description: description?,
        ..TableSpec::new(name.clone(), mode)
    })
}
