//! Variables: what `${name}` stands for, and filling it in.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::diagnostics::{At, Context, Draft, Span, meant, meant_or_known};
use crate::document::{Entry, Node, Value, entries};
use crate::keys::{Found, Key, KeySet, Kind, Maybe, Section, Shape, Text, Word, Words, absolute, check_name, is_url};

const TYPE: Key<Word<VarType>> = Key::new("type", Word::new(), "What its value is.")
    .more("A `path` from `--var` is relative to the working directory, a default one to the pipeline file. A `secret` may be used in sources and for the lake alone, and is not kept with the pipeline beside its tables.")
    .default(|| VarType::String)
    .example(r#""path""#);
const DESCRIPTION: Key<Maybe<Text>> = Key::new("description", Text, "One sentence for its readers.")
    .optional()
    .example(r#""Folder with the CSV files.""#);
const DEFAULT: Key<Maybe<DefaultText>> =
    Key::new("default", DefaultText, "Its value without `--var`; a path is then relative to this file.")
        .more("Without a default, `--var` is required.")
        .optional()
        .example(r#""data""#);

/// `[vars.<name>]`.
pub(crate) static KEYS: KeySet =
    KeySet { about: "A variable, set with `--var name=value`.", keys: &[&TYPE, &DESCRIPTION, &DEFAULT] };

/// What a variable's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarType {
    String,
    Path,
    /// A string that is nowhere kept.
    Secret,
}

impl Words for VarType {
    const ALL: &'static [(&'static str, Self)] =
        &[("string", Self::String), ("path", Self::Path), ("secret", Self::Secret)];
}

/// Every variable that the file declares.
pub(crate) struct Vars {
    declared: BTreeMap<String, Var>,
    /// Bytes that were filled in so far.
    filled: Cell<usize>,
    /// Whether the part of the file at hand may have secrets.
    may_be_secret: Cell<bool>,
    /// By where they stand, texts with a secret in them, as they may be shown.
    shown: RefCell<HashMap<usize, String>>,
}

/// Bytes that variables may add to a file: a file of some kilobytes must not become gigabytes.
const MOST_FILLED: usize = 16 << 20;

struct Var {
    /// `None` when it could not be found out; that is already reported.
    value: Option<String>,
    declared: Span,
    used: Cell<bool>,
    secret: bool,
}

impl Vars {
    /// Reads `[vars]` and gives each variable its value: from `given`, else its default.
    pub(crate) fn read(cx: &Context, root: &[Entry], given: &BTreeMap<String, String>) -> Self {
        let declared = root.iter().find(|entry| entry.key == "vars");
        let declared = declared.and_then(|entry| entries(cx, "`vars`", &entry.node)).unwrap_or_default();
        let declared = declared.iter().map(|entry| (entry.key.clone(), read(cx, entry, given))).collect();
        let vars = Self { declared, filled: Cell::new(0), may_be_secret: Cell::new(false), shown: RefCell::default() };
        for name in given.keys().filter(|name| !vars.declared.contains_key(*name)) {
            let hint = match vars.names().as_slice() {
                [] => "this pipeline declares no variables".to_owned(),
                names => meant_or_known(name, "variable", names).unwrap_or_default(),
            };
            cx.report(Draft::error(format!("unknown variable `{name}` in `--var {name}=…`")).hint(hint));
        }
        vars
    }

    /// Fills in the variables of every string below `node`. `keys_of` says of a table right below it which keys it has,
    /// where some of them may refer to a secret.
    pub(crate) fn fill(
        &self,
        cx: &Context,
        node: &mut Node,
        may_be_secret: bool,
        keys_of: fn(&Node) -> Option<&'static KeySet>,
    ) {
        self.may_be_secret.set(may_be_secret);
        let Value::Table(entries) = &mut node.value else { return self.fill_in(cx, node, None) };
        for entry in entries {
            let keys = keys_of(&entry.node);
            self.fill_in(cx, &mut entry.node, keys);
        }
    }

    /// As [`Vars::fill`]; the keys are those of the node itself.
    fn fill_in(&self, cx: &Context, node: &mut Node, keys: Option<&'static KeySet>) {
        match &mut node.value {
            Value::Text(text) => {
                let filled = self.filled(cx, text, &node.span, false);
                node.value = filled.map_or(Value::Broken, Value::Text);
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.fill_in(cx, item, None)),
            Value::Table(entries) => {
                for entry in entries {
                    let shape = keys.and_then(|keys| keys.key(&entry.key)).map(|key| key.shape());
                    match &entry.node.value {
                        Value::Text(text) if shape.is_some_and(|shape| shape.is_secret()) => {
                            let filled = self.filled(cx, text, &entry.node.span, true);
                            entry.node.value = filled.map_or(Value::Broken, Value::Text);
                        }
                        _ => self.fill_in(cx, &mut entry.node, shape.and_then(|shape| shape.below())),
                    }
                }
            }
            Value::Integer(_) | Value::Float(_) | Value::Flag(_) | Value::Moment(_) | Value::Broken => {}
        }
    }

    /// The text at `span` without the secrets in it, if there are any.
    pub(crate) fn shown(&self, span: &Span) -> Option<String> {
        self.shown.borrow().get(&span.start).cloned()
    }

