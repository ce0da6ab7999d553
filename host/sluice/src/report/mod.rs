//! What is printed: errors once, progress while it runs, a summary at the end.
//!
//! Results go to standard output and everything about them to standard error, so that
//! either can be piped away. Colour only where a terminal shows it and `NO_COLOR` is unset.

mod error;
mod log;
mod progress;
mod summary;
mod usage;

pub use error::{error, failed, message, not_started, note, operation, pipeline, warnings};
pub use log::LogLines;
pub use progress::{Display, Show};
pub use summary::Summary;
use usage::usage;

use std::io::{IsTerminal, Write};

use indicatif::{HumanBytes, HumanCount};
use sluicebox_core::printable::{printable, printable_json, printable_lines};
use sluicebox_core::redact::redact;

/// Whether to colour what is written to `stream`.
pub fn colour(stream: &impl IsTerminal) -> bool {
    let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !asked_not_to && !dumb
}

/// Prints a result to standard output. Whoever reads it may stop early, as `head` does;
/// that is no reason to fail.
pub fn line(text: impl std::fmt::Display) {
    let text = redact(&text.to_string());
    let _ = writeln!(std::io::stdout().lock(), "{}", printable_lines(&text));
}

/// Prints one JSON value to standard output, on a line of its own.
pub fn json_line(json: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{}", printable_json(&json.to_string()));
}

/// Prints something about a result to standard error, where results go that a person reads.
pub fn aside(text: impl std::fmt::Display) {
    let text = redact(&text.to_string());
    let _ = writeln!(std::io::stderr().lock(), "{}", printable_lines(&text));
}

/// A count with its thousands set apart.
pub fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Bytes in the unit that suits them.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// Text that others wrote, as it stands inside of a line: a name, a value, a message. Neither may steer the
/// terminal that it is shown on, nor begin a line of its own.
pub fn visible(text: &str) -> String {
    printable(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out_and_letters_are_not() {
        assert_eq!(visible("a\u{1b}[31mé\t\u{9b}"), r"a\u{1b}[31mé\t\u{9b}");
    }
}
