//! The files of a folder on this machine: every one of them once, by whatever names it is reached.

use std::collections::HashSet;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::globs::{Globs, Verdict};
use super::lane::lane_of;
use super::listing::{Listed, Place};
use super::seal::look_of;
use crate::SourceError;
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::{FilesSpec, Links};

/// A walk through a folder.
///
/// Folders are known by device and number. A link is followed to what it leads to, which has its own path for a lane:
/// links that lead to the same file, or that are moved to another, neither double nor change anything. Each link to a
/// folder is followed once at most, so that links to each other make no more paths than there are links.
pub(super) struct Walk<'a> {
    source: &'a str,
    spec: &'a FilesSpec,
    globs: &'a Globs,
    /// The folder, without links in its path.
    root: PathBuf,
    now: SystemTime,
    seen: u64,
    folders: Vec<Folder>,
    links: Vec<Folder>,
    /// Folders that were walked, and links that were followed.
    known: HashSet<(u64, u64)>,
    files: Vec<Listed>,
    left_out: LeftOut,
}

/// A folder that is still to be walked.
struct Folder {
    /// Where it lies; of a link, where that lies.
    path: PathBuf,
    /// The name by which it is reached, from the source's folder on.
    name: PathBuf,
    /// It is reached by a link.
    linked: bool,
}

impl<'a> Walk<'a> {
    /// Walks through a folder, and gives its files by lane and what was left out.
    ///
    /// # Errors
    /// The folder cannot be listed, or there is more in it than the source may look at.
    pub(super) fn through(
        source: &'a str,
        spec: &'a FilesSpec,
        globs: &'a Globs,
        folder: &Path,
    ) -> Result<(Vec<Listed>, LeftOut), SourceError> {
        let root = root(source, folder)?;
        let mut walk = Self {
            source,
            spec,
            globs,
            root: root.clone(),
            now: SystemTime::now(),
            seen: 0,
            folders: vec![Folder { path: root, name: PathBuf::new(), linked: false }],
            links: Vec::new(),
            known: HashSet::new(),
            files: Vec::new(),
            left_out: LeftOut::default(),
        };
        loop {
            if let Some(folder) = walk.folders.pop() {
                walk.folder(&folder)?;
            } else if let Some(link) = walk.links.pop() {
                walk.link(link);
            } else {
                break;
            }
        }
        Ok(walk.settle())
    }

    /// Looks at everything in a folder.
    fn folder(&mut self, folder: &Folder) -> Result<(), SourceError> {
        let is_root = folder.name.as_os_str().is_empty();
        let listing = fs::metadata(&folder.path).and_then(|own| Ok((own, fs::read_dir(&folder.path)?)));
        let (own, entries) = match listing {
            Ok(listing) => listing,
            Err(error) if is_root => return Err(self.unlisted(&folder.path, error)),
            Err(error) => {
                self.leave(&folder.name, &format!("the folder cannot be listed: {error}"));
                return Ok(());
            }
        };
        let new = self.known.insert((own.dev(), own.ino()));
        // By another name it holds the same files, which matters only to globs that name folders.
        if !(new || folder.linked && self.globs.by_folder) {
            return Ok(());
        }
        for entry in entries {
            self.seen += 1;
            if self.seen > self.spec.max_files {
                let (name, path) = (self.source.to_owned(), self.spec.path.clone());
                return Err(SourceError::TooMany { name, path, most: self.spec.max_files });
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_root => return Err(self.unlisted(&folder.path, error)),
                Err(error) => {
                    self.leave(&folder.name, &format!("the folder cannot be listed to its end: {error}"));
                    break;
                }
            };
            let (path, name) = (entry.path(), folder.name.join(entry.file_name()));
            // One that has gone since is no entry.
            let Ok(kind) = entry.file_type() else { continue };
            match kind {
                kind if kind.is_dir() => self.enter(path, name, folder.linked),
                kind if kind.is_symlink() => self.linked(path, name),
                _ => match fs::symlink_metadata(&path) {
                    Ok(own) => self.file(&path, &path, &name, &own),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.leave_if_asked(&name, &format!("it cannot be looked at: {error}")),
                },
            }
        }
        Ok(())
    }

    /// Takes up a folder in a folder.
    fn enter(&mut self, path: PathBuf, name: PathBuf, linked: bool) {
        if !self.spec.recursive {
            return;
        }
        match name.file_name().and_then(|own| self.globs.hides(own)) {
            Some(_) => self.leave(&name, "the folder's name is that of something hidden or unfinished"),
            None => self.folders.push(Folder { path, name, linked }),
        }
    }

