//! Where records and their fields lie in a piece of text.

/// Where the fields of some records lie.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// For every good record: one less than its start (wrapping), then the end of each
    /// field. A field begins one byte after the mark before it.
    pub(super) marks: Vec<u32>,
    /// Records that are not as they should be.
    pub(super) odd: Vec<OddRecord>,
    /// Good records that were shorter or longer than their marks say, as `(row, end)`, ascending.
    pub(super) uneven: Vec<(usize, usize)>,
    /// Records found, odd ones included.
    pub(super) count: usize,
    /// Bytes up to the end of the last of them.
    pub(super) taken: usize,
    /// Line ends up to there.
    pub(super) lines: u64,
    /// Whether any field begins with a quote.
    pub(super) quoted: bool,
    /// Whether there is any escape.
    pub(super) escaped: bool,
    /// Whether the bytes end inside of a quoted field.
    pub(super) open_quote: bool,
}

/// A record that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OddRecord {
    /// Its number among the records found.
    pub(super) record: usize,
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends, without its line end.
    pub(super) end: usize,
    /// What is wrong with it.
    pub(super) flaw: Flaw,
}

/// What is wrong with a record as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It has so many fields, and others have another number.
    Fields(usize),
    /// A quote stands inside of a field that does not begin with one.
    InnerQuote,
    /// Text stands behind the closing quote of a field.
    AfterQuote,
    /// A quoted field is not closed before what must be other records.
    Unclosed,
}
