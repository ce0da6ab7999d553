//! Locations, and the stores that reach them.

use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::disk::Disk;
use crate::error::StoreError;
use crate::hint::CheckedHints;
use sluicebox_core::redact::redact;

/// A folder of an object store.
#[derive(Clone, Debug)]
pub struct Location {
    /// Ends with a slash.
    pub url: Url,
    /// The folder as shown in messages.
    pub name: String,
    /// Set for a folder on a local disk. Files there are written directly and synced before a commit names them.
    pub folder: Option<PathBuf>,
    /// Of an object store; a local disk is opened anew for each folder.
    root: Option<Arc<dyn ObjectStore>>,
    /// The folder in its store.
    prefix: Path,
    /// The lake in its store.
    lake: Path,
    /// The folder as deltalake is to know it: from the lake, so that its address is made of plain names
    /// whatever characters the lake's own has.
    log_url: Url,
}

/// An absolute path without `..`, which URLs and object paths cannot hold. The part of it
/// that exists is resolved by the operating system, so that a link is followed before its
/// parent is taken.
fn without_parents(path: PathBuf) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain = plain.canonicalize().unwrap_or(plain);
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// The root of a store of which the URL is a folder, as a URL in that store alone.
fn root_of(url: &Url) -> Url {
    let mut root = url.clone();
    if root.scheme() == "file" {
        // Whoever gets a file URL looks the folder up on the disk, past the store.
        return Url::parse("memory:///").unwrap_or(root);
    }
    root.set_path("/");
    root
}

impl Location {
    /// A path, or a URL of scheme `file` or `memory`.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: redact(text), reason };
        if text.trim().is_empty() {
            return Err(refuse("it is empty".to_owned()));
        }
        if !text.contains("://") {
            return Self::local(FsPath::new(text));
        }
        let url = Url::parse(text).map_err(|error| refuse(error.to_string()))?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| refuse("it is not an absolute file path".to_owned()))?;
                Self::local(&path)
            }
            "memory" => Self::with_store(Arc::new(InMemory::new()), &url),
            other => Err(refuse(format!("this build has no store for '{other}://'"))),
        }
    }

    fn local(path: &FsPath) -> Result<Self, StoreError> {
        let path = without_parents(std::path::absolute(path).map_err(StoreError::io("find", path))?);
        let refuse =
            |reason: &str| StoreError::Location { location: path.display().to_string(), reason: reason.to_owned() };
        let url = Url::from_directory_path(&path).map_err(|()| refuse("it is not an absolute path"))?;
        let prefix = Path::from_absolute_path(&path).map_err(|error| refuse(&error.to_string()))?;
        let name = path.display().to_string();
        Ok(Self { log_url: root_of(&url), url, name, folder: Some(path), root: None, lake: prefix.clone(), prefix })
    }

    /// The folder `url` of a store whose root is the root of that URL.
    ///
    /// # Errors
    /// The URL has a path that stores cannot have.
    pub fn with_store(root: Arc<dyn ObjectStore>, url: &Url) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: redact(url.as_str()), reason };
        let prefix = Path::from_url_path(url.path()).map_err(|error| refuse(error.to_string()))?;
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let (name, log_url) = (redact(url.as_str()), root_of(&url));
        Ok(Self { name, url, folder: None, root: Some(root), lake: prefix.clone(), prefix, log_url })
    }

    /// Fails if a part of the path exists and is not a folder.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`] with that part.
    pub fn check_folder(&self) -> Result<(), StoreError> {
        let mut ancestors = self.folder.iter().flat_map(|folder| folder.ancestors());
        match ancestors.find(|path| path.exists() && !path.is_dir()) {
            Some(file) => Err(StoreError::NotAFolder { path: file.display().to_string() }),
            None => Ok(()),
        }
    }

    /// A subfolder. `name` is one plain path segment or several.
    ///
    /// # Errors
    /// The name cannot be part of a URL.
    pub fn below(&self, name: &str) -> Result<Self, StoreError> {
        let mut below = self.clone();
        for part in name.split('/') {
            let failed = |error: url::ParseError| StoreError::Location {
                location: format!("{}{name}", self.url),
                reason: error.to_string(),
            };
            below.url = below.url.join(&format!("{part}/")).map_err(failed)?;
            below.log_url = below.log_url.join(&format!("{part}/")).map_err(failed)?;
            below.prefix = below.prefix.join(part);
            below.folder = below.folder.map(|folder| folder.join(part));
        }
        below.name = match &below.folder {
            Some(folder) => folder.display().to_string(),
            None => below.url.to_string(),
        };
        Ok(below)
    }

    /// The store that the folder is in. On a local disk it deletes nothing outside of the folder.
    fn whole(&self) -> Arc<dyn ObjectStore> {
        match (&self.root, &self.folder) {
            (Some(root), _) => Arc::clone(root),
            (None, folder) => Arc::new(Disk::new(folder.clone().unwrap_or_default())),
        }
    }

    /// A store whose root is this folder.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.whole(), self.prefix.clone()))
    }

    /// A store whose root is the lake, and the folder's URL in it. Such a URL is made of plain names whatever
    /// characters the lake's own place has, so that everybody takes it for the same folder.
    pub fn from_lake(&self) -> (Arc<dyn ObjectStore>, &Url) {
        (Arc::new(CheckedHints::new(PrefixStore::new(self.whole(), self.lake.clone()))), &self.log_url)
    }
}
