//! `[tables.<layer>.<name>]`: tables that are not plain append tables.

use super::context::{At, Context, meant_or_known};
use super::derive;
use super::expect;
use super::keys;
use super::layout;
use super::names::check_table_name;
use super::problem::Draft;
use super::section::{Section, table};
use super::text::Span;
use super::tree::Entry;
use super::words::{self, ModeName};
use crate::plan::{Contract, Drift, Layer, Layout, TableName, TableSpec, Upkeep, WriteMode};

/// A declared table as far as it could be read.
pub(super) struct TableDraft {
    pub(super) name: At<TableName>,
    /// `None` when something about it is wrong; that is already reported.
    pub(super) spec: Option<TableSpec>,
}

/// Reads every declared table of the file.
pub(super) fn read(cx: &Context, layers: &[Entry]) -> Vec<TableDraft> {
    let mut drafts = Vec::new();
    for layer in layers {
        let Some(found) = words::find::<Layer>(&layer.key) else {
            cx.report(
                Draft::error(format!("unknown layer `{}`", layer.key)).at(&layer.key_span).maybe_hint(meant_or_known(
                    &layer.key,
                    "layer",
                    &words::names::<Layer>(),
                )),
            );
            continue;
        };
        let Some(tables) = table(cx, &format!("`tables.{}`", layer.key), &layer.node) else { continue };
        for entry in tables {
            if check_table_name(cx, &entry.key, &entry.key_span) {
                let name = TableName { layer: found, name: entry.key.clone() };
                let spec = spec(cx, &name, entry);
                drafts.push(TableDraft { name: At::new(name, &entry.key_span), spec });
            }
        }
    }
    drafts
}

/// Reads `layer.name`; what is wrong is reported.
pub(super) fn parse_name(cx: &Context, text: &str, span: &Span) -> Option<TableName> {
    let Some((layer, name)) = text.split_once('.') else {
        cx.report(
            Draft::error(format!("`{text}` does not name a table"))
                .at(span)
                .hint(format!("tables are named by layer and name: `silver.{text}`, for example")),
        );
        return None;
    };
    let Some(layer) = words::find::<Layer>(layer) else {
        cx.report(Draft::error(format!("unknown layer `{layer}` in `{text}`")).at(span).maybe_hint(meant_or_known(
            layer,
            "layer",
            &words::names::<Layer>(),
        )));
        return None;
    };
    check_table_name(cx, name, span).then(|| TableName { layer, name: name.to_owned() })
}

/// A table that is used and not declared.
pub(super) fn plain(name: &TableName) -> TableSpec {
    TableSpec::new(name.clone(), WriteMode::Append)
}

fn spec(cx: &Context, name: &TableName, entry: &Entry) -> Option<TableSpec> {
    let what = format!("table `{name}`");
    let section = Section::open(cx, &keys::TABLE, what, &entry.key_span, &entry.node)?;
    let mode = mode(&section, name);
    let partition_by = section.or("partition_by", Vec::new(), Section::columns);
    let description = section.or("description", None, |section, key| Some(Some(section.text(key)?.value)));
    let derive = section.or("derive", Vec::new(), derive::read);
    let expect = section.or("expect", Vec::new(), expect::read);
    let layout = section.or("layout", Layout::default(), |section, key| layout::read(&section.section(key)?));
    let upkeep = section.or("upkeep", Upkeep::default(), |section, key| layout::upkeep(&section.section(key)?));
    let contract = section.or("contract", Contract::default(), |section, key| contract(&section.section(key)?));
    Some(TableSpec {
        name: name.clone(),
        mode: mode?,
        partition_by: partition_by?,
        derive: derive?,
        expect: expect?,
        layout: layout?,
        upkeep: upkeep?,
        contract: contract?,
        description: description?,
        ..TableSpec::new(name.clone(), WriteMode::Append)
    })
}

fn mode(section: &Section<'_>, name: &TableName) -> Option<WriteMode> {
    let has = |key| section.peek(key).is_some();
    let mode = match section.peek("mode") {
        Some(_) => section.word("mode")?,
        None => ModeName::Append,
    };
    let key = has("key").then(|| section.columns("key"));
    let order_by = has("order_by").then(|| section.text("order_by"));
    let by = has("by").then(|| section.columns("by"));
    let word = words::name(mode);
    for (key, home) in [("key", ModeName::Upsert), ("order_by", ModeName::Upsert), ("by", ModeName::Replace)] {
        if mode != home {
            let home = words::name(home);
            let hint = match mode {
                ModeName::Append if !has("mode") => format!("add `mode = \"{home}\"`"),
                _ => format!("remove it, or set `mode = \"{home}\"`"),
            };
            section.misplaced(key, &format!("has no use with mode `{word}`"), &hint);
        }
    }
    if name.layer == Layer::Bronze && mode != ModeName::Append {
        section.misplaced(
            "mode",
            "is not `append`",
            "bronze keeps everything as it arrived; give a silver or gold table this mode",
        );
        return None;
    }
    match mode {
        ModeName::Append => Some(WriteMode::Append),
        ModeName::Overwrite => Some(WriteMode::Overwrite),
        ModeName::Upsert => {
            let Some(key) = key else {
                section.missing("key");
                return None;
            };
            let order_by = match order_by {
                Some(column) => Some(column?.value),
                None => None,
            };
            Some(WriteMode::Upsert { key: key?, order_by, delete_when: None })
        }
        ModeName::Replace => {
            let Some(by) = by else {
                section.missing("by");
                return None;
            };
            Some(WriteMode::Replace { by: by? })
        }
    }
}

fn contract(section: &Section<'_>) -> Option<Contract> {
    let standard = Contract::default();
    let drift = |key, standard: Drift| section.or(key, standard, Section::word);
    let new_column = drift("new_column", standard.new_column);
    let missing_column = drift("missing_column", standard.missing_column);
    let type_change = drift("type_change", standard.type_change);
    Some(Contract { new_column: new_column?, missing_column: missing_column?, type_change: type_change? })
}
