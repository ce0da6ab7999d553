//! Errors: what to do about them.

use std::error::Error;

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
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !said.ends_with(&message) {
            causes.push(message.clone());
        }
        said = message;
        source = cause.source();
    }
    causes
}

/// An error and its causes, in one line.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}
