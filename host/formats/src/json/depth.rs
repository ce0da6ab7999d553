//! How deep the values of a record lie in each other, counted before anything is decoded.

use crate::limits::RECORD_DEPTH;

/// Whether values in `record` lie deeper in each other than [`RECORD_DEPTH`]. What is no JSON is never
/// found shallower than a decoder would find it.
pub(super) fn too_deep(record: &[u8]) -> bool {
    // Most records have fewer brackets in all, which is seen at the speed of memory.
    memchr::memchr2_iter(b'{', b'[', record).nth(RECORD_DEPTH).is_some() && depth(record) > RECORD_DEPTH
}

fn depth(record: &[u8]) -> usize {
    let (mut now, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in record {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":[".repeat(depth / 2), "]}".repeat(depth / 2));
        assert!(!too_deep(nested(RECORD_DEPTH).as_bytes()));
        assert!(too_deep(nested(RECORD_DEPTH + 2).as_bytes()));
        assert!(!too_deep(format!("{{\"a\":\"{}\"}}", "[\\\"{".repeat(1_000)).as_bytes()));
        assert!(!too_deep(format!("[{}]", "[],".repeat(1_000)).as_bytes()));
        // Cut off: all of them are open.
        assert!(too_deep("[".repeat(100_000).as_bytes()));
    }
}
