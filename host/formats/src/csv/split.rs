//! Cuts delimited text into records and fields without copying it.
//!
//! The rules are those of RFC 4180: a record ends at a line feed, a carriage return or both; a quote opens
//! a quoted field only as the field's first byte; inside, two quotes are one; behind the closing quote comes
//! a delimiter or the record's end. Text that breaks them is never read as something else: its record is set
//! aside, and cutting goes on at the next line that can begin a record. The dialect says what else is allowed.

use super::records::{Flaw, OddRecord, Records};
use super::scan::Marks;

/// What is allowed beside RFC 4180.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialect {
    /// Quotes inside of a field that does not begin with one.
    pub(super) inner_quotes: bool,
    /// Escapes, the byte of which is in the marks.
    pub(super) escapes: bool,
    /// Lines that begin with this are no records.
    pub(super) comment: Option<u8>,
    /// Lines without any byte are records.
    pub(super) blank_records: bool,
    /// Records may lack fields, or have empty ones too many.
    pub(super) ragged: bool,
}

/// How text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Splitter {
    /// The structural bytes.
    pub(super) marks: Marks,
    /// The wanted number of fields.
    pub(super) fields: usize,
    /// What is allowed.
    pub(super) dialect: Dialect,
}

impl Splitter {
    /// Finds up to `most` records in `data` and replaces what is in `records` with them.
    ///
    /// `data` begins at a record's start and is shorter than 4 GiB. With `ended`, the
    /// last record needs no line end; a record that is open in a quote is never found.
    /// `after_return` says that the byte before `data` was a carriage return.
    pub(super) fn split(self, data: &[u8], after_return: bool, ended: bool, most: usize, records: &mut Records) {
        if self.dialect.escapes || self.dialect.comment.is_some() {
            self.split_as::<true>(data, after_return, ended, most, records);
        } else {
            self.split_as::<false>(data, after_return, ended, most, records);
        }
    }

    /// `MORE` is for text with escapes or comments.
    fn split_as<const MORE: bool>(
        self,
        data: &[u8],
        after_return: bool,
        ended: bool,
        most: usize,
        records: &mut Records,
    ) {
        let mut cut = Cut::new(self, most, records);
        cut.after_return = after_return;
        if MORE {
            cut.begin_line(data);
        }
        let (mut base, mut mask) = (0, u64::MAX);
        loop {
            let step = match data.get(base..base + 64).and_then(|block| <&[u8; 64]>::try_from(block).ok()) {
                Some(block) => cut.block::<MORE>(data, base, self.marks.find::<MORE>(block) & mask),
                None => {
                    let rest = &data[base..];
                    let mut block = [0; 64];
                    block[..rest.len()].copy_from_slice(rest);
                    let inside = (1_u64 << rest.len()) - 1;
                    match cut.block::<MORE>(data, base, self.marks.find::<MORE>(&block) & inside & mask) {
                        Step::On => return cut.finish(data, ended),
                        step => step,
                    }
                }
            };
            match step {
                Step::On => (base, mask) = (base + 64, u64::MAX),
                Step::Full => return cut.finish(data, false),
                Step::Again(from) => (base, mask) = (from & !63, u64::MAX << (from & 63)),
            }
        }
    }
}

/// How to go on after a block.
enum Step {
    /// With the next one.
    On,
    /// Not at all: there are enough records.
    Full,
    /// From here, where a line begins that was taken for a part of another record.
    Again(usize),
}

/// A bit of the number of fields too many: there is another flaw.
const FLAWED: usize = 1 << 60;

/// The state of one pass.
struct Cut<'a> {
    splitter: Splitter,
    records: &'a mut Records,
    most: usize,
    /// Where the record began, and where its first mark is kept.
    record_start: usize,
    record_mark: usize,
    field_start: usize,
    /// Fields that still fit, and those beyond.
    room: usize,
    beyond: usize,
    in_quotes: bool,
    /// The second of two quotes, which stands for itself.
    doubled: usize,
    /// The byte behind an escape, which stands for itself.
    literal: usize,
    in_comment: bool,
    quoted: bool,
    flaw: Option<Flaw>,
    count: usize,
    /// Line ends so far, and those before the present record.
    lines: u64,
    lines_taken: u64,
    after_return: bool,
}

impl<'a> Cut<'a> {
    fn new(splitter: Splitter, most: usize, records: &'a mut Records) -> Self {
        records.marks.clear();
        records.odd.clear();
        records.uneven.clear();
        records.escaped = false;
        records.marks.push(u32::MAX);
        Self {
            splitter,
            records,
            most,
            record_start: 0,
            record_mark: 0,
            field_start: 0,
            room: splitter.fields,
            beyond: 0,
            in_quotes: false,
            doubled: usize::MAX,
            literal: usize::MAX,
            in_comment: false,
            quoted: false,
            flaw: None,
            count: 0,
            lines: 0,
            lines_taken: 0,
            after_return: false,
        }
    }

