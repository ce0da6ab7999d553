//! A bounded window over a stream of bytes.

use std::io::{self, ErrorKind, Read};

/// The bytes that a text decoder reads: read from the stream and not consumed.
///
/// It grows only when asked to, so that only a long record makes it larger than its first size.
pub(super) struct Window {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    capacity: usize,
    ended: bool,
    failed: Option<io::Error>,
}

impl Window {
    /// A window of `capacity` bytes over `reader`.
    pub(super) fn new(reader: Box<dyn Read + Send>, capacity: usize) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, end: 0, capacity, ended: false, failed: None }
    }

    /// The bytes read and not consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the stream ends after [`Window::bytes`].
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Its present capacity in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Consumes the first `count` bytes.
    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
    }

    /// Reads until the window is full or the stream ends or fails, if it has fewer than `least` bytes. A failure is
    /// reported by [`Window::check`], so that bytes before it are used.
    pub(super) fn fill(&mut self, least: usize) {
        if self.ended || self.failed.is_some() || self.end - self.start >= least.min(self.capacity) {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.buffer.resize(self.capacity.max(self.end), 0);
        while self.end < self.capacity {
            match self.reader.read(&mut self.buffer[self.end..self.capacity]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
    }

    /// Reports a failure, if the present bytes are not enough.
    pub(super) fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Changes the capacity to `capacity` bytes.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        if self.buffer.len() > capacity && self.end - self.start <= capacity {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.buffer.truncate(capacity);
            self.buffer.shrink_to_fit();
        }
    }
}
