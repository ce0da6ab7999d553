//! The name of a file as the name of its lane.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Stands before each byte of a name that is no text.
const MARK: char = char::REPLACEMENT_CHARACTER;

/// The lane of the file at a path below its source's folder: the path itself, with forward slashes.
///
/// A name that is not UTF-8 has each byte that does not belong to a character as `�` and two hexadecimal digits; so
/// has a `�` of the name itself, so that no two names make one lane.
pub(super) fn lane_of(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut lane = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                MARK => escape(MARK.encode_utf8(&mut [0; 4]).as_bytes(), &mut lane),
                character => lane.push(character),
            }
        }
        escape(chunk.invalid(), &mut lane);
    }
    lane
}

fn escape(bytes: &[u8], lane: &mut String) {
    for byte in bytes {
        lane.push_str(&format!("{MARK}{byte:02X}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn text_is_its_own_lane_and_no_two_names_share_one() {
        for name in ["a/b c%20#[1].csv", "\u{e4}.csv", "a\u{308}.csv", "tab\there", "日本"] {
            assert_eq!(lane_of(Path::new(name)), name);
        }
        let pieces: [&[u8]; 7] = [b"a", b"\xff", b"\xe4", "\u{e4}".as_bytes(), "\u{fffd}".as_bytes(), b"FF", b"EF"];
        let mut lanes = HashSet::new();
        for index in 0..pieces.len().pow(4) {
            let at = |place: u32| pieces[index / pieces.len().pow(place) % pieces.len()];
            let name = [at(0), b".", at(1), b".", at(2), b".", at(3)].concat();
            assert!(lanes.insert(lane_of(Path::new(OsStr::from_bytes(&name)))), "{name:?}");
        }
    }
}
