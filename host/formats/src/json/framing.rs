//! Where the records of a JSON text begin and end: one a line, or wherever they stand in documents.

use std::ops::Range;

use super::documents::Documents;
use super::lines::Lines;
use super::object;
use crate::FormatError;
use crate::error::Laid;
use crate::text::{Original, Text};

/// Gives the records of a text one after another.
pub(crate) enum Framing {
    /// One a line.
    Lines(Lines),
    /// Items of arrays and objects behind each other, however they are laid out.
    Documents(Documents),
}

/// A record in the window.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Where, without its line end.
    pub(super) place: Range<usize>,
    /// The line that it begins on, from 1.
    pub(super) number: u64,
}

/// What [`Framing::front`] found.
pub(super) enum Front {
    /// Records, and how many bytes and lines they and what lies between them take.
    Records(Vec<Line>, usize, u64),
    /// A record that is too long, which is taken: its line, length and beginning.
    TooLong(u64, u64, Vec<u8>),
    /// The end of the file.
    End,
}

impl Framing {
    /// One record a line. Of a whole file its beginning is looked at, too: one that holds an array, or
    /// objects over several lines, is no file of lines.
    pub(crate) fn lines(text: Text, whole: bool) -> Result<(Self, Original), FormatError> {
        let (mut lines, original) = Lines::new(text);
        if whole && let Some(laid) = laid_out(lines.beginning()) {
            return Err(FormatError::NotLines { laid });
        }
        Ok((Self::Lines(lines), original))
    }

    /// Records of documents: the items of the array that lies at `path`, or what lies there itself.
    pub(crate) fn documents(text: Text, path: &[String]) -> (Self, Original) {
        let (documents, original) = Documents::new(text, path);
        (Self::Documents(documents), original)
    }

    /// The text of a record that [`Framing::front`] found and that is not taken yet.
    pub(super) fn text(&self, line: &Line) -> &[u8] {
        match self {
            Self::Lines(lines) => lines.text(line),
            Self::Documents(documents) => documents.text(line),
        }
    }

    /// Up to `most` records at the front of the window, after `done` others.
    pub(super) fn front(&mut self, most: usize, done: u64) -> Result<Front, FormatError> {
        match self {
            Self::Lines(lines) => lines.front(most).map_err(|source| FormatError::Read { done, source }),
            Self::Documents(documents) => documents.front(most, done),
        }
    }

    /// Takes what [`Framing::front`] found.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) {
        match self {
            Self::Lines(each) => each.take(bytes, lines),
            Self::Documents(documents) => documents.take(bytes, lines),
        }
    }
}

/// How a text that begins so is laid out, if not as one record a line.
fn laid_out(beginning: &[u8]) -> Option<Laid> {
    let start = beginning.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let text = &beginning[start..];
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let (first, others) = text.split_at(end);
    let whole = object::skip_value(first, 0).is_some();
    match first[0] {
        // A line that is an array among other lines is a bad record of them.
        b'[' if whole && !others.trim_ascii().is_empty() => None,
        b'[' => Some(Laid::Array),
        b'{' if !whole => {
            let object = &text[..object::skip_value(text, 0)?];
            serde_json::from_slice::<serde::de::IgnoredAny>(object).ok()?;
            Some(Laid::Spread { lines: memchr::memchr_iter(b'\n', object).count() + 1 })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_record_a_line_shows_at_the_beginning() {
        for text in ["[{\"a\":1}]", " \n[\n {\"a\":1},\n", "[", "[{\"a\":1}]\n\n"] {
            assert!(matches!(laid_out(text.as_bytes()), Some(Laid::Array)), "{text}");
        }
        assert!(matches!(laid_out(b"{\n \"a\": 1\n}\n{}"), Some(Laid::Spread { lines: 3 })));
        for text in
            ["", "\n \n", "[1]\n{\"a\":1}\n", "{\"a\":1}\n[", "{\"a\":1}{\"a\":\n2}", "{\"a\":\n", "{\"a\n\":1x}", "x"]
        {
            assert!(laid_out(text.as_bytes()).is_none(), "{text}");
        }
    }
}
