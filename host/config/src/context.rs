//! What every step of reading shares: the text and the problems found so far.

use std::cell::RefCell;
use std::sync::Arc;

use super::problem::{Draft, Level, Problem};
use super::text::{Span, Text};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<T> At<T> {
    pub(super) fn new(value: T, span: &Span) -> Self {
        Self { value, span: span.clone() }
    }
}

/// Collects problems, so that reading goes on after each and a person sees all at once.
pub(super) struct Context {
    pub(super) text: Arc<Text>,
    /// The file is one that ran before, so its modules need not lie where it says.
    pub(super) kept: bool,
    // Reading is a walk over a shared tree by one thread; a cell keeps every reader `&self`.
    problems: RefCell<Vec<Problem>>,
}

impl Context {
    pub(super) fn new(text: Arc<Text>) -> Self {
        Self { text, kept: false, problems: RefCell::default() }
    }

    /// The context of a file that ran before and was kept.
    pub(super) fn of_kept(text: Arc<Text>) -> Self {
        Self { kept: true, ..Self::new(text) }
    }

    pub(super) fn report(&self, draft: Draft) {
        self.problems.borrow_mut().push(draft.into_problem(&self.text));
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.level == Level::Error)
    }

    /// Every problem, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(Problem::offset);
        problems
    }
}

/// The one of `known` that a person who wrote `word` most likely meant.
pub(super) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let even = |word: &str| word.to_lowercase().replace('-', "_");
    let word = even(word);
    let likeness = |candidate: &str| {
        let candidate = even(candidate);
        let slips = strsim::osa_distance(&word, &candidate);
        let alike = strsim::jaro_winkler(&word, &candidate);
        // A slip in every third letter, or a common beginning: further off, a guess misleads.
        (slips <= candidate.chars().count() / 3 || alike > 0.85).then_some(alike)
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((likeness(candidate)?, candidate)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or else the list of what is known.
pub(super) fn meant_or_known(word: &str, what: &str, known: &[&str]) -> Option<String> {
    match meant(word, known.iter().copied()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if known.is_empty() => None,
        None if known.len() == 1 => Some(format!("the only {what} is {}", list(known))),
        None => Some(format!("{what}s are {}", list(known))),
    }
}

/// `` `a`, `b` and `c` ``.
pub(super) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["format", "columns", "csv", "changed_files", "data"];
        for (word, expected) in [
            ("formt", Some("format")),
            ("Format", Some("format")),
            ("cvs", Some("csv")),
            ("dta", Some("data")),
            ("column", Some("columns")),
            ("changed-file", Some("changed_files")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(meant(word, known), expected, "{word}");
        }
    }
}
