//! JSON that is not laid out as lines: arrays of records, objects over several lines or behind each
//! other, and arrays that lie in an envelope.
//!
//! Brackets alone say where a record begins and ends, so that a text whose brackets do not fit cannot be
//! read on: what looks like the next record may be a part of the one before.

use std::borrow::Cow;
use std::io;

use super::framing::{Front, Line};
use super::object;
use crate::csv::excerpt;
use crate::text::{Original, Text};
use crate::window::Window;
use crate::{FormatError, PAYLOAD_BYTES, RECORD_BYTES};

/// Larger than a batch of usual records.
const WINDOW_BYTES: usize = 2 << 20;

/// The records of a text of documents.
pub(crate) struct Documents {
    window: Window,
    /// The line that the window begins on.
    line: u64,
    /// The keys that lead to the records.
    path: Vec<String>,
    /// Where the window begins, and where what [`Documents::front`] found ends.
    now: Place,
    next: Place,
}

/// Where reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between documents.
    Outside,
    /// In an object on the path.
    Fields(Level),
    /// In the array of records that begins on this line.
    Items(u64),
    /// Before a value that is a record by itself, in an object on the path.
    One(Level),
    /// In a value that nobody asks for, in an object on the path.
    Skipping(Level, Value),
}

/// An object on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    /// Keys of the path above it.
    keys: usize,
    /// Whether the path was met in its document.
    met: bool,
}

/// A value of which only the end counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Value {
    depth: usize,
    text: bool,
    escaped: bool,
}

/// What comes next in the window.
enum Step {
    /// Nothing that counts, up to here.
    Over(usize, Place),
    /// A record, up to here.
    Record(usize, Place),
    /// More has to be read first.
    More,
    /// Brackets, commas and colons do not fit.
    Damaged,
    /// A document ends that has nothing at the path.
    Pathless,
}

impl Documents {
    /// The records of `text`.
    pub(super) fn new(text: Text, path: &[String]) -> (Self, Original) {
        let window = Window::new(text.reader, WINDOW_BYTES);
        let (now, next) = (Place::Outside, Place::Outside);
        (Self { window, line: 1, path: path.to_vec(), now, next }, text.original)
    }

    /// The text of a record that [`Documents::front`] found and that is not taken yet.
    pub(super) fn text(&self, line: &Line) -> &[u8] {
        &self.window.bytes()[line.place.clone()]
    }

    /// Up to `most` records at the front of the window, after `done` others.
    pub(super) fn front(&mut self, most: usize, done: u64) -> Result<Front, FormatError> {
        loop {
            self.window.fill(self.window.capacity() / 2);
            let bytes = self.window.bytes();
            let (mut found, mut at, mut number, mut place) = (Vec::new(), 0, self.line, self.now);
            while found.len() < most {
                let space = bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                number += lines(&bytes[at..at + space]);
                at += space;
                if at == bytes.len() {
                    break;
                }
                let end = match self.step(&bytes[at..], place, number) {
                    Step::Over(count, next) => {
                        place = next;
                        at + count
                    }
                    Step::Record(count, next) => {
                        found.push(Line { place: at..at + count, number });
                        place = next;
                        at + count
                    }
                    Step::More => break,
                    Step::Pathless if found.is_empty() => {
                        return Err(FormatError::NoPath { line: number, path: self.path.join(".") });
                    }
                    Step::Damaged if found.is_empty() => {
                        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
                        let text = excerpt(&bytes[at..end]).to_string();
                        return Err(FormatError::NotJson { line: number, text });
                    }
                    // What was found before it counts.
                    Step::Damaged | Step::Pathless => break,
                };
                number += lines(&bytes[at..end]);
                at = end;
            }
            if !found.is_empty() {
                self.next = place;
                return Ok(Front::Records(found, at, number - self.line));
            }
            self.window.take(at);
            (self.line, self.now, self.next) = (number, place, place);
            self.window.check().map_err(|source| FormatError::Read { done, source })?;
            let unread = self.window.bytes().len();
            if self.window.ended() {
                return if unread == 0 && place == Place::Outside { Ok(Front::End) } else { Err(self.cut_off(done)) };
            }
            if unread >= RECORD_BYTES {
                return self.too_long(done);
            }
            if unread == self.window.capacity() {
                self.window.resize((unread * 2).min(RECORD_BYTES));
            }
            self.window.fill(self.window.capacity());
        }
    }

