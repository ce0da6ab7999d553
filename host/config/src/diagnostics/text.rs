//! The text of a pipeline file, and places in it.

use sluicebox_core::fault::Place;

/// A range of bytes of the file.
pub type Span = std::ops::Range<usize>;

/// A pipeline file's name and text.
#[derive(Debug)]
pub struct Text {
    name: String,
    body: String,
}

impl Text {
    /// The text of a file, with its name as given.
    pub fn new(name: impl Into<String>, body: impl Into<String>) -> Self {
        Self { name: name.into(), body: body.into() }
    }

    /// The file name as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The text at `span`; empty if the span does not match character borders.
    pub fn slice(&self, span: &Span) -> &str {
        self.body.get(span.clone()).unwrap_or_default()
    }

    /// Line and column of the byte at `offset`.
    pub fn place(&self, offset: usize) -> Place {
        let before = &self.body[..floor(&self.body, offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// `span` adjusted to character borders inside the text, so that it can be drawn.
    pub(crate) fn clamp(&self, span: Span) -> Span {
        let start = floor(&self.body, span.start);
        start..floor(&self.body, span.end).max(start)
    }
}

/// The last start of a character at or before `offset`.
fn floor(body: &str, offset: usize) -> usize {
    let mut offset = offset.min(body.len());
    while !body.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let text = Text::new("p.toml", "a = 1\nprénom = 2\n");
        let offset = text.body().find("= 2").unwrap();
        assert_eq!(text.place(offset), Place { file: "p.toml".into(), line: 2, column: 8 });
        assert_eq!(text.place(9_999).line, 3);
    }

    #[test]
    fn a_span_inside_a_character_is_widened_to_it() {
        let text = Text::new("p.toml", "é");
        assert_eq!(text.clamp(1..2), 0..2);
    }
}
