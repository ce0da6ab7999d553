//! Lists of texts, columns and values of columns.

use serde_json::{Value as Json, json};

use crate::diagnostics::{At, Draft};
use crate::document::{Node, Value};
use crate::keys::describe::Shape;
use crate::keys::key::Kind;
use crate::keys::section::Found;

/// A list of texts, the empty text included.
#[derive(Clone, Copy)]
pub(crate) struct Texts;

impl Texts {
    /// The texts with their places. With `single`, one text stands for a list of one.
    pub(crate) fn read_at(found: &Found<'_, '_>, single: bool) -> Option<Vec<At<String>>> {
        let node = found.node();
        let wanted = if single { "a string or a list of strings" } else { "a list of strings" };
        match &node.value {
            Value::List(items) => {
                let texts: Vec<_> = items
                    .iter()
                    .filter_map(|item| match &item.value {
                        Value::Text(text) => Some(At::new(text.clone(), &item.span)),
                        _ => {
                            found.wrong(wanted, item, None);
                            None
                        }
                    })
                    .collect();
                (texts.len() == items.len()).then_some(texts)
            }
            Value::Text(text) if single => Some(vec![At::new(text.clone(), &node.span)]),
            other => {
                let hint = match other {
                    Value::Text(_) => {
                        let written = found.section.cx.text.slice(&node.span);
                        Some(format!("write `{} = [{written}]`", found.name()))
                    }
                    _ => None,
                };
                found.wrong(wanted, node, hint);
                None
            }
        }
    }
}

impl Shape for Texts {
    fn label(&self) -> String {
        "list of texts".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": { "type": "string" } })
    }
}

impl Kind for Texts {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        Some(Self::read_at(found, false)?.into_iter().map(|text| text.value).collect())
    }

    fn toml(&self, value: &Vec<String>) -> Option<String> {
        let items: Vec<String> = value.iter().map(|text| format!("\"{text}\"")).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// A list of distinct column names, at least one.
#[derive(Clone, Copy)]
pub(crate) struct Columns;

impl Shape for Columns {
    fn label(&self) -> String {
        "list of columns".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "uniqueItems": true })
    }
}

impl Kind for Columns {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let columns = Texts::read_at(found, false)?;
        let (name, what) = (found.name(), found.what());
        if columns.is_empty() {
            let hint = "name at least one column, or leave the key out";
            found.report(format!("`{name}` of {what} names no column"), Some(hint.to_owned()));
            return None;
        }
        let mut sound = true;
        let mut refuse = |draft: Draft| {
            found.section.cx.report(draft);
            sound = false;
        };
        for (index, column) in columns.iter().enumerate() {
            if column.value.is_empty() {
                refuse(Draft::error(format!("an empty column name in `{name}` of {what}")).at(&column.span));
            }
            if let Some(first) = columns[..index].iter().find(|first| first.value == column.value) {
                refuse(
                    Draft::error(format!("`{name}` of {what} names column `{}` twice", column.value))
                        .at(&column.span)
                        .also(&first.span, "first named here"),
                );
            }
        }
        sound.then(|| columns.into_iter().map(|column| column.value).collect())
    }
}

/// A value of a column, as text: numbers and dates need no quotes.
#[derive(Clone, Copy)]
pub(crate) struct ColumnValue;

impl ColumnValue {
    fn read_node(found: &Found<'_, '_>, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Moment(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            // As it is written, because a double cannot represent every decimal.
            Value::Float(_) => Some(found.section.cx.text.slice(&node.span).replace('_', "")),
            _ => {
                found.wrong("text, a number or a date", node, None);
                None
            }
        }
    }
}

impl Shape for ColumnValue {
    fn label(&self) -> String {
        "value".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": ["string", "number"] })
    }
}

impl Kind for ColumnValue {
    type Value = String;

    fn read(&self, found: &Found<'_, '_>) -> Option<String> {
        Self::read_node(found, found.node())
    }
}

/// A list of values of a column, at least one.
#[derive(Clone, Copy)]
pub(crate) struct ColumnValues;

impl Shape for ColumnValues {
    fn label(&self) -> String {
        "list of values".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "items": ColumnValue.schema(), "minItems": 1 })
    }
}

impl Kind for ColumnValues {
    type Value = Vec<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<String>> {
        let Value::List(items) = &found.node().value else {
            found.wrong("a list of values", found.node(), None);
            return None;
        };
        if items.is_empty() {
            found.report(format!("`{}` of {} allows no value", found.name(), found.what()), None);
            return None;
        }
        let values: Vec<String> = items.iter().filter_map(|item| ColumnValue::read_node(found, item)).collect();
        (values.len() == items.len()).then_some(values)
    }
}
