//! Reads a table with a fixed set of keys: every value checked against what its key takes.

use std::time::Duration;

use bytesize::ByteSize;

use super::context::{At, Context, list, meant, meant_or_known};
use super::keys::{self, Key, Kind};
use super::problem::Draft;
use super::text::Span;
use super::tree::{Entry, Node, Value};
use super::words::{self, Word};

/// A table of the file, and the keys that it may have.
pub(super) struct Section<'a> {
    pub(super) cx: &'a Context,
    rules: &'static keys::Section,
    /// As messages name it: ``source `users` ``.
    pub(super) what: String,
    /// Where a missing key is shown.
    pub(super) head: Span,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Opens a table and reports every key that it should not have.
    pub(super) fn open(
        cx: &'a Context,
        rules: &'static keys::Section,
        what: String,
        head: &Span,
        node: &'a Node,
    ) -> Option<Self> {
        let entries = table(cx, &what, node)?;
        let section = Self { cx, rules, what, head: head.clone(), entries };
        for entry in entries.iter().filter(|entry| rules.key(&entry.key).is_none()) {
            section.unknown(entry);
        }
        Some(section)
    }

    /// The entry of `key`, reported when it must be there and is not.
    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        let found = self.peek(key);
        if found.is_none() && self.rules.key(key).is_some_and(|rule| rule.required) {
            self.missing(key);
        }
        found
    }

    /// What `read` finds at `key`, or `standard` where the file says nothing.
    pub(super) fn or<T>(&self, key: &str, standard: T, read: impl FnOnce(&Self, &str) -> Option<T>) -> Option<T> {
        match self.peek(key) {
            Some(_) => read(self, key),
            None => Some(standard),
        }
    }

    /// The entry of `key`, if it is there.
    pub(super) fn peek(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

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

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let node = &self.entry(key)?.node;
        match &node.value {
            Value::Flag(flag) => Some(*flag),
            other => {
                let hint = match other {
                    Value::Text(text) if ["true", "false"].contains(&text.as_str()) => {
                        Some(format!("write it without quotes: `{key} = {text}`"))
                    }
                    _ => None,
                };
                self.wrong(key, "`true` or `false`", node, hint);
                None
            }
        }
    }

    /// A whole number in the range of its key.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        let node = &self.entry(key)?.node;
        let Value::Integer(number) = &node.value else {
            let hint = match &node.value {
                Value::Text(text) if text.replace('_', "").parse::<i64>().is_ok() => {
                    Some(format!("write it without quotes: `{key} = {text}`"))
                }
                _ => None,
            };
            self.wrong(key, "a whole number", node, hint);
            return None;
        };
        if let Some(Kind::Integer(least, most)) = self.kind(key)
            && !(least..=most).contains(number)
        {
            let bounds = match most {
                i64::MAX => format!("it must be at least {least}"),
                _ => format!("it must be from {} to {}", grouped(least), grouped(most)),
            };
            self.out_of_range(key, &number.to_string(), bounds, node);
            return None;
        }
        Some(*number)
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, key: &str) -> Option<f64> {
        let node = &self.entry(key)?.node;
        let share = match &node.value {
            Value::Float(share) => *share,
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            Value::Integer(number) => *number as f64,
            _ => {
                self.wrong(key, "a number", node, None);
                return None;
            }
        };
        if !(0.0..=1.0).contains(&share) {
            let bounds = match share {
                percent if percent > 1.0 && percent <= 100.0 => {
                    format!("it is a share from 0 to 1; {percent} percent is {}", percent / 100.0)
                }
                _ => "it is a share from 0 to 1".to_owned(),
            };
            self.out_of_range(key, self.cx.text.slice(&node.span), bounds, node);
            return None;
        }
        Some(share)
    }

    /// A number of bytes.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        let node = &self.entry(key)?.node;
        let bytes = match &node.value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => {
                self.wrong(
                    key,
                    "a size",
                    node,
                    Some("sizes are written as `\"64 MiB\"` or as a number of bytes".into()),
                );
                return None;
            }
        };
        let Some(bytes) = bytes else {
            let written = self.cx.text.slice(&node.span);
            self.cx.report(
                Draft::error(format!("`{key}` of {} is not a size: {written}", self.what))
                    .at(&node.span)
                    .hint("sizes are written as `\"64 MiB\"`, `\"1.5 GiB\"`, `\"100 kB\"` or as a number of bytes"),
            );
            return None;
        };
        if let Some(Kind::Size(least, most)) = self.kind(key)
            && !(least..=most).contains(&bytes)
        {
            let bounds = format!("it must be from {} to {}", shown(least), shown(most));
            self.out_of_range(key, &shown(bytes), bounds, node);
            return None;
        }
        Some(bytes)
    }

    /// A duration.
    pub(super) fn time(&self, key: &str) -> Option<Duration> {
        let node = &self.entry(key)?.node;
        let hint = "durations are written with a unit: `\"500ms\"`, `\"2s\"`, `\"5m\"`";
        let Value::Text(text) = &node.value else {
            let hint = match &node.value {
                Value::Integer(number) => format!("{hint}; did you mean `\"{number}s\"`?"),
                _ => hint.to_owned(),
            };
            self.wrong(key, "a duration", node, Some(hint));
            return None;
        };
        let time = match humantime::parse_duration(text.trim()) {
            Ok(time) => time,
            Err(_) => {
                self.cx.report(
                    Draft::error(format!(
                        "`{key}` of {} is not a duration: {}",
                        self.what,
                        self.cx.text.slice(&node.span)
                    ))
                    .at(&node.span)
                    .hint(hint),
                );
                return None;
            }
        };
        if let Some(Kind::Time(least, most)) = self.kind(key) {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            if !(least..=most).contains(&time) {
                let show = humantime::format_duration;
                let bounds = format!("it must be from {} to {}", show(least), show(most));
                self.out_of_range(key, &show(time).to_string(), bounds, node);
                return None;
            }
        }
        Some(time)
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

    /// A table with keys of its own.
    pub(super) fn section(&self, key: &str) -> Option<Section<'a>> {
        let entry = self.entry(key)?;
        match self.kind(key) {
            Some(Kind::Section(rules)) => {
                let what = match std::ptr::eq(self.rules, &keys::FILE) {
                    true => format!("`[{key}]`"),
                    false => format!("`{key}` of {}", self.what),
                };
                Section::open(self.cx, rules, what, &entry.key_span, &entry.node)
            }
            _ => None,
        }
    }

    /// A table with keys of a person's choice.
    pub(super) fn entries(&self, key: &str) -> Option<&'a [Entry]> {
        let entry = self.entry(key)?;
        table(self.cx, &format!("`{key}` of {}", self.what), &entry.node)
    }

    /// Reports a key that is fine by itself and out of place beside the others.
    pub(super) fn misplaced(&self, key: &str, why: &str, hint: &str) {
        if let Some(entry) = self.peek(key) {
            self.cx.report(Draft::error(format!("`{key}` in {} {why}", self.what)).at(&entry.key_span).hint(hint));
        }
    }

    /// Reports that `key` must be there and is not.
    pub(super) fn missing(&self, key: &str) {
        // A key that was reported as a likely misspelling of this one is this one.
        let unknown = self.entries.iter().filter(|entry| self.rules.key(&entry.key).is_none());
        if unknown.filter_map(|entry| self.meant(&entry.key)).any(|meant| meant == key) {
            return;
        }
        let hint = self.rules.key(key).map(|Key { kind, example, about, .. }| {
            let about = lower_first(about.trim_end_matches('.'));
            match kind {
                Kind::Section(_) => format!("add a `[{key}]` table: {about}"),
                Kind::Named(_) => format!("add `[{key}.<name>]` tables: {about}"),
                _ => format!("add `{key} = {example}`, for example: {about}"),
            }
        });
        self.cx.report(Draft::error(format!("{} has no `{key}`", self.what)).at(&self.head).maybe_hint(hint));
    }

    /// Reports that a value is of the wrong type.
    pub(super) fn wrong(&self, key: &str, wanted: &str, node: &Node, hint: Option<String>) {
        if matches!(node.value, Value::Broken) {
            return;
        }
        let found = node.value.kind();
        self.cx.report(
            Draft::error(format!("`{key}` of {} must be {wanted}, not {found}", self.what))
                .at(&node.span)
                .maybe_hint(hint),
        );
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

    /// The key that is not there and that `unknown` most likely stands for.
    fn meant(&self, unknown: &str) -> Option<&'static str> {
        meant(unknown, self.rules.keys.iter().map(|key| key.name).filter(|key| self.peek(key).is_none()))
    }

    fn kind(&self, key: &str) -> Option<Kind> {
        self.rules.key(key).map(|rule| rule.kind)
    }

    fn out_of_range(&self, key: &str, value: &str, bounds: String, node: &Node) {
        self.cx.report(
            Draft::error(format!("`{key}` of {} is out of range: {value}", self.what)).at(&node.span).hint(bounds),
        );
    }

    fn unknown(&self, entry: &Entry) {
        let known: Vec<&str> = self.rules.keys.iter().map(|key| key.name).collect();
        let hint = match self.meant(&entry.key) {
            Some(candidate) => Some(format!("did you mean `{candidate}`?")),
            None => elsewhere(&entry.key, self.rules).or_else(|| Some(format!("known keys are {}", list(&known)))),
        };
        self.cx.report(
            Draft::error(format!("unknown key `{}` in {}", entry.key, self.what)).at(&entry.key_span).maybe_hint(hint),
        );
    }
}

