//! What the TOML parser finds wrong, in words that say what to write instead.

use crate::diagnostics::{Draft, MOST_PROBLEMS, Span, Text};

/// Each error as a problem, and whether the rest of the file can still be relied on.
pub(crate) fn explain(text: &Text, errors: &[toml::de::Error]) -> (Vec<Draft>, bool) {
    let mut drafts = Vec::new();
    let mut reliable = true;
    let mut repeated_header: Option<Span> = None;
    for (index, error) in errors.iter().enumerate() {
        if index >= MOST_PROBLEMS {
            let rest = errors[index..].iter();
            drafts.extend(rest.map(|error| Draft::error(format!("not valid TOML: {}", error.message()))));
            return (drafts, false);
        }
        let span = error.span().unwrap_or(0..0);
        if error.message() != "duplicate key" {
            reliable = false;
            drafts.push(other(text, error.message(), &span));
            continue;
        }
        let line = line_of(text, &span);
        let is_header = text.slice(&line).trim_start().starts_with('[');
        match &repeated_header {
            // The keys under a repeated header repeat with it; naming the header is enough.
            Some(header) if !is_header && !text.slice(&(header.end..line.start)).contains("\n[") => {}
            _ => drafts.push(repeated(text, &span, &line, is_header)),
        }
        if is_header {
            repeated_header = Some(line);
        }
    }
    (drafts, reliable)
}

fn repeated(text: &Text, span: &Span, line: &Span, is_header: bool) -> Draft {
    let (name, hint) = match is_header {
        true => {
            (without_comment(text.slice(line)), "put all its keys under one header, or name one of them differently")
        }
        false => (text.slice(span), "keep one of them"),
    };
    let draft = Draft::error(format!("`{name}` is defined twice")).at(span).hint(hint);
    match first(text, line, name, is_header) {
        Some(first) => draft.also(&first, "first defined here"),
        None => draft,
    }
}

/// The earlier line with the same header, or with the same key under the same header.
fn first(text: &Text, line: &Span, name: &str, is_header: bool) -> Option<Span> {
    let above = text.slice(&(0..line.start));
    let mut end = above.len();
    for candidate in above.split_inclusive('\n').rev() {
        let start = end - candidate.len();
        end = start;
        let trimmed = candidate.trim_start();
        let indent = candidate.len() - trimmed.len();
        let same = match is_header {
            true => without_comment(trimmed) == name,
            false => trimmed.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=')),
        };
        if same {
            return Some(start + indent..start + indent + name.len());
        }
        if !is_header && trimmed.starts_with('[') {
            return None;
        }
    }
    None
}

fn without_comment(header: &str) -> &str {
    header.split('#').next().unwrap_or(header).trim()
}

fn line_of(text: &Text, span: &Span) -> Span {
    let start = text.slice(&(0..span.start)).rfind('\n').map_or(0, |newline| newline + 1);
    let length = text.body().get(start..).and_then(|rest| rest.find('\n'));
    start..length.map_or(text.body().len(), |length| start + length)
}

fn other(text: &Text, message: &str, span: &Span) -> Draft {
    let written = text.slice(span);
    let bare = message.starts_with("string values must be quoted") || message.starts_with("invalid boolean");
    let (message, hint) = match (bare, written) {
        (true, "") => ("a value is missing behind the `=`".to_owned(), None),
        (true, word) => (format!("text without quotes: `{word}`"), Some(format!("write it in quotes: `\"{word}\"`"))),
        _ if message.starts_with("invalid basic string") => {
            (message.to_owned(), Some("close the string with `\"`; a `\"` inside it is written `\\\"`".to_owned()))
        }
        _ => (message.to_owned(), None),
    };
    Draft::error(format!("not valid TOML: {message}")).at(span).maybe_hint(hint)
}
