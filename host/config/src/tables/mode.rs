//! `mode` of a table, and the keys that belong to one mode only.

use serde_json::{Value as Json, json};

use crate::diagnostics::Draft;
use crate::document::Value;
use crate::keys::{
    AnyKey, Column, Columns, Found, Key, KeySet, Kind, Maybe, Section, Shape, SubTable, Texts, Word, Words,
    json_schema, word_of,
};
use sluicebox_core::plan::{DeleteWhen, Layer, TableName, WriteMode};

pub(super) const MODE: Key<Word<ModeName>> = Key::new("mode", Word::new(), "How rows change the table.")
    .more("See [below](#modes). Bronze tables are always `append`.")
    .default(|| ModeName::Append)
    .example(r#""upsert""#);
pub(super) const KEY: Key<Maybe<Columns>> = Key::new(
    "key",
    Columns,
    "The columns that name a row, or a group of rows; with `mode = \"upsert\"` or `\"accumulate\"`.",
)
.more("Null is a value like any other, and so is NaN; 0.0 and -0.0 are two.")
.optional()
.absent("required with `upsert` and `accumulate`")
.example(r#"["order_id"]"#);
pub(super) const ORDER_BY: Key<Maybe<Column>> =
    Key::new("order_by", Column, "The column that says which of two rows is newer; only with `mode = \"upsert\"`.")
        .more(
            "Without it, the later of two rows with the same key is. A row with null or NaN in it is older than every \
             row with a value; see [below](#delete_when).",
        )
        .optional()
        .example(r#""updated_at""#);
pub(super) const DELETE_WHEN: Key<Maybe<SubTable<DeleteWhen>>> = Key::new(
    "delete_when",
    SubTable { keys: &DELETE_WHEN_KEYS, read: delete_when },
    "Which rows remove the row with their key; only with `mode = \"upsert\"`.",
)
.more("They do so instead of taking its place.")
.optional()
.example(r#"{ column = "op", is = ["d"] }"#);
pub(super) const SUM: Key<Columns> = Key::new(
    "sum",
    Columns,
    "The columns that are summed up by key; only with `mode = \"accumulate\"`.",
)
.more(
    "Whole numbers, decimals and binary fractions can be. Of the last, what was added cannot always be taken away again \
     to the last digit, and not at all once it was NaN, infinite or much greater than the rest: money wants a decimal.",
)
.default(Vec::new)
.absent("none")
.example(r#"["amount"]"#);
pub(super) const COUNT: Key<Column> = Key::new(
    "count",
    Column,
    "The column that counts the rows of a group; only with `mode = \"accumulate\"`.",
)
.more(
    "The host makes it; rows that bring it, as a module gives that has added rows up already, count as many as they say.",
)
.default(|| "rows".to_owned())
.example(r#""orders""#);
pub(super) const BY: Key<Maybe<Groups>> = Key::new(
    "by",
    Groups,
    "The columns that name a group, or a table of each to the upstream's column that it is made from; only with \
     `mode = \"replace\"`.",
)
.more("As a rule they are the partition columns. Where the upstream calls them by other names, the table says which: `{ day = \"date\" }`.")
.optional()
.absent("required with `replace`")
.example(r#"["date"]"#);

const DELETE_COLUMN: Key<Column> = Key::new("column", Column, "The column that says so.").example(r#""op""#);
const DELETE_IS: Key<DeleteValues> =
    Key::new("is", DeleteValues, "Its values, as text, that mean deletion.").example(r#"["d"]"#);

/// `delete_when` of a table.
pub(super) static DELETE_WHEN_KEYS: KeySet =
    KeySet { about: "Which rows of an upsert are deletions.", keys: &[&DELETE_COLUMN, &DELETE_IS] };

/// The modes of each key that not every mode has, the likeliest first.
const HOMES: &[(&dyn AnyKey, &[ModeName])] = &[
    (&KEY, &[ModeName::Upsert, ModeName::Accumulate]),
    (&ORDER_BY, &[ModeName::Upsert]),
    (&DELETE_WHEN, &[ModeName::Upsert]),
    (&SUM, &[ModeName::Accumulate]),
    (&COUNT, &[ModeName::Accumulate]),
    (&BY, &[ModeName::Replace]),
];

/// The mode of a table.
pub(super) struct Mode {
    pub(super) mode: WriteMode,
    /// With mode `replace`, the upstream column of each column of `by`.
    pub(super) groups_from: Vec<String>,
}

/// Reads the mode of table `name`, and reports problems.
pub(super) fn read(section: &Section<'_>, name: &TableName) -> Option<Mode> {
    let mode = section.get(&MODE)?;
    report_strangers(section, mode);
    if name.layer == Layer::Bronze && mode != ModeName::Append {
        section.misplaced(
            &MODE,
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
            let (by, from) = section.need(&BY)?.into_iter().unzip();
            (WriteMode::Replace { by }, from)
        }
    };
    Some(Mode { mode, groups_from })
}

fn report_strangers(section: &Section<'_>, mode: ModeName) {
    for (key, homes) in HOMES.iter().filter(|(_, homes)| !homes.contains(&mode)) {
        let home = word_of(homes[0]);
        let hint = match section.has(&MODE) {
            false => format!("add `mode = \"{home}\"`"),
            true => format!("remove it, or set `mode = \"{home}\"`"),
        };
        section.misplaced(*key, &format!("has no use with mode `{}`", word_of(mode)), &hint);
    }
}

fn upsert(section: &Section<'_>) -> Option<WriteMode> {
    let key = section.need(&KEY);
    let order_by = section.get(&ORDER_BY);
    let delete_when = section.get(&DELETE_WHEN);
    Some(WriteMode::Upsert { key: key?, order_by: order_by?, delete_when: delete_when? })
}

fn delete_when(section: &Section<'_>) -> Option<DeleteWhen> {
    let column = section.get(&DELETE_COLUMN);
    let is = section.get(&DELETE_IS);
    Some(DeleteWhen { column: column?, is: is? })
}

fn accumulate(section: &Section<'_>) -> Option<WriteMode> {
    let key = section.need(&KEY);
    let sum = section.get(&SUM);
    let count = section.get(&COUNT);
    let (key, sum, count) = (key?, sum?, count?);
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let report = |at: &dyn AnyKey, message: String, hint: &str| {
        section.cx.report(Draft::error(message).at(section.span(at)).hint(hint));
        None
    };
    if let Some(both) = sum.iter().find(|column| key.iter().any(|key| same(key, column))) {
        let message = format!("`sum` of {} names `{both}`, which is part of its `key`", section.what);
        return report(&SUM, message, "a column either names a group or is summed up in it");
    }
    if count.starts_with('_') {
        let message = format!("`count` of {} is `{count}`, and names that begin with `_` are the host's", section.what);
        return report(&COUNT, message, "name the column that counts the rows of a group, `orders` for example");
    }
    if let Some(taken) = key.iter().chain(&sum).find(|column| same(column, &count)) {
        let message = format!("the rows of {} are counted in `{count}`, which its `key` or `sum` names", section.what);
        let hint = format!("give the count another name than `{taken}`: `count = \"orders\"`, for example");
        return report(&COUNT, message, &hint);
    }
    Some(WriteMode::Accumulate { key, sum, count })
}

/// The values that mean deletion, at least one.
#[derive(Clone, Copy)]
struct DeleteValues;

impl Shape for DeleteValues {
    fn label(&self) -> String {
        Texts.label()
    }

    fn schema(&self) -> Json {
        Texts.schema()
    }
}

impl Kind for DeleteValues {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let values = Texts.read(found)?;
        if values.is_empty() {
            let message = format!("`{}` of {} holds no value, so no row would be deleted", found.name(), found.what());
            found.report(message, Some("name a value: `is = [\"d\"]`".to_owned()));
            return None;
        }
        Some(values)
    }
}

/// A list of distinct column names, or a table of such a column to a column of the upstream: pairs of the two.
#[derive(Clone, Copy)]
pub(super) struct Groups;

impl Shape for Groups {
    fn label(&self) -> String {
        "list of columns, or table of column to upstream column".to_owned()
    }

    fn schema(&self) -> Json {
        let table = json!({ "type": "object", "additionalProperties": json_schema::text(), "minProperties": 1 });
        json!({ "anyOf": [Columns.schema(), table] })
    }
}

impl Kind for Groups {
    type Value = Vec<(String, String)>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<(String, String)>> {
        let Value::Table(entries) = &found.node().value else {
            return Some(Columns.read(found)?.into_iter().map(|column| (column.clone(), column)).collect());
        };
        if entries.is_empty() {
            let message = format!("`{}` of {} names no column", found.name(), found.what());
            found.report(message, Some("name at least one column".to_owned()));
            return None;
        }
        let pairs: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.node.value {
                Value::Text(from) if !from.trim().is_empty() => Some((entry.key.clone(), from.clone())),
                _ => {
                    let path = format!("{}.{}", found.name(), entry.key);
                    let hint = format!("write `{} = \"order_date\"`, for example", entry.key);
                    found.wrong_at(&path, "a column of the upstream", &entry.node, Some(hint));
                    None
                }
            })
            .collect();
        (pairs.len() == entries.len()).then_some(pairs)
    }
}

/// The mode of a table, before its columns are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeName {
    Append,
    Upsert,
    Accumulate,
    Overwrite,
    Replace,
}

impl Words for ModeName {
    const ALL: &'static [(&'static str, Self)] = &[
        ("append", Self::Append),
        ("upsert", Self::Upsert),
        ("accumulate", Self::Accumulate),
        ("overwrite", Self::Overwrite),
        ("replace", Self::Replace),
    ];
}
