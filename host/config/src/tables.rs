//! `[tables.<layer>.<name>]`: tables that are not plain append tables.

use super::context::{At, Context, meant_or_known};
use super::derive;
use super::expect;
use super::keys;
use super::layout;
use super::mode::{self, Mode};
use super::names::check_table_name;
use super::problem::Draft;
use super::section::{Section, table};
use super::text::Span;
use super::tree::Entry;
use super::words;
use sluicebox_core::plan::{Contract, Drift, Layer, Layout, TableName, TableSpec, Upkeep, WriteMode};

/// A declared table as far as it could be read.
pub(super) struct TableDraft {
    pub(super) name: At<TableName>,
    /// `None` when something about it is wrong; that is already reported.
    pub(super) spec: Option<TableSpec>,
    /// What the file says about recording changes, if anything.
    pub(super) change_feed: Option<At<bool>>,
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
                drafts.push(draft(cx, At::new(name, &entry.key_span), entry));
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

fn draft(cx: &Context, name: At<TableName>, entry: &Entry) -> TableDraft {
    let what = format!("table `{}`", name.value);
    let Some(section) = Section::open(cx, &keys::TABLE, what, &entry.key_span, &entry.node) else {
        return TableDraft { name, spec: None, change_feed: None };
    };
    let change_feed = section.or("change_feed", None, |section, key| Some(Some(section.flag(key)?)));
    let spec = spec(&section, &name.value)
        .zip(change_feed)
        .map(|(spec, flag)| TableSpec { changes: flag.unwrap_or(false), ..spec });
    let place = section.peek("change_feed").map(|entry| &entry.node.span);
    let change_feed = change_feed.flatten().zip(place).map(|(flag, span)| At::new(flag, span));
    TableDraft { name, spec, change_feed }
}

fn spec(section: &Section<'_>, name: &TableName) -> Option<TableSpec> {
    let mode = mode::read(section, name);
    let partition_by = section.or("partition_by", Vec::new(), Section::columns);
    let description = section.or("description", None, |section, key| Some(Some(section.text(key)?.value)));
    let derive = section.or("derive", Vec::new(), derive::read);
    let expect = section.or("expect", Vec::new(), expect::read);
    let layout = section.or("layout", Layout::default(), |section, key| layout::read(&section.section(key)?));
    let upkeep = section.or("upkeep", Upkeep::default(), |section, key| layout::upkeep(&section.section(key)?));
    let contract = section.or("contract", Contract::default(), |section, key| contract(&section.section(key)?));
    let Mode { mode, groups_from } = mode?;
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

fn contract(section: &Section<'_>) -> Option<Contract> {
    let standard = Contract::default();
    let drift = |key, standard: Drift| section.or(key, standard, Section::word);
    let new_column = drift("new_column", standard.new_column);
    let missing_column = drift("missing_column", standard.missing_column);
    let type_change = drift("type_change", standard.type_change);
    Some(Contract { new_column: new_column?, missing_column: missing_column?, type_change: type_change? })
}
