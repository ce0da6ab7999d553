//! Problems of a pipeline file, and how they are shown.

use std::fmt;
use std::io;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Renderer, Snippet as Drawing};

use super::text::{Span, Text};
use sluicebox_core::fault::{Fault, Place};
use sluicebox_core::printable::{masked, printable, printable_lines};

/// All problems of a pipeline file, in the order of the file.
///
/// `Display` is one line with their number; [`Problems::render`] is the full report.
#[derive(Debug)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
    source: Option<io::Error>,
}

/// A problem or warning.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its level.
    pub level: Level,
    /// What is wrong, without a full stop.
    pub message: String,
    /// Its place, unless it is not in the file, such as an unknown `--var`.
    pub place: Option<Place>,
    /// Its causes, outermost first.
    pub causes: Vec<String>,
    /// A hint.
    pub hint: Option<String>,
    /// The piece of the file to show.
    pub snippet: Option<Snippet>,
}

/// The level of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The pipeline cannot run.
    Error,
    /// It can, but may not be intended.
    Warning,
}

/// Pieces of a file to show; the first one is at fault.
#[derive(Clone, Debug)]
pub struct Snippet {
    text: Arc<Text>,
    marks: Vec<(Span, Option<String>)>,
}

impl Problems {
    /// The problems of one file; `list` has at least one error.
    pub fn new(file: impl Into<String>, list: Vec<Problem>) -> Self {
        Self { file: file.into(), list, source: None }
    }

    pub(crate) fn unreadable(file: String, problem: Problem, source: io::Error) -> Self {
        Self { file, list: vec![problem], source: Some(source) }
    }

    /// The file name as given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All errors and warnings, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The full report, each problem with its piece of the file, and their number at the end.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for problem in &self.list {
            out.push_str(&problem.render(colour));
            out.push('\n');
        }
        out.push_str(&paint(&Draft::error(self.to_string()), &[], None, colour));
        out
    }

    fn count(&self, level: Level) -> usize {
        self.list.iter().filter(|problem| problem.level == level).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        write!(f, "`{}` has {}", self.file, count(self.count(Level::Error), "error"))?;
        match self.count(Level::Warning) {
            0 => Ok(()),
            warnings => write!(f, " and {}", count(warnings, "warning")),
        }
    }
}

impl std::error::Error for Problems {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl Fault for Problems {
    fn hint(&self) -> Option<String> {
        match self.list.as_slice() {
            [only] => only.hint.clone(),
            _ => None,
        }
    }
}

impl Problem {
    /// The problem as text, ending in a newline.
    pub fn render(&self, colour: bool) -> String {
        let draft = Draft {
            level: self.level,
            message: self.message.clone(),
            marks: self.snippet.as_ref().map(|snippet| snippet.marks.clone()).unwrap_or_default(),
            hint: self.hint.clone(),
        };
        paint(&draft, &self.causes, self.snippet.as_ref().map(|snippet| &*snippet.text), colour)
    }
}

/// A problem whose file is not known yet.
#[derive(Debug)]
pub(crate) struct Draft {
    level: Level,
    message: String,
    marks: Vec<(Span, Option<String>)>,
    hint: Option<String>,
}

impl Draft {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { level: Level::Error, message: message.into(), marks: Vec::new(), hint: None }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(message) }
    }

    /// Adds a piece of the file; the first is the one at fault.
    pub(crate) fn at(mut self, span: &Span) -> Self {
        self.marks.push((span.clone(), None));
        self
    }

    /// Adds another piece with a label.
    pub(crate) fn also(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.marks.push((span.clone(), Some(label.into())));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub(crate) fn into_problem(self, text: &Arc<Text>) -> Problem {
        let marks: Vec<_> = self.marks.into_iter().map(|(span, label)| (text.clamp(span), label)).collect();
        Problem {
            level: self.level,
            message: self.message,
            place: marks.first().map(|(span, _)| text.place(span.start)),
            causes: Vec::new(),
            hint: self.hint,
            snippet: (!marks.is_empty()).then(|| Snippet { text: text.clone(), marks }),
        }
    }
}

impl Problem {
    /// Its offset in the file; problems without a place come last.
    pub(crate) fn offset(&self) -> usize {
        let first = self.snippet.as_ref().and_then(|snippet| snippet.marks.first());
        first.map_or(usize::MAX, |(span, _)| span.start)
    }
}

fn paint(draft: &Draft, causes: &[String], text: Option<&Text>, colour: bool) -> String {
    use annotate_snippets::Level as Style;
    let style = match draft.level {
        Level::Error => Style::ERROR,
        Level::Warning => Style::WARNING,
    };
    // The drawing library takes some of what a terminal obeys out of the file's text and none of it out of footers.
    let message = printable_lines(&draft.message);
    let mut group = Group::with_title(style.primary_title(&*message));
    let causes = causes.iter().map(|cause| ("caused by", printable_lines(cause)));
    let footers = causes.chain(draft.hint.as_deref().map(|hint| ("hint", printable_lines(hint))));
    let (body, path) = match text {
        Some(text) => (masked(text.body()), printable(text.name())),
        None => (masked(""), printable("")),
    };
    let mut below = String::new();
    match text {
        Some(_) => {
            let mut drawing = Drawing::source(&*body).path(&*path);
            for (index, (span, label)) in draft.marks.iter().enumerate() {
                let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let label = label.as_deref().map(|label| printable(label).into_owned());
                drawing = drawing.annotation(kind.span(span.clone()).label(label));
            }
            group = group.element(drawing);
            for (name, message) in footers {
                group = group.element(Style::HELP.with_name(name).message(message.into_owned()));
            }
        }
        // The rendering library frames every element; without a snippet, plain lines are easier to read.
        None => footers.for_each(|(name, message)| below.push_str(&format!("  {name}: {message}\n"))),
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    format!("{}\n{below}", renderer.render(&[group]))
}
