//! The keys that say what a source's columns are called in the lake, which every source has whose columns others name.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::diagnostics::Draft;
use crate::document::Value;
use crate::keys::{Found, Key, Kind, Section, Shape, Word, Words};
use sluicebox_core::columns::same_column;
use sluicebox_core::plan::ColumnNames;

pub(super) const RENAME: Key<Renames> =
    Key::new("rename", Renames, "What columns are called in the lake, by what the source calls them.")
        .more("See [names of columns](#names-of-columns).")
        .default(BTreeMap::new)
        .absent("none")
        .example(r#"{ "Order ID" = "order_id" }"#);
pub(super) const COLUMN_NAMES: Key<Word<NameStyle>> =
    Key::new("column_names", Word::new(), "What columns are called in the lake that `rename` does not name.")
        .more("As the source calls them, or in snake case.")
        .default(|| NameStyle::AsIs)
        .example(r#""snake""#);

/// What a source's columns are called in the lake.
pub(super) fn read(section: &Section<'_>) -> Option<ColumnNames> {
    let style = section.get(&COLUMN_NAMES);
    let rename = section.get(&RENAME);
    Some(ColumnNames { rename: rename?, snake: style? == NameStyle::Snake })
}

/// How names of columns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameStyle {
    AsIs,
    Snake,
}

impl Words for NameStyle {
    const ALL: &'static [(&'static str, Self)] = &[("as_is", Self::AsIs), ("snake", Self::Snake)];
}

/// A table of a source's names for columns to those of the lake.
#[derive(Clone, Copy)]
pub(super) struct Renames;

impl Shape for Renames {
    fn label(&self) -> String {
        "table of text to column".to_owned()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object",
            "additionalProperties": { "type": "string", "minLength": 1 },
            "propertyNames": { "minLength": 1 },
        })
    }
}

impl Kind for Renames {
    type Value = BTreeMap<String, String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<BTreeMap<String, String>> {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut sound = true;
        for entry in found.entries()? {
            let problem = match &entry.node.value {
                Value::Text(name) if name.is_empty() => Some("an empty name".to_owned()),
                Value::Text(name) if name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) => {
                    Some(format!("the name `{name}`, and names in Delta tables have none of ` ,;{{}}()=`"))
                }
                Value::Text(name) if names.values().any(|other| same_column(other, name)) => {
                    Some(format!("the name `{name}`, which another column has"))
                }
                Value::Text(name) => {
                    names.insert(entry.key.clone(), name.clone());
                    None
                }
                Value::Broken => {
                    sound = false;
                    None
                }
                other => Some(format!("{} and not a name", other.kind())),
            };
            if let Some(problem) = problem {
                sound = false;
                let message = format!("`{}` of {} gives column `{}` {problem}", found.name(), found.what(), entry.key);
                found.section.cx.report(
                    Draft::error(message).at(&entry.node.span).hint("write `\"Order ID\" = \"order_id\"`, for example"),
                );
            }
        }
        sound.then_some(names)
    }
}
