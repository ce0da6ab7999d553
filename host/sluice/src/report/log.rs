//! Log lines, as a person reads them.

use std::io::{self, Write};

use sluicebox_core::printable::printable;
use sluicebox_core::redact::redact;
use tracing_subscriber::fmt::MakeWriter;

/// Standard error for log lines: each event is one line, whatever is in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogLines;

impl Write for LogLines {
    /// Takes one event, which the subscriber writes at once and ends with a newline.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = redact(text.trim_end_matches('\n'));
        writeln!(io::stderr().lock(), "{}", printable(&line))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
