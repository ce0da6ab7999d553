//! Which names a source asks for, and which of these are left out.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::SourceError;
use sluicebox_core::plan::FilesSpec;
use sluicebox_formats::endings;

/// The globs of a source.
pub(super) struct Globs {
    globs: Vec<GlobMatcher>,
    /// Everything was asked for only because nothing was said: then endings decide.
    endings: &'static [&'static str],
    /// Some glob names folders, so that it matters by which of its names a file is reached.
    pub(super) by_folder: bool,
    /// Some glob may name a folder whose name says that it is hidden.
    pub(super) into_hidden: bool,
}

/// What a source does with a file of some name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is read.
    In,
    /// It is asked for, and left out for this reason.
    Out(&'static str),
    /// Nobody asks for it.
    Other,
}

/// How unfinished downloads and copies end.
const UNFINISHED: [&str; 5] = [".tmp", ".part", ".partial", ".crdownload", "~"];

impl Globs {
    /// The globs of a source.
    ///
    /// # Errors
    /// One of them is none.
    pub(super) fn new(name: &str, spec: &FilesSpec) -> Result<Self, SourceError> {
        let wrong = |glob: &str, source| SourceError::Glob { name: name.to_owned(), glob: glob.to_owned(), source };
        let mut globs = Vec::new();
        for glob in &spec.glob {
            // A star stays within one folder, as in a shell.
            let built = GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| wrong(glob, error))?;
            globs.push(built.compile_matcher());
        }
        let by_ending = spec.glob.iter().all(|glob| glob == "**/*" || glob == "**" || glob == "*");
        let folders = |glob: &String| glob.rsplit_once('/').map(|(folders, _)| folders.to_owned());
        let named: Vec<String> = spec.glob.iter().filter_map(folders).filter(|folders| folders != "**").collect();
        let may_be_hidden = |part: &str| part.starts_with(['.', '_', '[', '{']);
        Ok(Self {
            globs,
            endings: if by_ending { endings(&spec.format) } else { &[] },
            by_folder: !named.is_empty(),
            into_hidden: named.iter().any(|folders| folders.split('/').any(may_be_hidden)),
        })
    }

    /// What becomes of a file at this path below the source's folder.
    pub(super) fn judge(&self, path: &Path) -> Verdict {
        let spots = spots(path.as_os_str().as_bytes());
        let Some((first, why)) = spots.first() else {
            return if self.asks_for(path) { Verdict::In } else { Verdict::Other };
        };
        if self.names(path, &spots) {
            return Verdict::In;
        }
        // What it would be called when it is finished is asked for.
        let bytes = path.as_os_str().as_bytes();
        let finished = (*why == Why::Unfinished && first.end == bytes.len()).then(|| &bytes[..first.start]);
        let finished = finished.is_some_and(|name| self.asks_for(Path::new(OsStr::from_bytes(name))));
        if finished || self.asks_for(path) { Verdict::Out(why.text()) } else { Verdict::Other }
    }

    /// Why a folder of this name is not looked into.
    pub(super) fn hides(&self, folder: &OsStr) -> Option<&'static str> {
        if self.into_hidden {
            return None;
        }
        spots(folder.as_bytes()).first().map(|(_, why)| why.text())
    }

    fn asks_for(&self, path: &Path) -> bool {
        let lower = || path.to_string_lossy().to_lowercase();
        let ends = self.endings.is_empty() || {
            let lower = lower();
            self.endings.iter().any(|ending| lower.ends_with(ending))
        };
        ends && (self.globs.is_empty() || self.globs.iter().any(|glob| glob.is_match(path)))
    }

    /// Whether a glob names what is hidden about a path, instead of only letting it pass: then it no longer matches
    /// where another character stands in its place.
    fn names(&self, path: &Path, spots: &[(Range<usize>, Why)]) -> bool {
        let demands = |glob: &GlobMatcher, spot: &Range<usize>| {
            let mut other = path.as_os_str().as_bytes().to_vec();
            // A character that stands in no glob.
            other[spot.clone()].fill(1);
            !glob.is_match(OsString::from_vec(other))
        };
        let names = |glob: &GlobMatcher| glob.is_match(path) && spots.iter().all(|(spot, _)| demands(glob, spot));
        self.globs.iter().any(names)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Underscore,
    Dot,
    Unfinished,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::Underscore => "its name, or that of its folder, begins with `_`, and no glob names it so",
            Self::Dot => "its name, or that of its folder, begins with `.`, and no glob names it so",
            Self::Unfinished => "its name, or that of its folder, ends as that of an unfinished file does",
        }
    }
}

