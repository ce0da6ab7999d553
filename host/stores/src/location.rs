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

/// A folder of an object store.
#[derive(Clone, Debug)]
pub struct Location {
    /// Ends with a slash.
    pub url: Url,
    /// The folder as shown in messages.
    pub name: String,
    /// Set for a folder on a local disk. Files there are written directly and synced before a commit names them.
    pub folder: Option<PathBuf>,
    /// The store whose root is the root of `url`.
    pub root: Arc<dyn ObjectStore>,
    prefix: Path,
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

impl Location {
    /// A path, or a URL of scheme `file` or `memory`.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: text.to_owned(), reason };
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
        let root = Arc::new(Disk::new());
        Ok(Self { url, name, folder: Some(path), root, prefix })
    }

    /// The folder `url` of a store whose root is the root of that URL.
    ///
    /// # Errors
    /// The URL has a path that stores cannot have.
    pub fn with_store(root: Arc<dyn ObjectStore>, url: &Url) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: url.to_string(), reason };
        let prefix = Path::from_url_path(url.path()).map_err(|error| refuse(error.to_string()))?;
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { name: url.to_string(), url, folder: None, root, prefix })
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
            below.url = below.url.join(&format!("{part}/")).map_err(|error| StoreError::Location {
                location: format!("{}{name}", self.url),
                reason: error.to_string(),
            })?;
            below.prefix = below.prefix.join(part);
            below.folder = below.folder.map(|folder| folder.join(part));
        }
        below.name = match &below.folder {
            Some(folder) => folder.display().to_string(),
            None => below.url.to_string(),
        };
        Ok(below)
    }

    /// A store whose root is this folder.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.root), self.prefix.clone()))
    }
}
