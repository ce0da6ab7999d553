//! The context of reading a file: its text, its folder, and the problems found so far.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use super::problem::{Draft, Level, Problem};
use super::text::{Span, Text};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: &Span) -> Self {
        Self { value, span: span.clone() }
    }
}

/// Collects problems, so that reading continues after each and all are reported at once.
pub(crate) struct Context {
    pub(crate) text: Arc<Text>,
    /// The folder of the file. Its paths are relative to it.
    pub(crate) folder: PathBuf,
    /// The file is a stored pipeline, so its modules need not exist.
    pub(crate) kept: bool,
    // One thread reads a shared tree; with a cell every reader takes `&self`.
    problems: RefCell<Vec<Problem>>,
}

impl Context {
    /// The context of a file in `folder`.
    pub(crate) fn new(text: Arc<Text>, folder: PathBuf) -> Self {
        Self { text, folder, kept: false, problems: RefCell::default() }
    }

    /// The context of a stored pipeline.
    pub(crate) fn of_kept(text: Arc<Text>) -> Self {
        Self { kept: true, ..Self::new(text, PathBuf::new()) }
    }

    pub(crate) fn report(&self, draft: Draft) {
        self.problems.borrow_mut().push(draft.into_problem(&self.text));
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.level == Level::Error)
    }

    /// Every problem, in the order of the file.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(Problem::offset);
        problems
    }
}
