//! Tables with their own keys: one, a list of them, or several by name.

use serde_json::{Value as Json, json};

use crate::diagnostics::{Context, Span};
use crate::document::{Entry, Node, Value};
use crate::keys::describe::{KeySet, Shape};
use crate::keys::json_schema;
use crate::keys::key::Kind;
use crate::keys::section::{Found, Section};

/// A table with its own keys.
pub(crate) struct SubTable<T: 'static> {
    /// Its keys.
    pub(crate) keys: &'static KeySet,
    /// Reads them.
    pub(crate) read: fn(&Section<'_>) -> Option<T>,
}

impl<T: 'static> Clone for SubTable<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for SubTable<T> {}

impl<T: 'static> Shape for SubTable<T> {
    fn label(&self) -> String {
        "table".to_owned()
    }

    fn schema(&self) -> Json {
        json_schema::of(self.keys)
    }

    fn below(&self) -> Option<&'static KeySet> {
        Some(self.keys)
    }

    fn header(&self, name: &str) -> Option<String> {
        Some(format!("a `[{name}]` table"))
    }
}

impl<T: 'static> Kind for SubTable<T> {
    type Value = T;

    fn read(&self, found: &Found<'_, '_>) -> Option<T> {
        (self.read)(&found.open(self.keys)?)
    }
}

/// A list of tables, each with these keys.
pub(crate) struct TableList<T: 'static> {
    /// The keys of each.
    pub(crate) keys: &'static KeySet,
    /// Reads one.
    pub(crate) read: fn(&Section<'_>) -> Option<T>,
}

impl<T: 'static> Clone for TableList<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for TableList<T> {}

impl<T: 'static> Shape for TableList<T> {
    fn label(&self) -> String {
        "list of tables".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": json_schema::of(self.keys) })
    }
}

impl<T: 'static> Kind for TableList<T> {
    type Value = Vec<T>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<T>> {
        let node = found.node();
        let Value::List(items) = &node.value else {
            let hint = match node.value {
                Value::Table(_) => Some(format!("write two brackets: `[[{}.{}]]`", found.section.path(), found.name())),
                _ => None,
            };
            found.wrong("a list of tables", node, hint);
            return None;
        };
        let what = format!("`{}` of {}", found.name(), found.what());
        let read: Vec<T> = items
            .iter()
            .filter_map(|item| {
                (self.read)(&Section::open(found.section.cx, self.keys, what.clone(), head(item), item)?)
            })
            .collect();
        (read.len() == items.len()).then_some(read)
    }
}

/// A table in brackets has no span of its own; its first key is used.
fn head(item: &Node) -> &Span {
    match &item.value {
        Value::Table(entries) => entries.first().map_or(&item.span, |first| &first.key_span),
        _ => &item.span,
    }
}

/// Tables by name, each with these keys.
pub(crate) struct NamedTables<T: 'static> {
    /// The keys of each.
    pub(crate) keys: &'static KeySet,
    /// Reads one.
    pub(crate) read: fn(&Context, &Entry) -> T,
}

impl<T: 'static> Clone for NamedTables<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for NamedTables<T> {}

impl<T: 'static> Shape for NamedTables<T> {
    fn label(&self) -> String {
        "tables by name".to_owned()
    }

    fn schema(&self) -> Json {
        json_schema::named(json_schema::of(self.keys), json_schema::NAME)
    }

    fn header(&self, name: &str) -> Option<String> {
        Some(format!("`[{name}.<name>]` tables"))
    }
}

impl<T: 'static> Kind for NamedTables<T> {
    type Value = Vec<T>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<T>> {
        Some(found.entries()?.iter().map(|entry| (self.read)(found.section.cx, entry)).collect())
    }
}
