//! Names of pipelines, sources, hops, variables and tables.

use crate::diagnostics::{Context, Draft, Span};

/// Whether `name` can name a `noun`: lower-case letters, digits, `-` and `_`; else it is reported.
pub(crate) fn check_name(cx: &Context, noun: &str, name: &str, span: &Span) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    check(cx, noun, name, span, sound, '-', "lower-case letters, digits, `-` and `_`")
}

/// Whether `name` can name a table: lower-case letters, digits and `_`; else it is reported.
pub(crate) fn check_table_name(cx: &Context, name: &str, span: &Span) -> bool {
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
    // The remains of a name in another script do not help.
    let hint = match better.len() * 2 > name.chars().count() {
        true => format!("write `{better}`, for example: {rule}, with a letter or digit first"),
        false => format!("names are made of {rule}, with a letter or digit first"),
    };
    cx.report(Draft::error(format!("`{name}` is not a valid {noun} name")).at(span).hint(hint));
    false
}
