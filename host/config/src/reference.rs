//! The tables of keys on the reference page, `docs/pipeline-file.md`.
//!
//! The page is written by hand around them: a table stands between `<!-- keys: NAME -->` and `<!-- end of keys -->`. With
//! `<!-- keys: NAME without OTHER -->` it leaves out what the keys of `OTHER` say as well, and names them below.

use crate::diagnostics::list;
use crate::keys::{AnyKey, KeySet};
use crate::{file, hops, sources, tables};

const BEGIN: &str = "<!-- keys: ";
const BEGIN_END: &str = " -->\n";
const END: &str = "<!-- end of keys -->";

/// Why the tables of the reference page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A mark names keys that there are not.
    #[error("the page wants the keys `{0}`, and there are none of that name")]
    Unknown(String),
    /// A mark has no end.
    #[error("the table of the keys `{0}` does not end in `<!-- end of keys -->`")]
    NoEnd(String),
    /// Keys have no table.
    #[error("no table of the page is about the keys `{0}`: add `<!-- keys: {0} -->` and `<!-- end of keys -->`")]
    Missing(&'static str),
}

/// The reference page with its tables of keys made anew from the keys.
///
/// # Errors
/// A mark of the page is wrong, or keys have no table on it.
pub fn fill_reference(page: &str) -> Result<String, ReferenceError> {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    let mut shown = Vec::new();
    while let Some((before, from)) = rest.split_once(BEGIN) {
        let (mark, inside) = from.split_once(BEGIN_END).ok_or_else(|| no_end(from))?;
        let (_, after) = inside.split_once(END).ok_or_else(|| no_end(mark))?;
        let (name, other) = mark.split_once(" without ").map_or((mark, None), |(name, other)| (name, Some(other)));
        let other = other.map(|other| Ok((other, find(other)?))).transpose()?;
        out.push_str(&format!("{before}{BEGIN}{mark}{BEGIN_END}{}{END}", table(find(name)?, other)));
        shown.push(name);
        rest = after;
    }
    out.push_str(rest);
    match sets().find(|(name, _)| !shown.contains(name)) {
        Some((name, _)) => Err(ReferenceError::Missing(name)),
        None => Ok(out),
    }
}

fn no_end(mark: &str) -> ReferenceError {
    ReferenceError::NoEnd(mark.lines().next().unwrap_or_default().to_owned())
}

/// Every set of keys that has a table, with its name there.
fn sets() -> impl Iterator<Item = (&'static str, &'static KeySet)> {
    [file::REFERENCE, sources::REFERENCE, tables::REFERENCE, hops::REFERENCE].into_iter().flatten().copied()
}

fn find(name: &str) -> Result<&'static KeySet, ReferenceError> {
    let found = sets().find(|(known, _)| *known == name);
    found.map(|(_, keys)| keys).ok_or_else(|| ReferenceError::Unknown(name.to_owned()))
}

fn table(keys: &KeySet, other: Option<(&str, &KeySet)>) -> String {
    let same = |key: &&dyn AnyKey| {
        let twin = other.and_then(|(_, other)| other.key(key.name()));
        twin.is_some_and(|twin| row(twin) == row(*key))
    };
    let (said, own): (Vec<&dyn AnyKey>, Vec<&dyn AnyKey>) = keys.keys.iter().copied().partition(same);
    let mut out = String::new();
    if !own.is_empty() {
        out.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        own.iter().for_each(|key| out.push_str(&row(*key)));
    }
    if let (Some((other, _)), false) = (other, said.is_empty()) {
        let names: Vec<&str> = said.iter().map(|key| key.name()).collect();
        let (gap, the) = if own.is_empty() { ("", "The keys") } else { ("\n", "The other keys") };
        out.push_str(&format!("{gap}{the} {} are those of `{other}`, as above.\n", list(&names)));
    }
    out
}

fn row(key: &dyn AnyKey) -> String {
    let default = match (key.absent(), key.default()) {
        (Some(words), _) => words.to_owned(),
        (None, Some(toml)) => format!("`{toml}`"),
        (None, None) if key.is_required() => "required".to_owned(),
        (None, None) => "none".to_owned(),
    };
    let meaning = match key.more() {
        "" => key.about().to_owned(),
        more => format!("{} {more}", key.about()),
    };
    let cells = [format!("`{}`", key.name()), key.shape().label(), default, meaning];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}
