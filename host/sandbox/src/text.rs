//! Makes text of a module safe for a terminal.

/// `text` in at most `max` bytes, with control characters escaped: a module must not be
/// able to move a cursor, forge a log line or fill a disk with one message.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for character in text.trim_end().chars() {
        let before = out.len();
        if is_control(character) && character != '\t' {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > max {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

fn is_control(character: char) -> bool {
    // Bidirectional overrides are not control characters in Unicode, but can make text look like something else.
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether `name` can be used in paths, messages and metrics as it is.
pub(super) fn is_name(name: &str, max: usize) -> bool {
    !name.is_empty()
        && name.len() <= max
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a\u{1b}[2Jb\n", 100), "a\\u{1b}[2Jb");
        assert_eq!(printable("x\u{202e}y", 100), "x\\u{202e}y");
        assert_eq!(printable("one\ntwo", 100), "one\\ntwo");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(printable("ééé", 4), "éé…");
        assert_eq!(printable("ééé", 6), "ééé");
    }
}
