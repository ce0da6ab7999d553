//! Lists the files of a source.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use tokio::runtime::Handle;
use url::Url;

use crate::SourceError;
use sluicebox_core::plan::FilesSpec;
use sluicebox_formats::{Input, endings};

/// A file of a source.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its path relative to the source's folder, with forward slashes.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// When it was last written.
    pub(crate) modified: DateTime<Utc>,
    /// Its location: an absolute path, or a URL.
    pub(crate) location: String,
    /// How it is read.
    pub(crate) input: Input,
}

/// The files of a source, in the order of their names.
///
/// Names that begin with `.` or `_`, and those of unfinished downloads and copies (`.tmp`, `.part`, `.partial`,
/// `.crdownload`, `~`) are skipped, files and folders alike.
pub(crate) fn list(name: &str, spec: &FilesSpec, runtime: &Handle) -> Result<Vec<Listed>, SourceError> {
    let globs = Globs::new(name, spec)?;
    let mut files = match place(name, spec)? {
        Place::Folder(folder) => list_folder(name, &folder, spec.recursive)?,
        Place::Store { store, prefix, url } => list_store(name, spec, &store, &prefix, &url, runtime)?,
    };
    files.retain(|file| !is_hidden(&file.name) && globs.let_in(&file.name));
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

enum Place {
    Folder(PathBuf),
    Store { store: Arc<dyn ObjectStore>, prefix: ObjectPath, url: Url },
}

fn place(name: &str, spec: &FilesSpec) -> Result<Place, SourceError> {
    let Some(url) = Url::parse(&spec.path).ok().filter(|_| spec.path.contains("://")) else {
        return Ok(Place::Folder(PathBuf::from(&spec.path)));
    };
    if let Ok(folder) = url.to_file_path()
        && url.scheme() == "file"
    {
        return Ok(Place::Folder(folder));
    }
    let (store, prefix) = object_store::parse_url(&url).map_err(|error| SourceError::Place {
        name: name.to_owned(),
        path: spec.path.clone(),
        source: Box::new(error),
    })?;
    Ok(Place::Store { store: Arc::from(store), prefix, url })
}

struct Globs {
    set: GlobSet,
    endings: &'static [&'static str],
}

impl Globs {
    fn new(name: &str, spec: &FilesSpec) -> Result<Self, SourceError> {
        let wrong = |glob: &str, source| SourceError::Glob { name: name.to_owned(), glob: glob.to_owned(), source };
        let mut set = GlobSetBuilder::new();
        for glob in &spec.glob {
            // `*` does not match `/`, as in a shell.
            set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| wrong(glob, error))?);
        }
        let set = set.build().map_err(|error| wrong(&spec.glob.join(", "), error))?;
        // The default glob matches everything, so files are chosen by their ending.
        let by_ending = spec.glob.iter().all(|glob| glob == "**/*" || glob == "**" || glob == "*");
        Ok(Self { set, endings: if by_ending { endings(&spec.format) } else { &[] } })
    }

    fn let_in(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        let ends = self.endings.is_empty() || self.endings.iter().any(|ending| lower.ends_with(ending));
        ends && (self.set.is_empty() || self.set.is_match(name))
    }
}

fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| {
        let lower = part.to_lowercase();
        part.starts_with(['.', '_'])
            || [".tmp", ".part", ".partial", ".crdownload", "~"].iter().any(|ending| lower.ends_with(ending))
    })
}

fn list_folder(name: &str, root: &Path, recursive: bool) -> Result<Vec<Listed>, SourceError> {
    let path = || root.display().to_string();
    match fs::metadata(root) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return Err(SourceError::NotAFolder { name: name.to_owned(), path: path() });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SourceError::NoFolder { name: name.to_owned(), path: path() });
        }
        Err(source) => {
            return Err(SourceError::List { name: name.to_owned(), path: path(), source });
        }
    }
    let mut files = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |source| SourceError::List { name: name.to_owned(), path: folder.display().to_string(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let part = entry.file_name().to_string_lossy().into_owned();
            // Follows links. A file removed meanwhile and a dangling link are skipped.
            let Ok(metadata) = fs::metadata(entry.path()) else {
                continue;
            };
            if metadata.is_dir() && recursive && !is_hidden(&part) {
                folders.push((entry.path(), format!("{prefix}{part}/")));
            } else if metadata.is_file() {
                files.push(Listed {
                    name: format!("{prefix}{part}"),
                    bytes: metadata.len(),
                    // Without a modification time a file counts as old.
                    modified: metadata.modified().map_or(DateTime::UNIX_EPOCH, DateTime::from),
                    location: entry.path().display().to_string(),
                    input: Input::Local(entry.path()),
                });
            }
        }
    }
    Ok(files)
}

fn list_store(
    name: &str,
    spec: &FilesSpec,
    store: &Arc<dyn ObjectStore>,
    prefix: &ObjectPath,
    url: &Url,
    runtime: &Handle,
) -> Result<Vec<Listed>, SourceError> {
    let failed =
        |error| SourceError::ListStore { name: name.to_owned(), path: spec.path.clone(), source: Box::new(error) };
    let objects: Vec<_> = runtime
        .block_on(async {
            if spec.recursive {
                store.list(Some(prefix)).try_collect().await
            } else {
                store.list_with_delimiter(Some(prefix)).await.map(|listed| listed.objects)
            }
        })
        .map_err(failed)?;
    let listed = objects.into_iter().filter_map(|object| {
        let parts: Vec<_> = object.location.prefix_match(prefix)?.map(|part| part.as_ref().to_owned()).collect();
        let name = parts.join("/");
        Some(Listed {
            location: format!("{}/{name}", url.as_str().trim_end_matches('/')),
            name,
            bytes: object.size,
            modified: object.last_modified,
            input: Input::Remote { store: store.clone(), path: object.location, runtime: runtime.clone() },
        })
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use super::is_hidden;

    #[test]
    fn unfinished_and_hidden_names_are_left_out() {
        for name in [".a.csv", "_SUCCESS", "._a.csv", "a.csv.tmp", "a.csv.part", "x/_temporary/a.csv", "a.csv~"] {
            assert!(is_hidden(name), "{name}");
        }
        for name in ["a.csv", "x/a_b.csv", "part-0.csv", "tmp.csv"] {
            assert!(!is_hidden(name), "{name}");
        }
    }
}
