//! Suggestions for unknown words.

/// The word of `known` that was most likely meant by `word`.
pub(crate) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let even = |word: &str| word.to_lowercase().replace('-', "_");
    let word = even(word);
    let likeness = |candidate: &str| {
        let candidate = even(candidate);
        let slips = strsim::osa_distance(&word, &candidate);
        let alike = strsim::jaro_winkler(&word, &candidate);
        // At most one error in three letters, or a common beginning: beyond that, a guess misleads.
        (slips <= candidate.chars().count() / 3 || alike > 0.85).then_some(alike)
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((likeness(candidate)?, candidate)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or else the list of known words.
pub(crate) fn meant_or_known(word: &str, what: &str, known: &[&str]) -> Option<String> {
    match meant(word, known.iter().copied()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if known.is_empty() => None,
        None if known.len() == 1 => Some(format!("the only {what} is {}", list(known))),
        None => Some(format!("{what}s are {}", list(known))),
    }
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
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
