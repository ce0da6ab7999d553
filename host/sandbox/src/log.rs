//! The log of a module: limited, and kept for its errors.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::Level;

use super::text::printable;

/// Lines kept for an error.
const RECENT: usize = 8;
/// The most bytes of one line.
const LINE: usize = 2 << 10;

/// The log of one instance.
pub(super) struct Log {
    module: Arc<str>,
    /// Lines and bytes that one call may write.
    most: (u32, u32),
    lines: u32,
    bytes: u32,
    lost: u64,
    recent: VecDeque<String>,
    /// Text written to the standard streams since the last line end.
    console: String,
}

impl Log {
    pub(super) fn new(module: Arc<str>, lines: u32, bytes: u32) -> Self {
        let (recent, console) = (VecDeque::new(), String::new());
        Self { module, most: (lines, bytes), lines: 0, bytes: 0, lost: 0, recent, console }
    }

    /// Resets the limits for the next call.
    pub(super) fn begin(&mut self) {
        self.lines = 0;
        self.bytes = 0;
        self.lost = 0;
    }

    /// Logs a line, or counts it if the limits are used up.
    pub(super) fn line(&mut self, level: Level, message: &str) {
        let room = self.most.1.saturating_sub(self.bytes) as usize;
        if self.lines >= self.most.0 || room == 0 {
            self.lost += 1;
            return;
        }
        let line = printable(message, LINE.min(room));
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(u32::try_from(line.len()).unwrap_or(u32::MAX));
        let module = &*self.module;
        match level {
            Level::ERROR => tracing::error!(target: "module", module, "{line}"),
            Level::WARN => tracing::warn!(target: "module", module, "{line}"),
            Level::INFO => tracing::info!(target: "module", module, "{line}"),
            _ => tracing::debug!(target: "module", module, "{line}"),
        }
        self.remember(line);
    }

    /// Logs text written to a standard stream, in pieces of any size.
    pub(super) fn console(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let room = LINE.saturating_sub(self.console.len());
            self.console.extend(part.chars().take(room));
            if part.ends_with('\n') {
                self.end_line();
            }
        }
    }

    /// Reports how many lines were not logged, at the end of a call.
    pub(super) fn end(&mut self) {
        self.end_line();
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            tracing::warn!(module = &*self.module, lost, "log lines over the limit were not kept");
            self.remember(format!("({lost} more lines over the limit)"));
        }
    }

    /// The last lines, oldest first.
    pub(super) fn recent(&self) -> Vec<String> {
        self.recent.iter().cloned().collect()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.console);
        if !line.trim().is_empty() {
            self.line(Level::WARN, &line);
        }
    }

    fn remember(&mut self, line: String) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_limit_are_counted() {
        let mut log = Log::new("m".into(), 3, 1_000);
        (0..10).for_each(|n| log.line(Level::INFO, &format!("line {n}")));
        log.end();
        assert_eq!(log.recent(), ["line 0", "line 1", "line 2", "(7 more lines over the limit)"]);
        log.begin();
        log.line(Level::INFO, "next call");
        assert_eq!(log.recent().last().map(String::as_str), Some("next call"));
    }

    #[test]
    fn bytes_over_the_limit_are_cut() {
        let mut log = Log::new("m".into(), 100, 10);
        log.line(Level::INFO, "123456");
        log.line(Level::INFO, "123456");
        log.line(Level::INFO, "123456");
        log.end();
        assert_eq!(log.recent(), ["123456", "1234…", "(1 more lines over the limit)"]);
    }

    #[test]
    fn pieces_become_lines() {
        let mut log = Log::new("m".into(), 100, 1_000);
        for piece in ["\nand ", "comp", "lained\nabout", " it"] {
            log.console(piece);
        }
        assert_eq!(log.recent(), ["and complained"]);
        log.end();
        assert_eq!(log.recent(), ["and complained", "about it"]);
    }
}
