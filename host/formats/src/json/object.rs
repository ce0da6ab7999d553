//! The fields of a JSON object as slices of its text, nothing decoded.

use std::borrow::Cow;

/// The keys and values of the object that `text` is, as they are written (keys with their
/// quotes); `None` if it is not shaped like one object. Values are not checked further.
pub(super) fn fields(text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut fields = Vec::new();
    let mut at = skip_space(text, 0);
    if *text.get(at)? != b'{' {
        return None;
    }
    at = skip_space(text, at + 1);
    if *text.get(at)? == b'}' {
        return skip_to_end(text, at + 1).then_some(fields);
    }
    loop {
        let key_end = skip_string(text, at)?;
        let key = &text[at..key_end];
        at = skip_space(text, key_end);
        if *text.get(at)? != b':' {
            return None;
        }
        at = skip_space(text, at + 1);
        let value_end = skip_value(text, at)?;
        fields.push((key, &text[at..value_end]));
        at = skip_space(text, value_end);
        match *text.get(at)? {
            b',' => at = skip_space(text, at + 1),
            b'}' => return skip_to_end(text, at + 1).then_some(fields),
            _ => return None,
        }
    }
}

/// The items of the list that `text` is, as they are written; `None` if it is not shaped like one.
pub(super) fn items(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    let mut at = skip_space(text, 0);
    if *text.get(at)? != b'[' {
        return None;
    }
    at = skip_space(text, at + 1);
    if *text.get(at)? == b']' {
        return skip_to_end(text, at + 1).then_some(items);
    }
    loop {
        let end = skip_value(text, at)?;
        items.push(&text[at..end]);
        at = skip_space(text, end);
        match *text.get(at)? {
            b',' => at = skip_space(text, at + 1),
            b']' => return skip_to_end(text, at + 1).then_some(items),
            _ => return None,
        }
    }
}

/// The name that a key with quotes stands for.
pub(super) fn name(key: &[u8]) -> Option<Cow<'_, str>> {
    match key {
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => std::str::from_utf8(plain).ok().map(Cow::Borrowed),
        _ => serde_json::from_slice(key).ok().map(Cow::Owned),
    }
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

fn skip_to_end(text: &[u8], at: usize) -> bool {
    skip_space(text, at) == text.len()
}

pub(super) fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        let offset = memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        at += offset;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Without recursion, so that no depth of nesting can exhaust the stack.
pub(super) fn skip_value(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match *text.get(at)? {
            b'"' => {
                at = skip_string(text, at)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                return (at > start).then_some(at);
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_slices() {
        let text = br#" { "a" : 1 , "b\"c":{"x":[1,"}"]}, "d":"\\","e":null } "#;
        let found = fields(text).unwrap();
        let shown: Vec<_> =
            found.iter().map(|(key, value)| (name(key).unwrap(), str::from_utf8(value).unwrap())).collect();
        assert_eq!(
            shown,
            [("a".into(), "1"), ("b\"c".into(), r#"{"x":[1,"}"]}"#), ("d".into(), r#""\\""#), ("e".into(), "null"),]
        );
        assert_eq!(fields(b"{}").unwrap(), []);
        assert_eq!(items(b" [ 1,[2, 3] ,\"]\"] ").unwrap(), [&b"1"[..], b"[2, 3]", b"\"]\""]);
        assert_eq!((items(b"[ ]").unwrap().len(), items(b"[1,"), items(b"{}")), (0, None, None));
        for text in ["", "1", "[1]", "{", "{\"a\"", "{\"a\":}", "{\"a\":1", "{\"a\":1}{", "{\"a\":\"", "{\"a\":[1}"] {
            assert_eq!(fields(text.as_bytes()), None, "{text}");
        }
    }
}
