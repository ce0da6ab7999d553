//! `[[tables.<layer>.<name>.expect]]`: what the values of a column must fulfil.
//!
//! Whether a rule fits the type of its column is found by `check`, once the columns are known.

use regex::Regex;

use super::keys;
use super::problem::Draft;
use super::section::Section;
use super::tree::{Node, Value};
use sluicebox_core::plan::{Expectation, Otherwise, Rule};

/// The keys of which an entry needs one.
const RULES: &[&str] = &["not_null", "min", "max", "matches", "one_of", "unique", "unique_within"];

/// Reads `expect`; what is wrong is reported.
pub(super) fn read(section: &Section<'_>, key: &str) -> Option<Vec<Expectation>> {
    let node = &section.entry(key)?.node;
    let Value::List(items) = &node.value else {
        let hint = match node.value {
            Value::Table(_) => Some(format!("write two brackets: `[[{}.{key}]]`", section.path())),
            _ => None,
        };
        section.wrong(key, "a list of tables", node, hint);
        return None;
    };
    let read: Vec<Expectation> = items.iter().filter_map(|item| entry(section, key, item)).collect();
    (read.len() == items.len()).then_some(read)
}

fn entry(table: &Section<'_>, key: &str, node: &Node) -> Option<Expectation> {
    // A table in brackets has no place of its own; its first key stands for it.
    let head = match &node.value {
        Value::Table(entries) => entries.first().map_or(&node.span, |first| &first.key_span),
        _ => &node.span,
    };
    let section = Section::open(table.cx, &keys::EXPECT, format!("`{key}` of {}", table.what), head, node)?;
    let column = section.text("column");
    let not_null = section.or("not_null", false, Section::flag);
    let min = section.or("min", None, |section, key| section.bound(key).map(Some));
    let max = section.or("max", None, |section, key| section.bound(key).map(Some));
    let matches = section.or("matches", None, |section, key| pattern(section, key).map(Some));
    let one_of = section.or("one_of", None, |section, key| section.bounds(key).map(Some));
    let unique = section.or("unique", false, Section::flag);
    let within = section.or("unique_within", None, |section, key| section.columns(key).map(Some));
    let otherwise = section.or("otherwise", Otherwise::Reject, Section::word);
    let (column, min, max) = (column?.value, min?, max?);
    let mut rules = Vec::new();
    rules.extend(not_null?.then_some(Rule::NotNull));
    if min.is_some() || max.is_some() {
        rules.push(Rule::Range { min, max });
    }
    rules.extend(matches?.map(Rule::Matches));
    rules.extend(one_of?.map(Rule::OneOf));
    rules.extend(match (unique?, within?) {
        (_, Some(within)) => Some(Rule::Unique(within)),
        (true, None) => Some(Rule::Unique(Vec::new())),
        (false, None) => None,
    });
    if rules.is_empty() {
        let draft = Draft::error(format!("{} expects nothing of column `{column}`", section.what)).at(head);
        section.cx.report(draft.hint(format!("add one of {}", super::context::list(RULES))));
        return None;
    }
    Some(Expectation { column, rules, otherwise: otherwise? })
}

fn pattern(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    match Regex::new(&text.value) {
        Ok(_) => Some(text.value),
        Err(error) => {
            // The library draws the expression over several lines; the last says what is wrong.
            let why = error.to_string();
            let why = why.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned();
            section.cx.report(
                Draft::error(format!("`{key}` of {} is no regular expression: {why}", section.what))
                    .at(&text.span)
                    .hint("expressions are those of Rust's regex library; a literal string `'…'` needs no escapes"),
            );
            None
        }
    }
}