    /// Takes up what a link leads to.
    fn linked(&mut self, path: PathBuf, name: PathBuf) {
        let target = match fs::metadata(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.leave_if_asked(&name, "it is a link to nothing");
            }
            Err(error) => return self.leave_if_asked(&name, &format!("it is a link that cannot be followed: {error}")),
        };
        if target.is_dir() {
            if self.spec.recursive {
                self.links.push(Folder { path, name, linked: true });
            }
            return;
        }
        match fs::canonicalize(&path) {
            Ok(real) if self.is_let_out(&real) => self.file(&real, &path, &name, &target),
            Ok(_) => self.leave_if_asked(&name, OUTSIDE),
            Err(error) => self.leave_if_asked(&name, &format!("it is a link that cannot be followed: {error}")),
        }
    }

    /// Follows a link to a folder, after all folders that are no links.
    fn link(&mut self, link: Folder) {
        let found = fs::symlink_metadata(&link.path).and_then(|own| {
            let real = fs::canonicalize(&link.path)?;
            Ok((own, fs::metadata(&real)?, real))
        });
        let (own, target, real) = match found {
            Ok(found) => found,
            Err(error) => return self.leave(&link.name, &format!("it is a link that cannot be followed: {error}")),
        };
        if !self.known.insert((own.dev(), own.ino()))
            || !self.globs.by_folder && self.known.contains(&(target.dev(), target.ino()))
        {
            return;
        }
        match self.is_let_out(&real) {
            true => self.enter(real, link.name, true),
            false => self.leave(&link.name, OUTSIDE),
        }
    }

    /// Whether what a link leads to may be read.
    fn is_let_out(&self, real: &Path) -> bool {
        self.spec.links == Links::Anywhere || real.starts_with(&self.root)
    }

    /// Takes up what is no folder: it lies at `real`, and is reached at `path` by that name.
    fn file(&mut self, real: &Path, path: &Path, name: &Path, own: &Metadata) {
        match self.globs.judge(name) {
            Verdict::Other => return,
            Verdict::Out(why) => return self.leave(name, why),
            Verdict::In => {}
        }
        if !own.is_file() {
            return self.leave(name, kind(own.file_type()));
        }
        let lane = lane_of(real.strip_prefix(&self.root).unwrap_or(real));
        let reached = lane_of(name);
        // What earlier versions called it.
        let lossy = name.to_string_lossy();
        let mut aliases = Vec::new();
        if reached != lane {
            aliases.push(reached);
        }
        if lossy != lane && aliases.first().is_none_or(|alias| *alias != lossy) {
            aliases.push(lossy.into_owned());
        }
        self.files.push(Listed {
            lane,
            aliases,
            bytes: own.len(),
            // A system that does not say when leaves its files as old as can be.
            modified: own.modified().map_or(DateTime::UNIX_EPOCH, DateTime::<Utc>::from),
            look: look_of(own, self.now),
            same: (own.nlink() > 1).then(|| (own.dev(), own.ino())),
            place: Place::Local { real: real.to_owned(), shown: (real != path).then(|| path.to_owned()) },
        });
    }

    /// The files by lane, each once.
    fn settle(mut self) -> (Vec<Listed>, LeftOut) {
        self.files.sort_by(|one, other| one.lane.cmp(&other.lane));
        self.files.dedup_by(|next, kept| {
            let same = next.lane == kept.lane;
            if same {
                let others = std::mem::take(&mut next.aliases);
                kept.aliases
                    .extend(others.into_iter().filter(|alias| !kept.aliases.contains(alias)).collect::<Vec<_>>());
            }
            same
        });
        let files = &self.files;
        self.left_out.retain(|name| files.binary_search_by(|file| file.lane.as_str().cmp(name)).is_err());
        (self.files, self.left_out)
    }

    fn leave(&mut self, name: &Path, why: &str) {
        self.left_out.add(lane_of(name), why);
    }

    /// Says that something is left out, if a glob asks for its name.
    fn leave_if_asked(&mut self, name: &Path, why: &str) {
        if self.globs.judge(name) != Verdict::Other {
            self.leave(name, why);
        }
    }

    fn unlisted(&self, path: &Path, source: io::Error) -> SourceError {
        SourceError::List { name: self.source.to_owned(), path: path.display().to_string(), source }
    }
}

const OUTSIDE: &str = "it is a link out of the folder, which is followed with `links = \"anywhere\"`";

/// The source's folder, without links in its path.
fn root(source: &str, folder: &Path) -> Result<PathBuf, SourceError> {
    let (name, path) = (source.to_owned(), folder.display().to_string());
    match fs::canonicalize(folder).and_then(|root| Ok((fs::metadata(&root)?.is_dir(), root))) {
        Ok((true, root)) => Ok(root),
        Ok((false, _)) => Err(SourceError::NotAFolder { name, path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SourceError::NoFolder { name, path }),
        // A part of the path is no folder.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(SourceError::NoFolder { name, path }),
        Err(source) => Err(SourceError::List { name, path, source }),
    }
}

/// What something is that is neither file nor folder.
fn kind(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_fifo() => "it is a pipe and no file",
        kind if kind.is_socket() => "it is a socket and no file",
        kind if kind.is_block_device() || kind.is_char_device() => "it is a device and no file",
        _ => "it is no file",
    }
}
