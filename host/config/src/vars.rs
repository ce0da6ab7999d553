//! Variables: what `${name}` stands for, and filling it in.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use super::context::{Context, meant, meant_or_known};
use super::keys::{self, Kind};
use super::names::check_name;
use super::paths;
use super::problem::Draft;
use super::section::{Section, table};
use super::text::Span;
use super::tree::{Entry, Node, Value};
use super::words::Word;

/// What a variable's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VarType {
    String,
    Path,
}

impl Word for VarType {
    const ALL: &'static [(&'static str, Self)] = &[("string", Self::String), ("path", Self::Path)];
}

/// Every variable that the file declares.
pub(super) struct Vars(BTreeMap<String, Var>);

struct Var {
    /// `None` when it could not be found out; that is already reported.
    value: Option<String>,
    declared: Span,
    used: Cell<bool>,
}

impl Vars {
    /// Reads `[vars]` and gives each variable its value: from `given`, else its default.
    pub(super) fn read(cx: &Context, root: &[Entry], given: &BTreeMap<String, String>, folder: &Path) -> Self {
        let declared = root.iter().find(|entry| entry.key == "vars");
        let entries = declared.and_then(|entry| table(cx, "`vars`", &entry.node)).unwrap_or_default();
        let vars = entries.iter().map(|entry| (entry.key.clone(), read(cx, entry, given, folder))).collect();
        let vars = Self(vars);
        for name in given.keys().filter(|name| !vars.0.contains_key(*name)) {
            let hint = match vars.names().as_slice() {
                [] => "this pipeline declares no variables".to_owned(),
                names => meant_or_known(name, "variable", names).unwrap_or_default(),
            };
            cx.report(Draft::error(format!("unknown variable `{name}` in `--var {name}=…`")).hint(hint));
        }
        vars
    }

    /// Fills in the variables of every string below `node`, which stands in the file's part `part`.
    pub(super) fn fill(&self, cx: &Context, part: &str, node: &mut Node) {
        let Value::Table(entries) = &mut node.value else { return self.fill_in(cx, node, None) };
        for entry in entries {
            // Keys that take a secret are keys of sources.
            let rules = if part == "sources" { rules_of(&entry.node) } else { None };
            self.fill_in(cx, &mut entry.node, rules);
        }
    }

    /// As [`Vars::fill`]; the rules say of which keys the value may refer to a secret.
    fn fill_in(&self, cx: &Context, node: &mut Node, rules: Option<&'static keys::Section>) {
        match &mut node.value {
            Value::Text(text) => {
                let filled = self.filled(cx, text, &node.span, false);
                node.value = filled.map_or(Value::Broken, Value::Text);
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.fill_in(cx, item, None)),
            Value::Table(entries) => {
                for entry in entries {
                    let kind = rules.and_then(|rules| rules.key(&entry.key)).map(|key| key.kind);
                    match (&entry.node.value, kind) {
                        (Value::Text(text), Some(Kind::Secret)) => {
                            let filled = self.filled(cx, text, &entry.node.span, true);
                            entry.node.value = filled.map_or(Value::Broken, Value::Text);
                        }
                        (_, Some(Kind::Section(inner))) => self.fill_in(cx, &mut entry.node, Some(inner)),
                        _ => self.fill_in(cx, &mut entry.node, None),
                    }
                }
            }
            Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Moment(_) | Value::Broken => {}
        }
    }

