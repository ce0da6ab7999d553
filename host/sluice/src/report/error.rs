//! Errors and warnings, as a person reads them.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::visible;
use sluicebox_config::{Loaded, Problem, Problems};
use sluicebox_core::fault::{Fault, causes, message as said};
use sluicebox_core::redact::redact;
use sluicebox_pipeline::PipelineError;
use sluicebox_service::{NotStarted, OperationError};

/// Prints an error once, to standard error: what failed, what caused it, what to try.
pub fn error(error: &dyn Fault) {
    print(&render_error(error, super::colour(&io::stderr())));
}

/// Prints why an operation did not come to its end.
pub fn operation(stopped: &OperationError) {
    match stopped.not_started() {
        Some(reason) => not_started(reason),
        None => error(stopped),
    }
}

/// Prints why nothing was begun, each problem of a pipeline file at its place.
pub fn not_started(reason: &NotStarted) {
    match reason {
        NotStarted::Problems(found) => problems(found),
        NotStarted::Unbound { loaded, problems } => problems.iter().for_each(|each| pipeline(each, Some(loaded))),
        NotStarted::Pipeline(_) | NotStarted::Runtime(_) => error(reason),
    }
}

/// Prints an error of a pipeline, drawn at the place in its file where it belongs to one.
pub fn pipeline(failure: &PipelineError, loaded: Option<&Loaded>) {
    match (failure.key(), loaded) {
        (Some(key), Some(loaded)) => problem(&loaded.places.fault(&key, failure)),
        _ => error(failure),
    }
}

/// What a command with `--json` ends with when it failed: the last line of its standard output.
pub fn failed(errors: &[String]) -> Json {
    json!({ "status": "failed", "errors": errors })
}

/// Prints something that is wrong and has no error of its own, such as an argument.
pub fn message(text: &str, hint: Option<&str>) {
    let colour = super::colour(&io::stderr());
    let mut out = String::new();
    push(&mut out, "", "error", RED, text, colour);
    if let Some(hint) = hint {
        push(&mut out, "  ", "hint", CYAN, hint, colour);
    }
    print(&out);
}

/// Prints something worth knowing that is no error.
pub fn note(text: &str) {
    let mut out = String::new();
    push(&mut out, "", "note", CYAN, text, super::colour(&io::stderr()));
    print(&out);
}

/// Prints everything that is wrong with a pipeline file, each with its piece of the file.
fn problems(problems: &Problems) {
    print(&redact(&problems.render(super::colour(&io::stderr()))));
}

/// Prints one thing that is wrong with a pipeline file, or turned out to be while it ran.
fn problem(problem: &Problem) {
    print(&redact(&format!("{}\n", problem.render(super::colour(&io::stderr())))));
}

/// Prints what is odd about a pipeline file.
pub fn warnings(warnings: &[Problem]) {
    warnings.iter().for_each(problem);
}

/// The text that [`error`] prints.
fn render_error(error: &dyn Fault, colour: bool) -> String {
    let mut out = String::new();
    push(&mut out, "", "error", RED, &said(error), colour);
    for cause in causes(error) {
        push(&mut out, "  ", "caused by", RED, &cause, colour);
    }
    if let Some(hint) = error.hint() {
        push(&mut out, "  ", "hint", CYAN, &hint, colour);
    }
    out
}

const RED: &str = "\x1b[1;91m";
const CYAN: &str = "\x1b[1;96m";
const PLAIN: &str = "\x1b[0m";

/// A line with its label; further lines of the message stand under the first.
fn push(out: &mut String, indent: &str, label: &str, style: &str, message: &str, colour: bool) {
    let (style, plain) = if colour { (style, PLAIN) } else { ("", "") };
    let message = redact(message.trim_end());
    let mut lines = message.lines();
    out.push_str(&format!("{indent}{style}{label}{plain}: {}\n", visible(lines.next().unwrap_or_default())));
    for line in lines {
        out.push_str(&format!("{indent}{:width$}{}\n", "", visible(line), width = label.len() + 2));
    }
}

/// Nobody is left to tell when standard error itself is closed.
fn print(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::fmt;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|link| link as _)
        }
    }

    impl Fault for Link {
        fn hint(&self) -> Option<String> {
            Some("free some space".into())
        }
    }

    fn chain() -> Link {
        let device = Link("no space left on device", None);
        let write = Link("cannot write part-0001.parquet: no space left on device", Some(Box::new(device)));
        Link("cannot commit to table `silver.users`\nafter 3 attempts", Some(Box::new(write)))
    }

    #[test]
    fn an_error_is_printed_once_with_its_causes_and_hint() {
        let expected = "\
error: cannot commit to table `silver.users`
       after 3 attempts
  caused by: cannot write part-0001.parquet: no space left on device
  hint: free some space
";
        assert_eq!(render_error(&chain(), false), expected);
    }

    #[test]
    fn colour_is_only_around_the_labels() {
        let coloured = render_error(&chain(), true);
        let plain = coloured.replace(RED, "").replace(CYAN, "").replace(PLAIN, "");
        assert_ne!(coloured, plain);
        assert_eq!(plain, render_error(&chain(), false));
    }
}
