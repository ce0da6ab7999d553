//! `mode` of a table, and the keys that belong to one mode only.

use super::problem::Draft;
use super::section::Section;
use super::tree::Value;
use super::words::{self, ModeName};
use sluicebox_core::plan::{DeleteWhen, Layer, TableName, WriteMode};

/// The name of the column that counts rows where the file gives none.
const COUNT: &str = "rows";

/// How rows change a table.
pub(super) struct Mode {
    pub(super) mode: WriteMode,
    /// With mode `replace`, the upstream column of each column of `by`.
    pub(super) groups_from: Vec<String>,
}

/// Each key that not every mode has, with those that do, the likeliest first.
const HOMES: &[(&str, &[ModeName])] = &[
    ("key", &[ModeName::Upsert, ModeName::Accumulate]),
    ("order_by", &[ModeName::Upsert]),
    ("delete_when", &[ModeName::Upsert]),
    ("sum", &[ModeName::Accumulate]),
    ("count", &[ModeName::Accumulate]),
    ("by", &[ModeName::Replace]),
];

/// Reads the mode of table `name`; what is wrong is reported.
pub(super) fn read(section: &Section<'_>, name: &TableName) -> Option<Mode> {
    let mode = match section.peek("mode") {
        Some(_) => section.word("mode")?,
        None => ModeName::Append,
    };
    report_strangers(section, mode);
    if name.layer == Layer::Bronze && mode != ModeName::Append {
        section.misplaced(
            "mode",
            "is not `append`",
            "bronze keeps everything as it arrived; give a silver or gold table this mode",
        );
        return None;
    }
    let (mode, groups_from) = match mode {
        ModeName::Append => (WriteMode::Append, Vec::new()),
        ModeName::Overwrite => (WriteMode::Overwrite, Vec::new()),
        ModeName::Upsert => (upsert(section)?, Vec::new()),
        ModeName::Accumulate => (accumulate(section)?, Vec::new()),
        ModeName::Replace => {
            let (by, from) = groups(section)?;
            (WriteMode::Replace { by }, from)
        }
    };
    Some(Mode { mode, groups_from })
}

fn report_strangers(section: &Section<'_>, mode: ModeName) {
    for (key, homes) in HOMES.iter().filter(|(_, homes)| !homes.contains(&mode)) {
        let home = words::name(homes[0]);
        let hint = match section.peek("mode") {
            None => format!("add `mode = \"{home}\"`"),
            Some(_) => format!("remove it, or set `mode = \"{home}\"`"),
        };
        section.misplaced(key, &format!("has no use with mode `{}`", words::name(mode)), &hint);
    }
}

fn upsert(section: &Section<'_>) -> Option<WriteMode> {
    let key = needed(section, "key");
    let order_by = section.or("order_by", None, |section, key| Some(Some(section.text(key)?.value)));
    let delete_when = section.or("delete_when", None, |section, key| Some(Some(delete_when(&section.section(key)?)?)));
    Some(WriteMode::Upsert { key: key?, order_by: order_by?, delete_when: delete_when? })
}

fn delete_when(section: &Section<'_>) -> Option<DeleteWhen> {
    let column = section.text("column");
    let is = match section.entry("is") {
        Some(entry) => section.texts("is", false).and_then(|values| {
            if values.is_empty() {
                let message = format!("`is` of {} holds no value, so no row would be deleted", section.what);
                section.cx.report(Draft::error(message).at(&entry.node.span).hint("name a value: `is = [\"d\"]`"));
                return None;
            }
            Some(values.into_iter().map(|value| value.value).collect())
        }),
        None => None,
    };
    Some(DeleteWhen { column: column?.value, is: is? })
}

fn accumulate(section: &Section<'_>) -> Option<WriteMode> {
    let key = needed(section, "key");
    let sum = section.or("sum", Vec::new(), Section::columns);
    let count = section.or("count", COUNT.to_owned(), |section, key| Some(section.text(key)?.value));
    let (key, sum, count) = (key?, sum?, count?);
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let report = |at: &str, message: String, hint: &str| {
        let span = section.peek(at).map_or(&section.head, |entry| &entry.node.span);
        section.cx.report(Draft::error(message).at(span).hint(hint));
        None
    };
    if let Some(both) = sum.iter().find(|column| key.iter().any(|key| same(key, column))) {
        let message = format!("`sum` of {} names `{both}`, which is part of its `key`", section.what);
        return report("sum", message, "a column either names a group or is summed up in it");
    }
    if count.starts_with('_') {
        let message = format!("`count` of {} is `{count}`, and names that begin with `_` are the host's", section.what);
        return report("count", message, "name the column that counts the rows of a group, `orders` for example");
    }
    if let Some(taken) = key.iter().chain(&sum).find(|column| same(column, &count)) {
        let message = format!("the rows of {} are counted in `{count}`, which its `key` or `sum` names", section.what);
        let hint = format!("give the count another name than `{taken}`: `count = \"orders\"`, for example");
        return report("count", message, &hint);
    }
    Some(WriteMode::Accumulate { key, sum, count })
}

/// The columns of `by`, and the upstream's columns that they are made from.
fn groups(section: &Section<'_>) -> Option<(Vec<String>, Vec<String>)> {
    let Some(entry) = section.peek("by") else {
        section.missing("by");
        return None;
    };
    let Value::Table(entries) = &entry.node.value else {
        let by = section.columns("by")?;
        return Some((by.clone(), by));
    };
    if entries.is_empty() {
        let message = format!("`by` of {} names no column", section.what);
        section.cx.report(Draft::error(message).at(&entry.node.span).hint("name at least one column"));
        return None;
    }
    let pairs: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.node.value {
            Value::Text(from) if !from.trim().is_empty() => Some((entry.key.clone(), from.clone())),
            _ => {
                let hint = format!("write `{} = \"order_date\"`, for example", entry.key);
                section.wrong(&format!("by.{}", entry.key), "a column of the upstream", &entry.node, Some(hint));
                None
            }
        })
        .collect();
    (pairs.len() == entries.len()).then(|| pairs.into_iter().unzip())
}

fn needed(section: &Section<'_>, key: &str) -> Option<Vec<String>> {
    if section.peek(key).is_none() {
        section.missing(key);
        return None;
    }
    section.columns(key)
}