    /// Warns of every variable that nothing uses.
    pub(crate) fn report_unused(&self, cx: &Context) {
        for (name, var) in self.declared.iter().filter(|(_, var)| !var.used.get()) {
            cx.report(
                Draft::warning(format!("variable `{name}` is never used"))
                    .at(&var.declared)
                    .hint(format!("write `${{{name}}}` where its value belongs, or remove it")),
            );
        }
    }

    fn names(&self) -> Vec<&str> {
        self.declared.keys().map(String::as_str).collect()
    }

    fn filled(&self, cx: &Context, text: &str, span: &Span, secret: bool) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        // The same with a dot in the place of each secret, once there is one.
        let mut shown: Option<String> = None;
        let mut rest = text;
        let mut sound = true;
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            if let Some(escaped) = before.strip_suffix('$') {
                out.push_str(escaped);
                out.push_str("${");
                if let Some(shown) = &mut shown {
                    shown.push_str(escaped);
                    shown.push_str("${");
                }
                rest = &reference[2..];
                continue;
            }
            out.push_str(before);
            if let Some(shown) = &mut shown {
                shown.push_str(before);
            }
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
                Some(value) if self.fits(value) => {
                    if self.declared.get(name).is_some_and(|var| var.secret) {
                        shown.get_or_insert_with(|| out.clone()).push('…');
                    } else if let Some(shown) = &mut shown {
                        shown.push_str(value);
                    }
                    out.push_str(value);
                }
                Some(_) => {
                    self.report_filled(cx, span);
                    return None;
                }
                None => sound = false,
            }
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        if let Some(mut shown) = shown {
            shown.push_str(rest);
            self.shown.borrow_mut().insert(span.start, shown);
        }
        if let Some(scheme) = secret_scheme(&out).filter(|_| !secret) {
            report_secret(cx, scheme, span);
            return None;
        }
        sound.then_some(out)
    }

    /// Whether there is room for one more value.
    fn fits(&self, value: &str) -> bool {
        self.filled.set(self.filled.get().saturating_add(value.len()));
        self.filled.get() <= MOST_FILLED
    }

    /// Said once: what comes after it is too much as well.
    fn report_filled(&self, cx: &Context, span: &Span) {
        if self.filled.replace(usize::MAX) < usize::MAX {
            let most = MOST_FILLED >> 20;
            cx.report(
                Draft::error(format!("the variables of this file fill in more than {most} MiB"))
                    .at(span)
                    .hint("hand large values to a module as a lookup table, and not in the pipeline file"),
            );
        }
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
        match self.declared.get(name) {
            Some(var) if var.secret && !self.may_be_secret.get() => {
                var.used.set(true);
                cx.report(
                    Draft::error(format!("`{name}` is a secret, and secrets are for sources and the lake"))
                        .at(&within)
                        .hint("what makes tables is kept beside them, so that they can be made again; use a variable of type `string`"),
                );
                None
            }
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

fn read(cx: &Context, entry: &Entry, given: &BTreeMap<String, String>) -> Var {
    let name = &entry.key;
    check_name(cx, "variable", name, &entry.key_span);
    let what = format!("variable `{name}`");
    let value = Section::open(cx, &KEYS, what, &entry.key_span, &entry.node)
        .and_then(|section| value(&section, name, given.get(name)));
    let (value, kind) = value.unzip();
    let secret = kind == Some(VarType::Secret);
    Var { value, declared: entry.key_span.clone(), used: Cell::new(false), secret }
}

fn value(section: &Section<'_>, name: &str, given: Option<&String>) -> Option<(String, VarType)> {
    section.get(&DESCRIPTION);
    let kind = section.get(&TYPE)?;
    if let Some(given) = given {
        return resolve(section, name, kind, given, Path::new("")).map(|value| (value, kind));
    }
    let Some(default) = section.get(&DEFAULT)? else {
        section.cx.report(
            Draft::error(format!("variable `{name}` has no value"))
                .at(&section.head)
                .hint(format!("give it one with `--var {name}=…`, or give it a `default`")),
        );
        return None;
    };
    if default.value.contains("${") {
        section.cx.report(
            Draft::error(format!("the default of variable `{name}` refers to another variable"))
                .at(&default.span)
                .hint("variables are not used inside `[vars]`; put both where the value is used"),
        );
        return None;
    }
    resolve(section, name, kind, &default.value, &section.cx.folder).map(|value| (value, kind))
}

/// The default of a variable. An empty one is a value like any other.
#[derive(Clone, Copy)]
struct DefaultText;

impl Shape for DefaultText {
    fn label(&self) -> String {
        "text".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

impl Kind for DefaultText {
    type Value = At<String>;

    fn read(&self, found: &Found<'_, '_>) -> Option<At<String>> {
        let node = found.node();
        match &node.value {
            Value::Text(text) => Some(At::new(text.clone(), &node.span)),
            _ => {
                found.wrong("a string", node, None);
                None
            }
        }
    }
}

/// The value as it is filled in: a path is made absolute, from `base` or the working directory.
fn resolve(section: &Section<'_>, name: &str, kind: VarType, value: &str, base: &Path) -> Option<String> {
    if kind != VarType::Path || is_url(value) {
        return Some(value.to_owned());
    }
    let refuse = |message: String| {
        section.cx.report(Draft::error(message).at(&section.head).hint("the working directory itself is `.`"));
        None
    };
    match absolute(&base.join(value)) {
        _ if value.is_empty() => refuse(format!("variable `{name}` is a path, and its value is empty")),
        Ok(path) => Some(path),
        Err(error) => refuse(format!("variable `{name}` is not a usable path: {error}")),
    }
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