    /// Goes over the marks of one block.
    #[inline]
    fn block<const MORE: bool>(&mut self, data: &[u8], base: usize, mut found: u64) -> Step {
        let Marks { delimiter, quote, escape } = self.splitter.marks;
        while found != 0 {
            let at = base + found.trailing_zeros() as usize;
            found &= found - 1;
            let byte = data[at];
            if MORE {
                if self.in_comment {
                    if byte == b'\n' || byte == b'\r' {
                        self.pass_line(data, at);
                        self.begin_line(data);
                    }
                    continue;
                }
                if at == self.literal {
                    if byte == b'\n' || byte == b'\r' {
                        self.end_line(data, at);
                    }
                    if byte == b'\r' && data.get(at + 1) == Some(&b'\n') {
                        // Both are one line end.
                        self.literal = at + 1;
                    }
                    continue;
                }
                if self.splitter.dialect.escapes && byte == escape {
                    self.literal = at + 1;
                    self.records.escaped = true;
                    continue;
                }
            }
            if self.in_quotes {
                if byte == quote && at != self.doubled {
                    match data.get(at + 1) {
                        Some(next) if *next == quote => self.doubled = at + 1,
                        Some(next) if !matches!(*next, b'\n' | b'\r') && *next != delimiter => {
                            self.in_quotes = false;
                            if let Some(step) = self.text_after_quote::<MORE>(data, at) {
                                return step;
                            }
                        }
                        _ => self.in_quotes = false,
                    }
                } else if byte == b'\n' || byte == b'\r' {
                    self.end_line(data, at);
                }
            } else if byte == delimiter {
                self.end_field(at);
            } else if byte == quote {
                if at == self.field_start {
                    self.in_quotes = true;
                    self.quoted = true;
                } else if !self.splitter.dialect.inner_quotes {
                    self.mark_flaw(Flaw::InnerQuote);
                }
            } else {
                if at == self.record_start && self.is_no_record(data, at) {
                    self.pass_line(data, at);
                } else {
                    self.end_record(data, at);
                }
                if MORE {
                    self.begin_line(data);
                }
                if self.count == self.most {
                    return Step::Full;
                }
            }
        }
        Step::On
    }

    /// Whether a line end at the very start of a record makes none: it is the line feed after a carriage return,
    /// or that of a line without any byte.
    fn is_no_record(&self, data: &[u8], at: usize) -> bool {
        let second = data[at] == b'\n' && if at == 0 { self.after_return } else { data[at - 1] == b'\r' };
        second || !self.splitter.dialect.blank_records
    }

    /// Passes over a line that is no record.
    fn pass_line(&mut self, data: &[u8], at: usize) {
        self.records.marks[self.record_mark] = at as u32;
        self.record_start = at + 1;
        self.field_start = at + 1;
        self.end_line(data, at);
        self.lines_taken = self.lines;
        self.in_comment = false;
    }

    /// Looks whether the line at hand is a comment.
    fn begin_line(&mut self, data: &[u8]) {
        let comment = self.splitter.dialect.comment;
        self.in_comment = comment.is_some() && data.get(self.record_start).copied() == comment;
    }

    /// Counts a line, unless this is the line feed of one that was counted at its carriage return.
    fn end_line(&mut self, data: &[u8], at: usize) {
        let after_return = if at == 0 { self.after_return } else { data[at - 1] == b'\r' };
        if data[at] == b'\r' || !after_return {
            self.lines += 1;
        }
    }

    #[inline]
    fn end_field(&mut self, at: usize) {
        if self.room > 0 {
            self.room -= 1;
            self.records.marks.push(at as u32);
        } else {
            self.beyond += 1;
        }
        self.field_start = at + 1;
    }

    #[inline]
    fn end_record(&mut self, data: &[u8], at: usize) {
        self.end_field(at);
        if self.room == 0 && self.beyond == 0 {
            self.record_mark = self.records.marks.len();
            self.records.marks.push(at as u32);
        } else {
            self.end_odd_record(data, at);
        }
        self.room = self.splitter.fields;
        self.count += 1;
        self.record_start = at + 1;
        self.lines += 1;
        self.lines_taken = self.lines;
    }