/// The entries of a table; anything else is reported.
pub(super) fn table<'a>(cx: &Context, what: &str, node: &'a Node) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Table(entries) => Some(entries),
        Value::Broken => None,
        other => {
            cx.report(Draft::error(format!("{what} must be a table, not {}", other.kind())).at(&node.span));
            None
        }
    }
}

/// Whether `name` can name a `noun`: lower-case letters, digits, `-` and `_`; else it is reported.
pub(super) fn check_name(cx: &Context, noun: &str, name: &str, span: &Span) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    check(cx, noun, name, span, sound, '-', "lower-case letters, digits, `-` and `_`")
}

/// Whether `name` can name a table: lower-case letters, digits and `_`; else it is reported.
pub(super) fn check_table_name(cx: &Context, name: &str, span: &Span) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    check(cx, "table", name, span, sound, '_', "lower-case letters, digits and `_`")
}

/// Names become folders and parts of transaction ids, so they are short and plain.
const LONGEST_NAME: usize = 100;

fn check(cx: &Context, noun: &str, name: &str, span: &Span, sound: fn(char) -> bool, filler: char, rule: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well && name.len() <= LONGEST_NAME && name.chars().all(sound) {
        return true;
    }
    if name.len() > LONGEST_NAME {
        cx.report(Draft::error(format!("a {noun} name is longer than {LONGEST_NAME} characters")).at(span));
        return false;
    }
    let mut better = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            c if sound(c) => better.push(c),
            _ if better.is_empty() || better.ends_with(filler) => {}
            _ => better.push(filler),
        }
    }
    let better = better.trim_matches(['-', '_']);
    // What is left of a name in another script is no help.
    let hint = match better.len() * 2 > name.chars().count() {
        true => format!("write `{better}`, for example: {rule}, with a letter or digit first"),
        false => format!("names are made of {rule}, with a letter or digit first"),
    };
    cx.report(Draft::error(format!("`{name}` is not a valid {noun} name")).at(span).hint(hint));
    false
}

/// Says where a key belongs that another kind of source or a part of this section has.
fn elsewhere(key: &str, here: &'static keys::Section) -> Option<String> {
    for (kind, section) in keys::SOURCES {
        let is_source = keys::SOURCES.iter().any(|(_, source)| std::ptr::eq(*source, here));
        if is_source && !std::ptr::eq(*section, here) && section.key(key).is_some() {
            return Some(format!("`{key}` is a key of sources of type `{kind}`"));
        }
    }
    here.keys.iter().find_map(|parent| match parent.kind {
        Kind::Section(inner) if inner.key(key).is_some() => {
            Some(format!("`{key}` belongs into `{}`: `{} = {{ {key} = … }}`", parent.name, parent.name))
        }
        _ => None,
    })
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `1_000_000`, as the file may write it.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// `64 KiB`, as the file may write it.
fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string().replace(".0 ", " ")
}
