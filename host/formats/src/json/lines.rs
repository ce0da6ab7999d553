//! The lines of a file that are not blank.

use std::io;
use std::ops::Range;

use super::framing::{Front, Line};
use crate::text::{Original, Text};
use crate::window::Window;
use crate::{PAYLOAD_BYTES, RECORD_BYTES};

/// Larger than a batch of usual events.
const WINDOW_BYTES: usize = 2 << 20;

/// The lines of a file that are not blank.
pub(crate) struct Lines {
    window: Window,
    /// The number of the window's first line.
    number: u64,
}

impl Lines {
    /// The lines of `text`.
    pub(super) fn new(text: Text) -> (Self, Original) {
        (Self { window: Window::new(text.reader, WINDOW_BYTES), number: 1 }, text.original)
    }

    /// What the window holds of the file's beginning, before anything is taken.
    pub(super) fn beginning(&mut self) -> &[u8] {
        self.window.fill(self.window.capacity() / 2);
        self.window.bytes()
    }

    /// The text of a line that [`Lines::front`] found and that is not taken yet.
    pub(super) fn text(&self, line: &Line) -> &[u8] {
        &self.window.bytes()[line.place.clone()]
    }

    /// Up to `most` lines at the front of the window.
    pub(super) fn front(&mut self, most: usize) -> io::Result<Front> {
        loop {
            self.window.fill(self.window.capacity() / 2);
            let (bytes, ended) = (self.window.bytes(), self.window.ended());
            let (mut lines, mut start, mut number) = (Vec::new(), 0, self.number);
            let mut keep = |place: Range<usize>, number| {
                if !bytes[place.clone()].trim_ascii().is_empty() {
                    lines.push(Line { place, number });
                }
                lines.len() == most
            };
            for end in memchr::memchr_iter(b'\n', bytes) {
                let full = keep(start..end, number);
                start = end + 1;
                number += 1;
                if full {
                    break;
                }
            }
            if ended && lines.len() < most && start < bytes.len() {
                if !bytes[start..].trim_ascii().is_empty() {
                    lines.push(Line { place: start..bytes.len(), number });
                }
                start = bytes.len();
                number += 1;
            }
            if !lines.is_empty() {
                return Ok(Front::Records(lines, start, number - self.number));
            }
            let count = number - self.number;
            self.take(start, count);
            self.window.check()?;
            let unread = self.window.bytes().len();
            if ended && unread == 0 {
                return Ok(Front::End);
            }
            if unread >= RECORD_BYTES {
                return self.too_long();
            }
            if unread == self.window.capacity() {
                self.window.resize((unread * 2).min(RECORD_BYTES));
            }
            self.window.fill(self.window.capacity());
        }
    }

    /// Takes what [`Lines::front`] found.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) {
        self.window.take(bytes);
        self.number += lines;
        if self.window.capacity() > WINDOW_BYTES && self.window.bytes().len() < WINDOW_BYTES {
            self.window.resize(WINDOW_BYTES);
        }
    }

    fn too_long(&mut self) -> io::Result<Front> {
        let (mut beginning, mut length) = (Vec::new(), 0_u64);
        loop {
            let bytes = self.window.bytes();
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            length += part.len() as u64;
            let keep = part.len().min(PAYLOAD_BYTES.saturating_sub(beginning.len()));
            beginning.extend_from_slice(&part[..keep]);
            let taken = end.map_or(bytes.len(), |end| end + 1);
            self.window.take(taken);
            if end.is_some() || self.window.ended() {
                break;
            }
            self.window.check()?;
            self.window.fill(1);
        }
        self.number += 1;
        Ok(Front::TooLong(self.number - 1, length, beginning))
    }
}