    #[cold]
    fn end_odd_record(&mut self, data: &[u8], at: usize) {
        let wanted = self.splitter.fields;
        let fields = wanted - self.room + (self.beyond & (FLAWED - 1));
        self.beyond = 0;
        if self.flaw.is_none() && self.splitter.dialect.ragged && self.even_out(data, at) {
            self.records.uneven.push((self.record_mark / (wanted + 1), at));
            self.record_mark = self.records.marks.len();
            self.records.marks.push(at as u32);
            return;
        }
        let flaw = self.flaw.take().unwrap_or(Flaw::Fields(fields));
        self.set_aside(at, flaw);
    }

    /// Sets the record aside that ends there.
    fn set_aside(&mut self, end: usize, flaw: Flaw) {
        self.records.odd.push(OddRecord { record: self.count, start: self.record_start, end, flaw });
        self.records.marks.truncate(self.record_mark);
        self.records.marks.push(end as u32);
    }

    /// Gives a record that ends at `at` the wanted number of fields, if it only lacks some or has empty ones too many.
    fn even_out(&mut self, data: &[u8], at: usize) -> bool {
        if self.room == 0 {
            let last = self.records.marks[self.record_mark + self.splitter.fields] as usize;
            return data[last..at].iter().all(|byte| *byte == self.splitter.marks.delimiter);
        }
        // Fields of no length, one behind the other: where they lie does not matter.
        self.records.marks.extend((1..=self.room).map(|beyond| (at + beyond) as u32));
        true
    }

    #[cold]
    fn mark_flaw(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
        self.beyond |= FLAWED;
    }

    /// Meets text behind the closing quote at `at`. If that quote looks like the opening one of another record's field,
    /// the field at hand was never closed, and its record is the line on which it began.
    #[cold]
    fn text_after_quote<const MORE: bool>(&mut self, data: &[u8], at: usize) -> Option<Step> {
        let Marks { delimiter, quote, .. } = self.splitter.marks;
        let run = data[self.field_start..at].iter().rev().take_while(|byte| **byte == quote).count();
        let first = at - run;
        let opens = first > self.field_start
            && matches!(data[first - 1], byte if byte == delimiter || byte == b'\n' || byte == b'\r');
        let line_end = memchr::memchr2(b'\n', b'\r', &data[self.record_start..at]).map(|end| self.record_start + end);
        let (Some(end), true) = (line_end, opens) else {
            self.mark_flaw(Flaw::AfterQuote);
            return None;
        };
        self.flaw = None;
        self.set_aside(end, Flaw::Unclosed);
        self.count += 1;
        self.record_start = end + 1;
        self.field_start = end + 1;
        self.room = self.splitter.fields;
        self.beyond = 0;
        self.lines_taken += 1;
        self.lines = self.lines_taken;
        (self.doubled, self.literal) = (usize::MAX, usize::MAX);
        if MORE {
            self.begin_line(data);
        }
        Some(if self.count == self.most { Step::Full } else { Step::Again(end + 1) })
    }

    fn finish(mut self, data: &[u8], ended: bool) {
        if ended && self.in_comment {
            self.record_start = data.len();
        } else if ended && !self.in_quotes && self.record_start < data.len() {
            self.end_record(data, data.len());
            self.record_start = data.len();
        }
        let open = self.count < self.most && self.in_quotes;
        self.records.marks.truncate(self.record_mark);
        self.records.count = self.count;
        self.records.taken = self.record_start;
        self.records.lines = self.lines_taken;
        self.records.quoted = self.quoted;
        self.records.open_quote = open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, fields: usize, ended: bool) -> (Vec<Vec<String>>, Records) {
        split_as(text, fields, ended, Dialect::default())
    }

    fn split_as(text: &str, fields: usize, ended: bool, dialect: Dialect) -> (Vec<Vec<String>>, Records) {
        let splitter = Splitter { marks: Marks { delimiter: b',', quote: b'"', escape: b'\\' }, fields, dialect };
        let mut records = Records::default();
        splitter.split(text.as_bytes(), false, ended, 100, &mut records);
        let rows = records
            .marks
            .chunks_exact(fields + 1)
            .map(|row| {
                let place = |pair: &[u32]| pair[0].wrapping_add(1) as usize..pair[1] as usize;
                row.windows(2).map(|pair| text.get(place(pair)).unwrap_or_default().to_owned()).collect()
            })
            .collect();
        (rows, records)
    }

    #[test]
    fn every_line_end_ends_a_record_and_empty_lines_are_none() {
        let (rows, records) = split("a,b\r\n\nc,d\re,f\n\r\ng,h", 2, true);
        assert_eq!(rows, [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]);
        assert_eq!((records.count, records.taken, records.lines), (4, 19, 6));
    }