/// Where a path says that something is hidden or unfinished, in files and folders alike.
fn spots(path: &[u8]) -> Vec<(Range<usize>, Why)> {
    let mut spots = Vec::new();
    let mut start = 0;
    for part in path.split(|byte| *byte == b'/') {
        let end = start + part.len();
        match part.first() {
            Some(b'_') => spots.push((start..start + 1, Why::Underscore)),
            Some(b'.') => spots.push((start..start + 1, Why::Dot)),
            _ => {}
        }
        let ends = |ending: &&&str| {
            let at = part.len().checked_sub(ending.len());
            at.is_some_and(|at| part[at..].eq_ignore_ascii_case(ending.as_bytes()))
        };
        if let Some(ending) = UNFINISHED.iter().find(ends) {
            spots.push((end - ending.len()..end, Why::Unfinished));
        }
        start = end + 1;
    }
    spots
}

#[cfg(test)]
mod tests {
    use sluicebox_core::plan::{ChangedFiles, Compression, FileColumns, Format, Links, Timestamps};

    use super::*;

    fn judge(globs: &[&str], name: &str) -> Verdict {
        let spec = FilesSpec {
            path: String::new(),
            glob: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            recursive: true,
            links: Links::Inside,
            max_files: 10,
            format: Format::Parquet,
            compression: Compression::Auto,
            columns: None,
            file_columns: FileColumns::default(),
            keep_files: false,
            changed_files: ChangedFiles::Stop,
            timestamps: Timestamps::Exact,
        };
        Globs::new("s", &spec).unwrap().judge(Path::new(name))
    }

    #[test]
    fn unfinished_and_hidden_names_are_left_out() {
        for name in [".a.csv", "_SUCCESS", "._a.csv", "a.csv.tmp", "a.csv.PART", "x/_temporary/a.csv", "a.csv~"] {
            assert!(matches!(judge(&["**/*", "x*"], name), Verdict::Out(_)), "{name}");
        }
        for name in ["a.csv", "x/a_b.csv", "part-0.csv", "tmp.csv"] {
            assert_eq!(judge(&["**/*", "x*"], name), Verdict::In, "{name}");
        }
    }

    #[test]
    fn what_a_glob_names_is_meant() {
        for (glob, name) in [
            ("_orders_*.csv", "_orders_1.csv"),
            ("{_a,b}*.csv", "_a1.csv"),
            ("[_.]*.csv", ".x.csv"),
            ("**/_old/*.csv", "y/_old/a.csv"),
            ("*.part", "a.part"),
        ] {
            assert_eq!(judge(&["nothing", glob, "*.csv"], name), Verdict::In, "{glob} {name}");
        }
        for (glob, name) in
            [("*.csv", "_a.csv"), ("?a.csv", "_a.csv"), ("**/*.csv", "_old/a.csv"), ("_old/*.csv", "_old/_a.csv")]
        {
            assert!(matches!(judge(&[glob], name), Verdict::Out(_)), "{glob} {name}");
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_worth_a_word() {
        assert_eq!(judge(&["*.csv"], "_SUCCESS"), Verdict::Other);
        assert_eq!(judge(&["**/*"], ".DS_Store"), Verdict::Other, "the ending is no Parquet file's");
        assert!(matches!(judge(&["**/*"], "a.parquet.part"), Verdict::Out(_)), "it will be asked for");
        assert!(matches!(judge(&["*.csv"], "a.csv.part"), Verdict::Out(_)));
    }
}
