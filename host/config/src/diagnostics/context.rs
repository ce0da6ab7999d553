//! The context of reading a file: its text, its folder, and the problems found so far.

use std::cell::{Cell, RefCell};
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
    /// Errors beyond [`MOST_PROBLEMS`], which are counted and not kept.
    more: Cell<usize>,
}

/// Problems of one file that are shown: nobody mends more at once, and each costs its piece of the file.
pub(crate) const MOST_PROBLEMS: usize = 100;

impl Context {
    /// The context of a file in `folder`.
    pub(crate) fn new(text: Arc<Text>, folder: PathBuf) -> Self {
        Self { text, folder, kept: false, problems: RefCell::default(), more: Cell::new(0) }
    }

    /// The context of a stored pipeline.
    pub(crate) fn of_kept(text: Arc<Text>) -> Self {
        Self { kept: true, ..Self::new(text, PathBuf::new()) }
    }

    pub(crate) fn report(&self, draft: Draft) {
        if self.is_full() {
            self.more.set(self.more.get() + 1);
        } else {
            self.problems.borrow_mut().push(draft.into_problem(&self.text));
        }
    }

    /// Whether a further problem is only counted, so that nothing costly need be found out about it.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= MOST_PROBLEMS
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.more.get() > 0 || self.problems.borrow().iter().any(|problem| problem.level == Level::Error)
    }

    /// Every problem, in the order of the file.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(Problem::offset);
        if self.more.get() > 0 {
            let more = Draft::error(format!("{} more problems are not shown", self.more.get()));
            problems.push(more.into_problem(&self.text));
        }
        problems
    }
}