    /// Takes what [`Documents::front`] found.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) {
        self.window.take(bytes);
        self.line += lines;
        self.now = self.next;
        if self.window.capacity() > WINDOW_BYTES && self.window.bytes().len() < WINDOW_BYTES {
            self.window.resize(WINDOW_BYTES);
        }
    }

    /// What stands at the beginning of `text`, which is no space.
    fn step(&self, text: &[u8], place: Place, line: u64) -> Step {
        match (place, text[0]) {
            (Place::Skipping(level, value), _) => skip(text, value, level),
            (Place::Items(_) | Place::Fields(_), b',') => Step::Over(1, place),
            (Place::Items(_), b']') => match self.path.len() {
                0 => Step::Over(1, Place::Outside),
                keys => Step::Over(1, Place::Fields(Level { keys: keys - 1, met: true })),
            },
            (Place::Fields(Level { keys: 0, met: true }), b'}') => Step::Over(1, Place::Outside),
            (Place::Fields(Level { keys: 0, met: false }), b'}') => Step::Pathless,
            (Place::Fields(Level { keys, met }), b'}') => Step::Over(1, Place::Fields(Level { keys: keys - 1, met })),
            (Place::Fields(level), b'"') => self.field(text, level, line),
            (Place::Fields(_), _) => Step::Damaged,
            (Place::Outside, b'[') if self.path.is_empty() => Step::Over(1, Place::Items(line)),
            (Place::Outside, b'{') if !self.path.is_empty() => {
                Step::Over(1, Place::Fields(Level { keys: 0, met: false }))
            }
            (Place::One(level), _) => self.record(text, Place::Fields(level)),
            (Place::Outside | Place::Items(_), _) => self.record(text, place),
        }
    }

    /// A value that is a record, of whatever kind.
    fn record(&self, text: &[u8], next: Place) -> Step {
        match (text[0], object::skip_value(text, 0)) {
            (b',' | b':' | b']' | b'}', _) => Step::Damaged,
            (b'{' | b'[' | b'"', Some(end)) => Step::Record(end, next),
            (b'{' | b'[' | b'"', None) => Step::More,
            // A number that ends with the window may go on behind it.
            (_, Some(end)) => Step::Record(end, next),
            (_, None) if self.window.ended() => Step::Record(text.len(), next),
            (_, None) => Step::More,
        }
    }

    /// A key of an object on the path, and what to do with its value.
    fn field(&self, text: &[u8], level: Level, line: u64) -> Step {
        let space = |at: usize| at + text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let Some(key) = object::skip_string(text, 0) else { return Step::More };
        let colon = space(key);
        let value = match text.get(colon) {
            None => return Step::More,
            Some(b':') => space(colon + 1),
            Some(_) => return Step::Damaged,
        };
        let name = object::name(&text[..key]).unwrap_or(Cow::Borrowed(""));
        let wanted = self.path.get(level.keys).is_some_and(|key| *key == name);
        let last = level.keys + 1 == self.path.len();
        let met = Level { met: level.met || wanted, ..level };
        match text.get(value) {
            None => Step::More,
            Some(b',' | b':' | b']' | b'}') => Step::Damaged,
            Some(b'[') if wanted && last => Step::Over(value + 1, Place::Items(line)),
            Some(b'{') if wanted && !last => {
                Step::Over(value + 1, Place::Fields(Level { keys: level.keys + 1, met: level.met }))
            }
            Some(b'n') => Step::Over(value, Place::Skipping(met, Value::default())),
            // One record in the place of an array of them, or what is no record.
            Some(_) if wanted => Step::Over(value, Place::One(met)),
            Some(_) => Step::Over(value, Place::Skipping(level, Value::default())),
        }
    }

    /// The text ends too early.
    fn cut_off(&self, done: u64) -> FormatError {
        let within = match self.now {
            Place::Items(line) => format!("the array that begins on line {line}"),
            _ => format!("what begins on line {}", self.line),
        };
        let source = io::Error::new(io::ErrorKind::UnexpectedEof, format!("the file ends inside of {within}"));
        FormatError::Read { done, source }
    }

    /// Takes a record that is longer than any window.
    fn too_long(&mut self, done: u64) -> Result<Front, FormatError> {
        let (number, mut beginning, mut length) = (self.line, Vec::new(), 0_u64);
        let level = Level { keys: 0, met: true };
        let mut skipping = Place::Skipping(level, Value::default());
        while let Place::Skipping(level, value) = skipping {
            let bytes = self.window.bytes();
            let count = match skip(bytes, value, level) {
                Step::Over(count, next) => {
                    skipping = next;
                    count
                }
                _ => return Err(FormatError::NotJson { line: number, text: excerpt(&beginning).to_string() }),
            };
            let keep = count.min(PAYLOAD_BYTES.saturating_sub(beginning.len()));
            beginning.extend_from_slice(&bytes[..keep]);
            length += count as u64;
            self.line += lines(&bytes[..count]);
            self.window.take(count);
            self.window.check().map_err(|source| FormatError::Read { done, source })?;
            self.window.fill(1);
            if self.window.bytes().is_empty() && matches!(skipping, Place::Skipping(..)) {
                return Err(self.cut_off(done));
            }
        }
        if let Place::One(level) = self.now {
            self.now = Place::Fields(level);
        }
        self.next = self.now;
        Ok(Front::TooLong(number, length, beginning))
    }
}

/// Passes over a value, as far as the window goes.
fn skip(bytes: &[u8], value: Value, level: Level) -> Step {
    let Value { mut depth, mut text, mut escaped } = value;
    let after = Place::Fields(level);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => {
                text = !text;
                if !text && depth == 0 {
                    return Step::Over(at + 1, after);
                }
            }
            _ if text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Step::Over(at + 1, after);
                }
            }
            b',' | b'}' | b']' if depth == 0 => return Step::Over(at, after),
            _ => {}
        }
    }
    Step::Over(bytes.len(), Place::Skipping(level, Value { depth, text, escaped }))
}

fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
