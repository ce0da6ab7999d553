//! What is said of records that are no rows.

use super::CsvRows;
use super::column::{BadValue, Block, Why};
use super::header::Column;
use super::records::Flaw;
use crate::plain::type_name;
use crate::reading::Reading;
use crate::{BadRecord, PAYLOAD_BYTES, scalar};
use sluicebox_core::reject::RejectCode;

impl CsvRows {
    /// The odd records and those with bad values (one per row, ascending), in the file's order.
    pub(super) fn bad_records(&self, values: &[BadValue], numbers: &[u64]) -> Vec<BadRecord> {
        let block = self.block();
        let mut found = Vec::with_capacity(values.len() + block.records.odd.len());
        for odd in &block.records.odd {
            let reason = match odd.flaw {
                Flaw::Fields(_) => RejectCode::CsvColumnCount,
                Flaw::InnerQuote | Flaw::AfterQuote => RejectCode::CsvQuote,
                Flaw::Unclosed => RejectCode::CsvUnclosedQuote,
            };
            let message = message(odd.flaw, block.fields);
            found.push((self.cursor.record() + odd.record as u64, odd.start..odd.end, reason, message));
        }
        for value in values {
            let place = block.record(value.row);
            let (reason, message) = self.describe(*value, &block, &block.data[place.clone()]);
            found.push((numbers[value.row], place, reason, message));
        }
        found.sort_by_key(|(record, ..)| *record);
        let (mut line, mut counted) = (self.cursor.line(), 0);
        let after_return = self.cursor.after_return();
        found
            .into_iter()
            .map(|(record, place, reason, message)| {
                line += lines(block.data, counted..place.start, after_return);
                counted = place.start;
                let payload = &block.data[place];
                let kept = &payload[..payload.len().min(PAYLOAD_BYTES)];
                let message = if kept.len() < payload.len() {
                    format!("{message}; of its {} bytes the first {} are kept", payload.len(), kept.len())
                } else {
                    message
                };
                BadRecord { record, line: Some(line), reason, message, payload: self.original.restore(kept) }
            })
            .collect()
    }

    fn describe(&self, value: BadValue, block: &Block<'_>, record: &[u8]) -> (RejectCode, String) {
        let column = self.columns.iter().find(|column| column.field == value.field);
        let (name, kind) = column.map_or_else(
            || (String::new(), String::new()),
            |column| (column.target.name().clone(), type_name(column.target.data_type())),
        );
        let text = excerpt(&block.text(value.row, value.field));
        match value.why {
            Why::Null => (RejectCode::CsvNull, format!("column `{name}` must not be null")),
            Why::Type if std::str::from_utf8(record).is_ok() => {
                let read = column.and_then(|column| self.inexact(column, block, value.row));
                let message = match read {
                    Some(read) => format!(
                        "column `{name}`: `{text}` would come back as `{read}` from {kind}, the type that was inferred; declare the column to have it so"
                    ),
                    None => format!("column `{name}`: `{text}` is not of type {kind}"),
                };
                (RejectCode::CsvType, message)
            }
            Why::Type | Why::Encoding => {
                (RejectCode::CsvEncoding, format!("column `{name}`: `{text}` is not valid UTF-8"))
            }
        }
    }

    /// What a value would be read as if its column were declared and not inferred.
    fn inexact(&self, column: &Column, block: &Block<'_>, row: usize) -> Option<String> {
        if !column.reading.exact {
            return None;
        }
        let text = block.text(row, column.field).into_owned();
        let reading = Reading { exact: false, ..column.reading.clone() };
        scalar::shown(text.trim_ascii(), column.target.data_type(), &reading)
    }
}

/// What is wrong with a record as a whole, where `fields` are wanted.
pub(super) fn message(flaw: Flaw, fields: usize) -> String {
    match flaw {
        Flaw::Fields(found) => format!("{fields} fields expected, {found} found"),
        Flaw::InnerQuote => "a quote stands inside of a field that does not begin with one; for text in which quotes have no meaning set `quoting`".to_owned(),
        Flaw::AfterQuote => "text stands behind the closing quote of a field; for text with escaped quotes set `escape`".to_owned(),
        Flaw::Unclosed => "a quoted field that begins on this line is not closed before the next record".to_owned(),
    }
}

/// A value as a message shows it: whole if short, always printable.
pub(crate) fn excerpt(text: &[u8]) -> String {
    const CHARACTERS: usize = 80;
    let text = String::from_utf8_lossy(&text[..text.len().min(CHARACTERS * 4)]);
    let mut shown = String::new();
    for letter in text.chars().take(CHARACTERS) {
        match letter {
            // Quotes and backslashes are printable.
            '"' | '\'' | '\\' => shown.push(letter),
            other => shown.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// Line ends within `range`; a line feed after a carriage return does not count again.
fn lines(data: &[u8], range: std::ops::Range<usize>, after_return: bool) -> u64 {
    let mut count = 0;
    for at in memchr::memchr2_iter(b'\n', b'\r', &data[range.clone()]).map(|at| at + range.start) {
        let returned = if at == 0 { after_return } else { data[at - 1] == b'\r' };
        count += u64::from(data[at] == b'\r' || !returned);
    }
    count
}
