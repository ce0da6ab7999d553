//! Which of the files that there are is still to be read, and from where on.

use std::collections::{HashMap, VecDeque};

use super::columns::{PathColumns, PathValues};
use super::listing::Listed;
use super::position::Position;
use crate::{OpenSource, SourceError};
use sluicebox_core::batch::Lane;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{ChangedFiles, FilesSpec};
use sluicebox_formats::FormatError;

/// A file that is to be read.
pub(super) struct Waiting {
    pub(super) file: Listed,
    /// Its lane, which may be one that an earlier version began.
    pub(super) lane: Lane,
    /// Records that are done.
    pub(super) done: u64,
    /// What its rows have beside their own columns.
    pub(super) beside: PathValues,
}

/// How far a file is.
enum Progress {
    /// All of it is in the tables.
    Done,
    /// It was read, and is another now.
    Changed,
    /// So many records are done, under this lane.
    Records(Lane, u64),
}

/// Leaves out what is done, and what cannot be taken.
///
/// # Errors
/// A file that was read, as a whole or in part, has changed.
pub(super) fn what_waits(
    request: &OpenSource<'_>,
    spec: &FilesSpec,
    files: Vec<Listed>,
    beside: &PathColumns,
    left_out: &mut LeftOut,
) -> Result<VecDeque<Waiting>, SourceError> {
    let name = &request.spec.name;
    let mut doubles = doubles(request, &files);
    let mut waiting = VecDeque::new();
    for (at, file) in files.into_iter().enumerate() {
        if let Some(other) = doubles.remove(&at) {
            left_out.add(file.lane, format!("it is the same file as {other}"));
            continue;
        }
        let (lane, done) = match progress(request, spec, &file)? {
            Progress::Done => continue,
            Progress::Records(lane, done) => (lane, done),
            Progress::Changed => {
                tracing::warn!(source = name, file = file.location(), "changed file ignored");
                left_out.add(file.lane, "it was written to after it was read, and `changed_files` is `ignore`");
                continue;
            }
        };
        match beside.values(&file) {
            Ok(beside) => waiting.push_back(Waiting { file, lane, done, beside }),
            Err(why) => left_out.add(file.lane, why),
        }
    }
    Ok(waiting)
}

/// Files that have another name as well under which they are read.
fn doubles(request: &OpenSource<'_>, files: &[Listed]) -> HashMap<usize, String> {
    let mut names: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (at, file) in files.iter().enumerate() {
        if let Some(same) = file.same {
            names.entry(same).or_default().push(at);
        }
    }
    let mut doubles = HashMap::new();
    for names in names.into_values().filter(|names| names.len() > 1) {
        // A name that is known to the tables stays the one that it is.
        let is_known = |at: &&usize| request.done.get(&files[**at].lane).is_some();
        let Some(first) = names.iter().find(is_known).or(names.first()) else { continue };
        for at in names.iter().filter(|at| *at != first && !is_known(at)) {
            doubles.insert(*at, files[*first].lane.clone());
        }
    }
    doubles
}

fn progress(request: &OpenSource<'_>, spec: &FilesSpec, file: &Listed) -> Result<Progress, SourceError> {
    let own = request.done.get(&file.lane);
    if own.is_some() {
        return own_progress(request, spec, file, &file.lane, Position::read(own));
    }
    for alias in &file.aliases {
        let Some(kept) = request.done.get(alias) else { continue };
        match Position::read(Some(kept)) {
            position @ Position::Records(_) => return own_progress(request, spec, file, alias, position),
            // A link that led to another file then says nothing of this one.
            Position::Sized(before) if before == file.bytes && !is_newer(request, file) => return Ok(Progress::Done),
            Position::Sealed(seal) if seal.fits(file.look, &file.input()).map_err(unread(request, file))? => {
                return Ok(Progress::Done);
            }
            Position::Sized(_) | Position::Sealed(_) => {}
        }
    }
    Ok(Progress::Records(file.lane.as_str().into(), 0))
}

/// How far the file of a lane is that stands at `position`.
fn own_progress(
    request: &OpenSource<'_>,
    spec: &FilesSpec,
    file: &Listed,
    lane: &str,
    position: Position,
) -> Result<Progress, SourceError> {
    let name = || request.spec.name.clone();
    let stops = spec.changed_files == ChangedFiles::Stop;
    match position {
        // What is skipped on resuming must be what was read. Nothing is known of the records that were, but
        // a file that nobody wrote to since is the same.
        Position::Records(done) if done > 0 && stops && is_newer(request, file) => {
            Err(SourceError::ChangedWithin { name: name(), file: file.location(), records: done })
        }
        Position::Records(done) => Ok(Progress::Records(lane.into(), done)),
        Position::Sized(before) if before == file.bytes => {
            if is_newer(request, file) {
                let (source, file) = (&request.spec.name, file.location());
                tracing::warn!(source, file, "it may have changed: it was written to since, and has as many bytes");
            }
            Ok(Progress::Done)
        }
        Position::Sized(before) if stops => {
            Err(SourceError::Changed { name: name(), file: file.location(), before, after: file.bytes })
        }
        Position::Sealed(seal) => match seal.fits(file.look, &file.input()) {
            Ok(true) => Ok(Progress::Done),
            Ok(false) if stops => Err(SourceError::Rewritten { name: name(), file: file.location() }),
            Ok(false) => Ok(Progress::Changed),
            Err(error) => Err(unread(request, file)(error)),
        },
        Position::Sized(_) => Ok(Progress::Changed),
    }
}

/// Whether a file was written to after the tables were.
fn is_newer(request: &OpenSource<'_>, file: &Listed) -> bool {
    request.since.is_some_and(|since| file.modified > since)
}

fn unread<'a>(request: &'a OpenSource<'_>, file: &'a Listed) -> impl Fn(FormatError) -> SourceError + 'a {
    move |source| SourceError::File { name: request.spec.name.clone(), file: file.location(), source: Box::new(source) }
}
