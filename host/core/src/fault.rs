//! Errors: what to do about them.

use std::error::Error;

use crate::redact::redact;

/// What should happen after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same attempt may succeed later: a broker is away, a commit lost a race.
    Retry,
    /// The rows are at fault: they go to quarantine and the rest goes on.
    Quarantine,
    /// A person has to fix something first.
    Stop,
}

/// A place in a text file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the person named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// An error with a remedy and a hint.
///
/// Each crate has its own error enums that implement this; the command line prints an error once, as *error / caused
/// by / hint*, following `source()`.
pub trait Fault: Error + Send + Sync + 'static {
    /// What to do about it.
    fn remedy(&self) -> Remedy {
        Remedy::Stop
    }

    /// One sentence about what to try, without repeating the error.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The messages of `source()` and its causes, outermost first.
///
/// Some libraries repeat their cause in their own message; such a cause is skipped.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut said = message(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let message = message(cause);
        if !said.ends_with(&message) {
            causes.push(message.clone());
        }
        said = message;
        source = cause.source();
    }
    causes
}

/// What an error says: without the credentials of URLs in it, and without the backtrace that some libraries make
/// part of their messages.
pub fn message(error: &dyn Error) -> String {
    let text = error.to_string();
    redact(without_backtrace(&text))
}

/// An error and what led to it, in one line.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = message(error);
    for cause in causes(error) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}

/// The text up to the first line of a backtrace as the standard library writes it.
fn without_backtrace(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let first_frame = bare.strip_prefix("0: ").is_some_and(|frame| frame.contains("::") || frame == "<unknown>");
        if first_frame
            || matches!(bare, "stack backtrace:" | "Backtrace:" | "disabled backtrace" | "unsupported backtrace")
        {
            return text[..end].trim_end();
        }
        end += line.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_backtrace;

    #[test]
    fn a_backtrace_is_no_part_of_a_message() {
        for (text, left) in [
            ("it failed\n   0: std::backtrace::Backtrace::create\n   1: main", "it failed"),
            ("it failed\ndisabled backtrace", "it failed"),
            ("two\nlines", "two\nlines"),
            ("0: a list of one", "0: a list of one"),
        ] {
            assert_eq!(without_backtrace(text), left);
        }
    }
}
