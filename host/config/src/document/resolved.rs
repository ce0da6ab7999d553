//! The pipeline file with its variables filled in, as TOML: the artifact that is stored in the lake, so that it can
//! be read when the file itself has changed.
//!
//! Like its hash, it leaves out where a pipeline runs: the lake and the variables. Reading it gives the same hash.

use std::fmt::Write;

use super::tree::{Entry, Value};

/// The depth to which sections of a part have their own headers. Deeper tables are on one line, in the order of the
/// file, because the order of columns is significant.
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
        // A substituted value may look like a variable, and is escaped.
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
        // A file with a broken value was rejected before this.
        Value::Broken => string(""),
    }
}

/// A basic string on one line. TOML's own writer might use several.
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