    /// Warns of every variable that nothing uses.
    pub(super) fn report_unused(&self, cx: &Context) {
        for (name, var) in self.0.iter().filter(|(_, var)| !var.used.get()) {
            cx.report(
                Draft::warning(format!("variable `{name}` is never used"))
                    .at(&var.declared)
                    .hint(format!("write `${{{name}}}` where its value belongs, or remove it")),
            );
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn filled(&self, cx: &Context, text: &str, span: &Span, secret: bool) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut sound = true;
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            if let Some(escaped) = before.strip_suffix('$') {
                out.push_str(escaped);
                out.push_str("${");
                rest = &reference[2..];
                continue;
            }
            out.push_str(before);
            let Some(end) = reference.find('}') else {
                cx.report(
                    Draft::error("a `${` without its `}`")
                        .at(span)
                        .hint("a variable is written `${name}`; a literal `${` is written `$${`"),
                );
                return None;
            };
            let name = &reference[2..end];
            match self.value(cx, name, &reference[..=end], span) {
                Some(value) => out.push_str(value),
                None => sound = false,
            }
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        if let Some(scheme) = secret_scheme(&out).filter(|_| !secret) {
            report_secret(cx, scheme, span);
            return None;
        }
        sound.then_some(out)
    }

    fn value(&self, cx: &Context, name: &str, written: &str, span: &Span) -> Option<&str> {
        let within = cx
            .text
            .slice(span)
            .find(written)
            .map_or(span.clone(), |offset| span.start + offset..span.start + offset + written.len());
        if let Some(scheme) = secret_scheme(name) {
            report_secret(cx, scheme, &within);
            return None;
        }
        match self.0.get(name) {
            Some(var) => {
                var.used.set(true);
                var.value.as_deref()
            }
            None => {
                let hint = match meant(name, self.names()) {
                    Some(candidate) => format!("did you mean `${{{candidate}}}`?"),
                    None => format!("declare it with a `[vars.{name}]` table"),
                };
                cx.report(Draft::error(format!("unknown variable `{name}`")).at(&within).hint(hint));
                None
            }
        }
    }
}

fn read(cx: &Context, entry: &Entry, given: &BTreeMap<String, String>, folder: &Path) -> Var {
    let name = &entry.key;
    check_name(cx, "variable", name, &entry.key_span);
    let what = format!("variable `{name}`");
    let value = Section::open(cx, &keys::VAR, what, &entry.key_span, &entry.node)
        .and_then(|section| value(&section, name, given.get(name), folder));
    Var { value, declared: entry.key_span.clone(), used: Cell::new(false) }
}

fn value(section: &Section<'_>, name: &str, given: Option<&String>, folder: &Path) -> Option<String> {
    section.or("description", None, |section, key| section.text(key).map(Some));
    let kind = section.or("type", VarType::String, Section::word)?;
    if let Some(given) = given {
        return resolve(section, name, kind, given, Path::new(""));
    }
    // An empty default is a value like any other, so it is not read as text that must not be empty.
    match section.peek("default").map(|entry| &entry.node) {
        Some(Node { value: Value::Text(text), span }) if text.contains("${") => {
            section.cx.report(
                Draft::error(format!("the default of variable `{name}` refers to another variable"))
                    .at(span)
                    .hint("variables are not used inside `[vars]`; put both where the value is used"),
            );
            None
        }
        Some(Node { value: Value::Text(text), .. }) => resolve(section, name, kind, text, folder),
        Some(other) => {
            section.wrong("default", "a string", other, None);
            None
        }
        None => {
            section.cx.report(
                Draft::error(format!("variable `{name}` has no value"))
                    .at(&section.head)
                    .hint(format!("give it one with `--var {name}=…`, or give it a `default`")),
            );
            None
        }
    }
}

/// The value as it is filled in: a path is made absolute, from `base` or the working directory.
fn resolve(section: &Section<'_>, name: &str, kind: VarType, value: &str, base: &Path) -> Option<String> {
    if kind == VarType::String || paths::is_url(value) {
        return Some(value.to_owned());
    }
    let refuse = |message: String| {
        section.cx.report(Draft::error(message).at(&section.head).hint("the working directory itself is `.`"));
        None
    };
    match paths::absolute(&base.join(value)) {
        _ if value.is_empty() => refuse(format!("variable `{name}` is a path, and its value is empty")),
        Ok(path) => Some(path),
        Err(error) => refuse(format!("variable `{name}` is not a usable path: {error}")),
    }
}

/// The keys that a source has by its type.
fn rules_of(source: &Node) -> Option<&'static keys::Section> {
    let Value::Table(entries) = &source.value else { return None };
    let Value::Text(kind) = &entries.iter().find(|entry| entry.key == "type")?.node.value else { return None };
    keys::SOURCES.iter().find(|(name, _)| name == kind).map(|(_, section)| *section)
}

/// The scheme of a reference to a secret. Handing such text on as it is would put the reference
/// where the secret was meant to be.
fn secret_scheme(text: &str) -> Option<&'static str> {
    ["env", "file", "keyvault"].into_iter().find(|scheme| {
        let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':'));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with("//") && !rest.contains(char::is_whitespace))
    })
}

fn report_secret(cx: &Context, scheme: &str, span: &Span) {
    cx.report(
        Draft::error(format!("references to secrets, such as `{scheme}:…`, are not supported here"))
            .at(span)
            .hint("only keys that ask for a secret take one, as `password` of a Kafka source does; use a variable, `${name}`, for what is not secret"),
    );
}
