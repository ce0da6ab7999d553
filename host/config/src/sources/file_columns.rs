//! Columns that are said of a file: parts of its name, and what else is known of it.

use serde_json::{Value as Json, json};

use crate::document::Value;
use crate::keys::{Flag, Found, Key, Kind, Maybe, Section, Shape, Word, Words, find_word, words};
use sluicebox_core::plan::{FileColumns, FileFact, NamePart};

pub(super) const HIVE_FOLDERS: Key<Flag> = Key::new(
    "hive_folders",
    Flag,
    "Whether folders such as `year=2024` are columns: those that are declared, or all where none are.",
)
.more("See [columns from paths](#columns-from-paths).")
.default(|| true)
.example("false");
pub(super) const FILE_NAME: Key<Maybe<NamePattern>> = Key::new(
    "file_name",
    NamePattern,
    "How the name of a file says values of columns, which are text or as declared in `columns`.",
)
.optional()
.example(r#""{store}-{date}.csv""#);
pub(super) const FILE_COLUMNS: Key<Maybe<Facts>> = Key::new(
    "file_columns",
    Facts,
    "Columns with what is known of a file: its `name`, its `path` below the folder, when it was `modified`, its `size`.",
)
.optional()
.example(r#"{ file = "name", written_at = "modified" }"#);

const PATTERN: &str = "write the name with columns in braces: `\"{store}-{date}.csv\"`; a brace itself is `{{` or `}}`";

/// Reads what columns are said of files; `declares` tells which ones are declared.
pub(super) fn read(section: &Section<'_>, declares: impl Fn(&str) -> bool) -> Option<FileColumns> {
    let hive = section.get(&HIVE_FOLDERS);
    let name = section.get(&FILE_NAME);
    let facts = section.get(&FILE_COLUMNS);
    let columns = FileColumns { hive: hive?, name: name?, facts: facts?.unwrap_or_default() };
    is_free(section, &columns, declares).then_some(columns)
}

/// Whether no column is made twice, or declared as one that files hold.
fn is_free(section: &Section<'_>, columns: &FileColumns, declares: impl Fn(&str) -> bool) -> bool {
    let parts = columns.name.iter().flatten().filter_map(|part| match part {
        NamePart::Column(name) => Some(name),
        NamePart::Text(_) => None,
    });
    let names: Vec<&String> = parts.chain(columns.facts.iter().map(|(name, _)| name)).collect();
    let twice =
        names.iter().enumerate().find(|(at, name)| names[..*at].iter().any(|own| own.eq_ignore_ascii_case(name)));
    if let Some((_, name)) = twice {
        section.misplaced(&FILE_COLUMNS, &format!("makes the column `{name}` twice"), "give each a name of its own");
        return false;
    }
    match columns.facts.iter().find(|(name, _)| declares(name)) {
        Some((name, _)) => {
            let why = format!("makes the column `{name}`, which `columns` declares as one of the file");
            section.misplaced(&FILE_COLUMNS, &why, "give it another name, or take it out of `columns`");
            false
        }
        None => true,
    }
}

/// The name of a file, with columns in braces.
#[derive(Clone, Copy)]
pub(super) struct NamePattern;

impl Shape for NamePattern {
    fn label(&self) -> String {
        "text".to_owned()
    }
}

impl Kind for NamePattern {
    type Value = Vec<NamePart>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<NamePart>> {
        let text = found.text()?;
        parse(&text.value)
            .map_err(|why| {
                found.report(format!("`{}` of {} {why}", found.name(), found.what()), Some(PATTERN.to_owned()))
            })
            .ok()
    }
}

/// A table of columns to what they say of a file.
#[derive(Clone, Copy)]
pub(super) struct Facts;

impl Shape for Facts {
    fn label(&self) -> String {
        "table of column to `name`, `path`, `modified` or `size`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "object", "additionalProperties": Word::<FileFact>::new().schema(),
            "propertyNames": { "pattern": "^[^_]" }, "minProperties": 1,
        })
    }
}

impl Kind for Facts {
    type Value = Vec<(String, FileFact)>;

    fn read(&self, found: &Found<'_, '_>) -> Option<Vec<(String, FileFact)>> {
        let entries = found.entries()?;
        let mut facts = Vec::new();
        for entry in entries {
            let fact = match &entry.node.value {
                Value::Text(word) => find_word::<FileFact>(word),
                _ => None,
            };
            let is_column = !entry.key.is_empty() && !entry.key.starts_with('_');
            match fact.filter(|_| is_column) {
                Some(fact) => facts.push((entry.key.clone(), fact)),
                None if !is_column => found.report(
                    format!("`{}` in `{}` of {} is no name for a column", entry.key, found.name(), found.what()),
                    Some("names beginning with `_` are kept for the columns that the host adds".to_owned()),
                ),
                None => {
                    let path = format!("{}.{}", found.name(), entry.key);
                    let known = words::<FileFact>().join("`, `");
                    found.wrong_at(&path, &format!("one of `{known}`"), &entry.node, None);
                }
            }
        }
        (facts.len() == entries.len()).then_some(facts)
    }
}

impl Words for FileFact {
    const ALL: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("path", Self::Path), ("modified", Self::Modified), ("size", Self::Size)];
}

/// The parts of a name; or what is wrong with it.
fn parse(text: &str) -> Result<Vec<NamePart>, String> {
    let (mut parts, mut plain) = (Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some(c) => name.push(c),
                        None => return Err("has a brace that is not closed".to_owned()),
                    }
                }
                let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(letters) {
                    return Err(format!("has `{{{name}}}`, which is no name for a column"));
                }
                if parts.contains(&NamePart::Column(name.clone())) {
                    return Err(format!("has the column `{name}` twice"));
                }
                if !plain.is_empty() {
                    parts.push(NamePart::Text(std::mem::take(&mut plain)));
                } else if matches!(parts.last(), Some(NamePart::Column(_))) {
                    return Err(format!("has nothing between `{{{name}}}` and the column before it"));
                }
                parts.push(NamePart::Column(name));
            }
            '}' => return Err("has a brace that is not opened".to_owned()),
            '/' => return Err("has a slash, and a name has no folders".to_owned()),
            c => plain.push(c),
        }
    }
    if !plain.is_empty() {
        parts.push(NamePart::Text(plain));
    }
    match parts.iter().any(|part| matches!(part, NamePart::Column(_))) {
        true => Ok(parts),
        false => Err("names no column".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_and_columns() {
        let text = |text: &str| NamePart::Text(text.to_owned());
        let column = |name: &str| NamePart::Column(name.to_owned());
        assert_eq!(parse("{store}-{date}.csv"), Ok(vec![column("store"), text("-"), column("date"), text(".csv")]));
        assert_eq!(parse("a{{b}}{x}"), Ok(vec![text("a{b}"), column("x")]));
        for wrong in ["a.csv", "{a}{b}", "{a", "a}", "{}", "{_a}", "{a b}", "{a}-{a}", "x/{a}"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
