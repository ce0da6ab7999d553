//! The pipeline file with its variables filled in, as TOML again: what is kept beside the
//! tables, so that it can be read when the file itself has long changed.
//!
//! Like the hash it stands for, it leaves out where a pipeline runs: the lake and the
//! variables. Reading it gives the same hash.

use std::fmt::Write;

use super::tree::{Entry, Value};

/// How deep below a part of the file its sections have headers of their own. What lies deeper
/// stands on one line, in the order of the file: the order of columns has a meaning.
fn depth(part: &str) -> usize {
    match part {
        "sources" | "hops" => 1,
        "tables" => 2,
        _ => 0,
    }
}

/// The whole file as text.
pub(crate) fn text(root: &[Entry]) -> String {
    let mut out = String::from("# The pipeline as it ran, its variables filled in.\n");
    for entry in root.iter().filter(|entry| entry.key != "vars") {
        let Value::Table(entries) = &entry.node.value else { continue };
        let where_it_runs = |inner: &&Entry| entry.key == "pipeline" && inner.key == "lake";
        let kept: Vec<Entry> = entries.iter().filter(|inner| !where_it_runs(inner)).cloned().collect();
        section(&mut out, &key(&entry.key), &kept, depth(&entry.key));
    }
    out
}

fn section(out: &mut String, path: &str, entries: &[Entry], depth: usize) {
    if depth == 0 {
        let _ = writeln!(out, "\n[{path}]");
        for entry in entries {
            let _ = writeln!(out, "{} = {}", key(&entry.key), value(&entry.node.value));
        }
        return;
    }
    for entry in entries {
        if let Value::Table(below) = &entry.node.value {
            section(out, &format!("{path}.{}", key(&entry.key)), below, depth - 1);
        }
    }
}

fn key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { string(key) }
}

fn value(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        // What looks like a variable in a value that was filled in is none.
        Value::Text(text) => string(&text.replace("${", "$${")),
        Value::Integer(integer) => integer.to_string(),
        Value::Float(float) => toml::Value::Float(*float).to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Moment(moment) => moment.clone(),
        Value::List(items) => format!("[{}]", list(items.iter().map(|item| self::value(&item.value)).collect())),
        Value::Table(entries) => {
            let pair = |entry: &Entry| format!("{} = {}", key(&entry.key), self::value(&entry.node.value));
            format!("{{ {} }}", list(entries.iter().map(pair).collect()))
        }
        // A file with a broken value has been refused before anybody asks for its text.
        Value::Broken => string(""),
    }
}

/// A basic string on one line. TOML's own writer might choose several.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
