//! The file as a tree of values with spans: TOML, without knowledge of pipelines.

use toml::de::{DeTable, DeValue};

use super::syntax;
use crate::diagnostics::{Context, Draft, Span};

/// A value and its span; for a `[table]`, that of its header.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    /// A date, a time or both, as written.
    Moment(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
    /// Already reported; readers ignore it.
    Broken,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

impl Value {
    /// The kind of value, with its article, as messages name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number with a fraction",
            Value::Flag(_) => "a boolean",
            Value::Moment(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Broken => "a broken value",
        }
    }
}

/// The entries of a table; anything else is reported.
pub(crate) fn entries<'a>(cx: &Context, what: &str, node: &'a Node) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Table(entries) => Some(entries),
        Value::Broken => None,
        other => {
            cx.report(Draft::error(format!("{what} must be a table, not {}", other.kind())).at(&node.span));
            None
        }
    }
}

/// Parses the whole file. `None` if its syntax leaves nothing usable; all errors are reported either way.
pub(crate) fn parse(cx: &Context) -> Option<Node> {
    let (root, errors) = DeTable::parse_recoverable(cx.text.body());
    let (draft, reliable) = syntax::explain(&cx.text, &errors);
    draft.into_iter().for_each(|draft| cx.report(draft));
    reliable.then(|| Node { span: 0..0, value: table(cx, root.get_ref()) })
}

fn table(cx: &Context, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Node { span: value.span(), value: convert(cx, value.get_ref(), &value.span()) },
        })
        .collect();
    // The parser sorts by name; columns need the order in which they were written.
    entries.sort_by_key(|entry| entry.key_span.start);
    Value::Table(entries)
}

fn convert(cx: &Context, value: &DeValue<'_>, span: &Span) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => {
                let message = format!("the integer {} does not fit into 64 bits", cx.text.slice(span));
                cx.report(Draft::error(message).at(span));
                Value::Broken
            }
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => Value::Float(float),
            _ => {
                let message = format!("the number {} is not finite", cx.text.slice(span));
                cx.report(Draft::error(message).at(span));
                Value::Broken
            }
        },
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node { span: item.span(), value: convert(cx, item.get_ref(), &item.span()) })
                .collect(),
        ),
        DeValue::Table(entries) => table(cx, entries),
    }
}
