//! A quick check whether a record is one JSON object.
//!
//! It costs a fraction of decoding. What it accepts is decoded all the same, and what it does not is checked again by
//! the decoder, so errors on both sides are harmless.

/// Whether a record has the shape of one JSON object, from its first brace to its last.
pub(super) fn is_object(record: &[u8]) -> bool {
    let mut rest = Rest(record);
    rest.skip_space();
    rest.object(0) && {
        rest.skip_space();
        rest.0.is_empty()
    }
}

/// The deepest nesting of objects.
const DEEPEST: usize = 64;

/// The text not checked yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn object(&mut self, depth: usize) -> bool {
        self.list(b'{', b'}', depth, |rest, depth| {
            rest.string() && {
                rest.skip_space();
                rest.take(b':') && {
                    rest.skip_space();
                    rest.value(depth)
                }
            }
        })
    }

    /// Checks a list in brackets, with commas in between.
    fn list(&mut self, open: u8, close: u8, depth: usize, item: impl Fn(&mut Self, usize) -> bool) -> bool {
        if depth > DEEPEST || !self.take(open) {
            return false;
        }
        self.skip_space();
        if self.take(close) {
            return true;
        }
        loop {
            if !item(self, depth + 1) {
                return false;
            }
            self.skip_space();
            if self.take(close) {
                return true;
            }
            if !self.take(b',') {
                return false;
            }
            self.skip_space();
        }
    }

    fn value(&mut self, depth: usize) -> bool {
        match self.0.first() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(b'[', b']', depth, |rest, depth| rest.value(depth)),
            _ => {
                let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                let length = self.0.iter().take_while(|byte| word(byte)).count();
                let (word, rest) = self.0.split_at(length);
                self.0 = rest;
                matches!(word, b"true" | b"false" | b"null" | [b'-' | b'0'..=b'9', ..])
            }
        }
    }

    fn string(&mut self) -> bool {
        if !self.take(b'"') {
            return false;
        }
        while let Some(at) = memchr::memchr2(b'"', b'\\', self.0) {
            if self.0[at] == b'"' {
                self.0 = &self.0[at + 1..];
                return true;
            }
            let Some(rest) = self.0.get(at + 2..) else { return false };
            self.0 = rest;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_from_what_is_none() {
        let objects: &[&str] = &[
            "{}",
            " { } \n",
            r#"{"a":1,"b":-2.5e3,"c":true,"d":null,"e":"x\"y\\","f":[1,[],{"g":{}}]}"#,
            r#"{ "a" : [ 1 , 2 ] , "b" : "" }"#,
        ];
        for text in objects {
            assert!(is_object(text.as_bytes()), "{text}");
        }
        let others: &[&str] = &[
            "",
            "[1]",
            "{",
            "{\"a\":1",
            "{\"a\":1}{",
            "{\"a\":1}{\"a\":2}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":tru}",
            "{\"a\":\"x}",
            "{\"a\":\"x\\",
            "null",
            "{\"a\":[1}",
            "{\"a\":1]}",
        ];
        for text in others {
            assert!(!is_object(text.as_bytes()), "{text}");
        }
        let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(!is_object(deep.as_bytes()));
    }
}
