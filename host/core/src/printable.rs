//! Text of others, made fit for a person's terminal.
//!
//! File names, headers, values, and what modules and libraries say are written by whoever wrote them. None of it may
//! move a cursor, forge a line or stand in another order than it is read in.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal would obey a character, or not show it at its place: control characters, line and paragraph
/// separators, marks of direction, and what has no width.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` on one line: what is not printable is spelled out, line ends included.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_default().to_string())
}

/// `text` on its own lines: what is not printable is spelled out, but for line feeds.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| if c == '\n' { "\n".to_owned() } else { c.escape_default().to_string() })
}

/// JSON on one line, in which strings alone can hold what is not printable: there it is escaped as JSON does it.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| {
        let mut out = String::new();
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
        out
    })
}

/// `text` with as many bytes as before, in which something else stands for what is not printable: for drawings
/// whose marks count bytes. Tabs and line ends stay.
pub fn masked(text: &str) -> Cow<'_, str> {
    let keeps = |c: char| !is_unprintable(c) || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(keeps) {
        return Cow::Borrowed(text);
    }
    let mask = |c: char| match c.len_utf8() {
        1 => "?",
        2 => "¿",
        3 => "\u{fffd}",
        _ => "¿¿",
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if keeps(c) { out.push(c) } else { out.push_str(mask(c)) }
    }
    Cow::Owned(out)
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) { out.push_str(&escape(c)) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for code in 0..=0x0010_ffff {
            let Some(c) = char::from_u32(code) else { continue };
            let text = format!("a{c}b");
            assert!(!printable(&text).chars().any(is_unprintable), "{code:x}");
            let masked = masked(&text);
            assert_eq!(masked.len(), text.len(), "{code:x}");
            let json = format!("\"{}\"", printable_json(&text));
            assert!(is_unprintable(c) || json.contains(c), "{code:x}");
        }
    }

    #[test]
    fn letters_of_every_script_stay() {
        for text in ["Größe", "عربى", "日本語", "👍🏽", "e\u{301}"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable("a\u{1b}[31m\n\u{202e}"), "a\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(printable_lines("a\r\nb"), "a\\r\nb");
        assert_eq!(printable_json("\"\u{202e}\u{e0041}\""), "\"\\u202e\\udb40\\udc41\"");
    }
}
