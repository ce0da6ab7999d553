//! Makes text of a module safe for a terminal.

use sluicebox_core::printable::is_unprintable;

/// `text` in at most `max` bytes, with what is not printable spelled out: a module must not be
/// able to move a cursor, forge a log line or fill a disk with one message.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for character in text.trim_end().chars() {
        let before = out.len();
        if is_unprintable(character) && character != '\t' {
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

/// Whether `name` can stand in paths, messages and metrics as it is.
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
