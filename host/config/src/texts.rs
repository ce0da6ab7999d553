//! Reads text: free, names, words, single characters, and lists of them.

use super::context::{At, meant_or_known};
use super::names::check_name;
use super::problem::Draft;
use super::section::Section;
use super::tree::{Node, Value};
use super::words::{self, Word};

impl<'a> Section<'a> {
    /// Text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<At<String>> {
        let (text, node) = self.raw_text(key)?;
        if text.trim().is_empty() {
            let example = self.rules.key(key).map_or("…", |rule| rule.example);
            self.cx.report(
                Draft::error(format!("`{key}` of {} is empty", self.what))
                    .at(&node.span)
                    .hint(format!("write `{key} = {example}`, for example")),
            );
            return None;
        }
        Some(At::new(text.clone(), &node.span))
    }

    /// The name of a `noun`.
    pub(super) fn name(&self, key: &str, noun: &str) -> Option<At<String>> {
        let name = self.text(key)?;
        check_name(self.cx, noun, &name.value, &name.span).then_some(name)
    }

    /// One of the words of `T`.
    pub(super) fn word<T: Word>(&self, key: &str) -> Option<T> {
        let (text, node) = self.raw_text(key)?;
        match words::find(text) {
            Some(value) => Some(value),
            None => {
                self.cx.report(
                    Draft::error(format!("unknown `{key}` `{text}` in {}", self.what))
                        .at(&node.span)
                        .maybe_hint(meant_or_known(text, "possible value", &words::names::<T>())),
                );
                None
            }
        }
    }

    /// Exactly one ASCII character.
    pub(super) fn byte(&self, key: &str) -> Option<u8> {
        let (text, node) = self.raw_text(key)?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
            _ => {
                self.cx.report(
                    Draft::error(format!("`{key}` of {} must be one ASCII character", self.what))
                        .at(&node.span)
                        .hint("common ones are `,`, `;`, `|` and, for a tab, `\"\\t\"`"),
                );
                None
            }
        }
    }

    /// A list of texts, or where `single` allows it one text.
    pub(super) fn texts(&self, key: &str, single: bool) -> Option<Vec<At<String>>> {
        let node = &self.entry(key)?.node;
        let wanted = if single { "a string or a list of strings" } else { "a list of strings" };
        match &node.value {
            Value::List(items) => {
                let texts: Vec<_> = items
                    .iter()
                    .filter_map(|item| match &item.value {
                        Value::Text(text) => Some(At::new(text.clone(), &item.span)),
                        _ => {
                            self.wrong(key, wanted, item, None);
                            None
                        }
                    })
                    .collect();
                (texts.len() == items.len()).then_some(texts)
            }
            Value::Text(text) if single => Some(vec![At::new(text.clone(), &node.span)]),
            other => {
                let hint = match other {
                    Value::Text(_) => Some(format!("write `{key} = [{}]`", self.cx.text.slice(&node.span))),
                    _ => None,
                };
                self.wrong(key, wanted, node, hint);
                None
            }
        }
    }

    /// A value of a column, as text: numbers and dates may stand without quotes.
    pub(super) fn bound(&self, key: &str) -> Option<String> {
        self.value_of(key, &self.entry(key)?.node)
    }

    /// A list of values of a column, at least one.
    pub(super) fn bounds(&self, key: &str) -> Option<Vec<String>> {
        let node = &self.entry(key)?.node;
        let Value::List(items) = &node.value else {
            self.wrong(key, "a list of values", node, None);
            return None;
        };
        if items.is_empty() {
            self.cx.report(Draft::error(format!("`{key}` of {} allows no value", self.what)).at(&node.span));
            return None;
        }
        let values: Vec<String> = items.iter().filter_map(|item| self.value_of(key, item)).collect();
        (values.len() == items.len()).then_some(values)
    }

    fn value_of(&self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Moment(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            // As it is written: a double would not hold every decimal.
            Value::Float(_) => Some(self.cx.text.slice(&node.span).replace('_', "")),
            _ => {
                self.wrong(key, "text, a number or a date", node, None);
                None
            }
        }
    }

    /// A list of distinct column names, at least one.
    pub(super) fn columns(&self, key: &str) -> Option<Vec<String>> {
        let columns = self.texts(key, false)?;
        let span = self.peek(key).map_or(&self.head, |entry| &entry.node.span);
        if columns.is_empty() {
            self.cx.report(
                Draft::error(format!("`{key}` of {} names no column", self.what))
                    .at(span)
                    .hint("name at least one column, or leave the key out"),
            );
            return None;
        }
        let mut sound = true;
        for (index, column) in columns.iter().enumerate() {
            if column.value.is_empty() {
                self.cx
                    .report(Draft::error(format!("an empty column name in `{key}` of {}", self.what)).at(&column.span));
                sound = false;
            }
            if let Some(first) = columns[..index].iter().find(|first| first.value == column.value) {
                self.cx.report(
                    Draft::error(format!("`{key}` of {} names column `{}` twice", self.what, column.value))
                        .at(&column.span)
                        .also(&first.span, "first named here"),
                );
                sound = false;
            }
        }
        sound.then(|| columns.into_iter().map(|column| column.value).collect())
    }

    fn raw_text(&self, key: &str) -> Option<(&'a String, &'a Node)> {
        let node = &self.entry(key)?.node;
        match &node.value {
            Value::Text(text) => Some((text, node)),
            other => {
                let hint = match other {
                    Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Moment(_) => {
                        Some(format!("write it in quotes: `{key} = \"{}\"`", self.cx.text.slice(&node.span)))
                    }
                    _ => None,
                };
                self.wrong(key, "a string", node, hint);
                None
            }
        }
    }
}
