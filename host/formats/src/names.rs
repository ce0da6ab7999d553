//! Which of a file's columns a declared one is.

use sluicebox_core::columns::ColumnName;

/// The place of `wanted` among `names`: the same name, or else the only one that differs in
/// the case of its letters alone. Where several do, none is meant more than another.
pub(super) fn find<'a>(names: impl Iterator<Item = &'a str> + Clone, wanted: &str) -> Option<usize> {
    if let Some(place) = names.clone().position(|name| name == wanted) {
        return Some(place);
    }
    let mut alike = names.enumerate().filter(|(_, name)| ColumnName(name) == ColumnName(wanted));
    match (alike.next(), alike.next()) {
        (Some((place, _)), None) => Some(place),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn letters_may_differ_in_case_where_that_leaves_no_doubt() {
        let names = ["ID", "name", "Name", "ÉTAT"];
        for (wanted, place) in
            [("id", Some(0)), ("Name", Some(2)), ("name", Some(1)), ("NAME", None), ("état", Some(3)), ("none", None)]
        {
            assert_eq!(find(names.into_iter(), wanted), place, "{wanted}");
        }
    }
}