    #[test]
    fn quotes_hide_delimiters_and_line_ends() {
        let (rows, _) = split("\"a,\n\"\"b\",c\nd,\"\"\n", 2, false);
        assert_eq!(rows, [["\"a,\n\"\"b\"", "c"], ["d", "\"\""]]);
    }

    #[test]
    fn an_unfinished_record_is_left() {
        let (rows, records) = split("a,b\nc,", 2, false);
        assert_eq!(rows.len(), 1);
        assert_eq!(records.taken, 4);
        let (rows, records) = split("a,b\n\"c,", 2, true);
        assert_eq!(rows.len(), 1);
        assert!(records.open_quote);
        assert_eq!(records.taken, 4);
    }

    #[test]
    fn odd_records_are_set_aside() {
        let (rows, records) = split("a\n1,2\n1,2,3,4\n5,6", 2, true);
        assert_eq!(rows, [["1", "2"], ["5", "6"]]);
        assert_eq!(flaws(&records), [(0, Flaw::Fields(1), 0, 1), (2, Flaw::Fields(4), 6, 13)]);
        assert_eq!(records.count, 4);
    }

    fn flaws(records: &Records) -> Vec<(usize, Flaw, usize, usize)> {
        records.odd.iter().map(|odd| (odd.record, odd.flaw, odd.start, odd.end)).collect()
    }

    #[test]
    fn text_that_is_not_of_the_rules_costs_its_record() {
        let (rows, records) = split("a,b\nc\"d,e\n\"f\"g,h\n\"i\nj\"k,l\nm,n\n", 2, true);
        assert_eq!(rows, [["a", "b"], ["m", "n"]]);
        assert_eq!(
            flaws(&records),
            [(1, Flaw::InnerQuote, 4, 9), (2, Flaw::AfterQuote, 10, 16), (3, Flaw::AfterQuote, 17, 25)]
        );
        assert_eq!((records.count, records.lines), (5, 6));
        let lenient = Dialect { inner_quotes: true, ..Dialect::default() };
        let (rows, records) = split_as("c\"d,e\n\"f\"g,h\n", 2, true, lenient);
        assert_eq!(rows, [["c\"d", "e"]]);
        assert_eq!(flaws(&records), [(1, Flaw::AfterQuote, 6, 12)]);
    }

    #[test]
    fn a_quote_that_is_not_closed_in_its_record_does_not_swallow_others() {
        let (rows, records) = split("a,\"b\nc,\"d\"\r\ne,\"f\"\"\r\ng,h\r\n\"i\",\"j\"\r\n", 2, true);
        assert_eq!(rows, [["c", "\"d\""], ["g", "h"], ["\"i\"", "\"j\""]]);
        assert_eq!(flaws(&records), [(0, Flaw::Unclosed, 0, 4), (2, Flaw::Unclosed, 12, 18)]);
        assert_eq!((records.count, records.lines), (5, 5));
    }

    #[test]
    fn dialects() {
        let escapes = Dialect { escapes: true, ..Dialect::default() };
        let (rows, records) = split_as("a\\,b,\"c\\\"d\"\ne\\\nf,g\nh\\\\,i\n", 2, true, escapes);
        assert_eq!(rows, [["a\\,b", "\"c\\\"d\""], ["e\\\nf", "g"], ["h\\\\", "i"]]);
        assert_eq!((records.odd.len(), records.lines), (0, 4));
        let comments = Dialect { comment: Some(b'#'), ..Dialect::default() };
        let (rows, records) = split_as("# \"one\na,b\r\n#two,,\r\nc,\"#\n#\"\n#three", 2, true, comments);
        assert_eq!(rows, [["a", "b"], ["c", "\"#\n#\""]]);
        assert_eq!((records.odd.len(), records.lines, records.taken), (0, 5, 34));
        let blank = Dialect { blank_records: true, ..Dialect::default() };
        let (rows, records) = split_as("a\r\n\r\nb\n\nc", 1, true, blank);
        assert_eq!(rows, [["a"], [""], ["b"], [""], ["c"]]);
        assert_eq!((records.count, records.lines), (5, 5));
        let ragged = Dialect { ragged: true, ..Dialect::default() };
        let (rows, records) = split_as("a\nb,c,,\nd,e,f\ng,h\n\"\",", 3, true, ragged);
        assert_eq!(rows, [["a", "", ""], ["b", "c", ""], ["d", "e", "f"], ["g", "h", ""], ["\"\"", "", ""]]);
        assert_eq!(records.uneven, [(0, 1), (1, 7), (3, 17), (4, 21)]);
        let (rows, records) = split_as("b,c,,x\n", 3, true, ragged);
        assert_eq!((rows.len(), flaws(&records)), (0, vec![(0, Flaw::Fields(4), 0, 6)]));
    }
}
