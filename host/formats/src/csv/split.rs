//! Cuts delimited text into records and fields without copying it.
//!
//! The rules are those of RFC 4180 with the usual leniency: a record ends at a line
//! feed, a carriage return or both; lines without any byte are skipped; a quote opens
//! a quoted field only as the field's first byte; inside, two quotes are one; what
//! follows a closing quote up to the next delimiter belongs to the field as it is.

use super::scan::Marks;

/// Where the fields of some records lie.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// For every good record: one less than its start (wrapping), then the end of each
    /// field. A field begins one byte after the mark before it.
    pub(super) marks: Vec<u32>,
    /// Records whose number of fields is not the wanted one.
    pub(super) odd: Vec<OddRecord>,
    /// Records found, odd ones included.
    pub(super) count: usize,
    /// Bytes up to the end of the last of them.
    pub(super) taken: usize,
    /// Line ends up to there.
    pub(super) lines: u64,
    /// Whether any field begins with a quote.
    pub(super) quoted: bool,
    /// Whether the bytes end inside of a quoted field.
    pub(super) open_quote: bool,
}

/// A record whose number of fields is not the wanted one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OddRecord {
    /// Its number among the records found.
    pub(super) record: usize,
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends, without its line end.
    pub(super) end: usize,
    /// How many fields it has.
    pub(super) fields: usize,
}

/// How text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Splitter {
    /// The structural bytes.
    pub(super) marks: Marks,
    /// The wanted number of fields.
    pub(super) fields: usize,
}

impl Splitter {
    /// Finds up to `most` records in `data` and replaces what is in `records` with them.
    ///
    /// `data` begins at a record's start and is shorter than 4 GiB. With `ended`, the
    /// last record needs no line end; a record that is open in a quote is never found.
    /// `after_return` says that the byte before `data` was a carriage return.
    pub(super) fn split(self, data: &[u8], after_return: bool, ended: bool, most: usize, records: &mut Records) {
        records.marks.clear();
        records.odd.clear();
        let mut cut = Cut::new(self, most, records);
        cut.after_return = after_return;
        let mut blocks = data.chunks_exact(64);
        let mut base = 0;
        for block in blocks.by_ref() {
            let block: &[u8; 64] = block.try_into().expect("a chunk of 64 because chunks_exact gives no other");
            if cut.block(data, base, self.marks.find(block)) {
                return cut.finish(data, false);
            }
            base += 64;
        }
        let rest = blocks.remainder();
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        let inside = (1_u64 << rest.len()) - 1;
        let full = cut.block(data, base, self.marks.find(&block) & inside);
        cut.finish(data, ended && !full);
    }
}

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
    quoted: bool,
    count: usize,
    /// Line ends so far, and those before the present record.
    lines: u64,
    lines_taken: u64,
    after_return: bool,
}

impl<'a> Cut<'a> {
    fn new(splitter: Splitter, most: usize, records: &'a mut Records) -> Self {
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
            quoted: false,
            count: 0,
            lines: 0,
            lines_taken: 0,
            after_return: false,
        }
    }

    /// Goes over the marks of one block; true when there are enough records.
    #[inline]
    fn block(&mut self, data: &[u8], base: usize, mut found: u64) -> bool {
        let Marks { delimiter, quote } = self.splitter.marks;
        while found != 0 {
            let at = base + found.trailing_zeros() as usize;
            found &= found - 1;
            let byte = data[at];
            if self.in_quotes {
                if byte == quote && at != self.doubled {
                    if data.get(at + 1) == Some(&quote) {
                        self.doubled = at + 1;
                    } else {
                        self.in_quotes = false;
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
                }
            } else if at == self.record_start {
                // A line without any byte, or the line feed after a carriage return.
                self.records.marks[self.record_mark] = at as u32;
                self.record_start = at + 1;
                self.field_start = at + 1;
                self.end_line(data, at);
                self.lines_taken = self.lines;
            } else {
                self.end_record(at);
                if self.count == self.most {
                    return true;
                }
            }
        }
        false
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
    fn end_record(&mut self, at: usize) {
        self.end_field(at);
        if self.room == 0 && self.beyond == 0 {
            self.record_mark = self.records.marks.len();
            self.records.marks.push(at as u32);
        } else {
            self.odd_record(at);
        }
        self.room = self.splitter.fields;
        self.count += 1;
        self.record_start = at + 1;
        self.lines += 1;
        self.lines_taken = self.lines;
    }

    #[cold]
    fn odd_record(&mut self, at: usize) {
        let fields = self.splitter.fields - self.room + self.beyond;
        self.records.odd.push(OddRecord { record: self.count, start: self.record_start, end: at, fields });
        self.records.marks.truncate(self.record_mark);
        self.records.marks.push(at as u32);
        self.beyond = 0;
    }

    fn finish(mut self, data: &[u8], ended: bool) {
        if ended && !self.in_quotes && self.record_start < data.len() {
            self.end_record(data.len());
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
        let splitter = Splitter { marks: Marks { delimiter: b',', quote: b'"' }, fields };
        let mut records = Records::default();
        splitter.split(text.as_bytes(), false, ended, 100, &mut records);
        let rows = records
            .marks
            .chunks_exact(fields + 1)
            .map(|row| {
                row.windows(2).map(|pair| text[pair[0].wrapping_add(1) as usize..pair[1] as usize].to_owned()).collect()
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
        let (rows, _) = split("\"a,\n\"\"b\",c\nd\"e,\"f\"g\n", 2, false);
        assert_eq!(rows, [["\"a,\n\"\"b\"", "c"], ["d\"e", "\"f\"g"]]);
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
        let odd: Vec<_> = records.odd.iter().map(|odd| (odd.record, odd.fields, odd.start, odd.end)).collect();
        assert_eq!(odd, [(0, 1, 0, 1), (2, 4, 6, 13)]);
        assert_eq!(records.count, 4);
    }
}
