//! The local disk as an object store that lists the tail of a long log as fast as that of a short one.
//!
//! Each commit asks for the entries since the last one. The underlying store builds a path for every name in the
//! folder to answer that, which takes longer than the commit itself once there are some thousand. But the names of
//! log entries are their versions, so here they are asked for one after another while they exist; the folder is
//! listed only where that is not enough.
//!
//! It also stays in its folder: a listing does not follow links to other folders, and a file is deleted only if it
//! lies in the folder after links are resolved.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// The folder of a table's log: it is flat, and its names sort by version.
const LOG: &str = "_delta_log";

/// The whole disk, by absolute paths, of which one folder may be deleted from.
#[derive(Debug)]
pub(crate) struct Disk {
    files: LocalFileSystem,
    folder: PathBuf,
}

impl Disk {
    /// The disk for whoever works in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { files: LocalFileSystem::new(), folder }
    }

    /// The place of a folder of the store.
    fn folder_of(&self, prefix: &Path) -> Result<PathBuf> {
        // A folder may have a name that no file of a store has.
        let mut file = self.files.path_to_filesystem(&prefix.clone().join("x"))?;
        file.pop();
        Ok(file)
    }
}

/// Whether a file lies in `folder` where its path says, and not where a link on the way leads.
fn is_inside(folder: &FsPath, file: &FsPath) -> io::Result<bool> {
    let (Some(parent), Ok(root)) = (file.parent(), folder.canonicalize()) else {
        // What is not there cannot be deleted.
        return Ok(true);
    };
    let Ok(below) = parent.strip_prefix(folder) else {
        return Ok(false);
    };
    match parent.canonicalize() {
        Ok(parent) => Ok(parent == root.join(below)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Disk {
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let log = prefix.filter(|prefix| prefix.filename() == Some(LOG));
        let Some((log, folder)) = log.and_then(|log| Some((log.clone(), self.files.path_to_filesystem(log).ok()?)))
        else {
            return self.files.list_with_offset(prefix, offset);
        };
        // An offset outside of the folder is before or after all its files.
        let after = match offset.prefix_match(&log) {
            Some(mut parts) => parts.next().map(|name| name.as_ref().to_owned()).unwrap_or_default(),
            None if *offset < log => String::new(),
            None => return stream::empty().boxed(),
        };
        stream::once(async move {
            let list = move || list_log(&log, &folder, &after);
            let listed = match tokio::runtime::Handle::try_current() {
                Ok(runtime) => runtime
                    .spawn_blocking(list)
                    .await
                    .map_err(|error| Error::Generic { store: "disk", source: Box::new(error) })?,
                // Without a runtime it may block.
                Err(_) => list(),
            };
            Ok::<_, Error>(stream::iter(listed?.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.files.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (files, folder) = (LocalFileSystem::new(), self.folder.clone());
        let checked = locations.and_then(move |location| {
            let inside = files.path_to_filesystem(&location).and_then(|file| {
                let inside = is_inside(&folder, &file).map_err(failed)?;
                let outside = || failed(io::Error::other(format!("a link leads out of {}", folder.display())));
                inside.then_some(location).ok_or_else(outside)
            });
            std::future::ready(inside)
        });
        self.files.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let begun = match prefix {
            Some(prefix) => self.folder_of(prefix).map(|folder| Walk::new(&folder, prefix.clone())),
            None => Err(failed(io::Error::other("nobody lists all of a disk"))),
        };
        walked(begun)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

/// Names that are fetched at once.
const WALKED: usize = 1024;

/// The files below a folder, without those that a link leads to. Only a log may be made of links: it is listed
/// to be read.
struct Walk {
    open: Vec<(fs::ReadDir, Path)>,
    failure: Option<io::Error>,
}

impl Walk {
    fn new(folder: &FsPath, prefix: Path) -> Self {
        let mut walk = Self { open: Vec::new(), failure: None };
        walk.enter(folder, prefix);
        walk
    }

    fn enter(&mut self, folder: &FsPath, prefix: Path) {
        match fs::read_dir(folder) {
            Ok(entries) => self.open.push((entries, prefix)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.failure = Some(error),
        }
    }

    /// What a name in a folder stands for; `None` for what is no file of a store, or has gone meanwhile.
    fn look(&mut self, entry: &fs::DirEntry, prefix: &Path) -> io::Result<Option<ObjectMeta>> {
        let name = entry.file_name();
        // Names that are not text, and drafts of the store, are no part of it.
        let Some(name) = name.to_str().filter(|name| !is_draft(name)) else {
            return Ok(None);
        };
        let Ok(part) = PathPart::parse(name) else {
            return Ok(None);
        };
        let location = prefix.clone().join(part);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            self.enter(&entry.path(), location);
            return Ok(None);
        }
        let linked = kind.is_symlink() && prefix.filename() == Some(LOG);
        if !kind.is_file() && !linked {
            return Ok(None);
        }
        let metadata = if linked { fs::metadata(entry.path())? } else { entry.metadata()? };
        let last_modified = metadata.modified()?.into();
        let meta = ObjectMeta { location, last_modified, size: metadata.len(), e_tag: None, version: None };
        Ok(metadata.is_file().then_some(meta))
    }
}

impl Iterator for Walk {
    type Item = Result<ObjectMeta>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failure.take() {
                return Some(Err(failed(error)));
            }
            let (entries, prefix) = self.open.last_mut()?;
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let prefix = prefix.clone();
            match entry.and_then(|entry| self.look(&entry, &prefix)) {
                Ok(Some(meta)) => return Some(Ok(meta)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Some(Err(failed(error))),
            }
        }
    }
}

/// Whether the store underneath gives such names to files in the making.
fn is_draft(name: &str) -> bool {
    name.split_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// A walk as a stream that keeps no runtime waiting.
fn walked(begun: Result<Walk>) -> BoxStream<'static, Result<ObjectMeta>> {
    let walk = match begun {
        Ok(walk) => walk,
        Err(error) => return stream::once(std::future::ready(Err(error))).boxed(),
    };
    if tokio::runtime::Handle::try_current().is_err() {
        return stream::iter(walk).boxed();
    }
    let some = stream::try_unfold(Some(walk), |walk| async move {
        let Some(mut walk) = walk else {
            return Ok(None);
        };
        let step = move || {
            let some: Vec<_> = walk.by_ref().take(WALKED).collect();
            let more = (some.len() == WALKED).then_some(walk);
            (some, more)
        };
        let (some, more) = tokio::task::spawn_blocking(step)
            .await
            .map_err(|error| Error::Generic { store: "disk", source: Box::new(error) })?;
        Ok::<_, Error>(Some((stream::iter(some), more)))
    });
    some.try_flatten().boxed()
}

/// The files of a log with names after `after`, in order. Folders in the log, which other writers may create, are not
/// listed.
fn list_log(log: &Path, folder: &FsPath, after: &str) -> Result<Vec<ObjectMeta>> {
    let names = match asked_for(folder, after) {
        Some(names) => names,
        None => read_through(folder, after)?,
    };
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match fs::metadata(folder.join(&name)) {
            Ok(metadata) if metadata.is_file() => found.push(ObjectMeta {
                location: log.clone().join(name.as_str()),
                last_modified: metadata.modified().map_err(failed)?.into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            }),
            Ok(_) => {}
            // Removed meanwhile by a log cleanup.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(found)
}

/// The names of entries and checkpoints after `after`, found by version; `None` if the log does not begin there, has
/// a hole, or has a checkpoint of another kind than ours.
fn asked_for(folder: &FsPath, after: &str) -> Option<Vec<String>> {
    let first: u64 = after.get(..20)?.parse().ok()?;
    let entry = |version: u64| format!("{version:020}.json");
    let checkpoint = |version: u64| format!("{version:020}.checkpoint.parquet");
    let is_there = |name: &String| folder.join(name).is_file();
    if !is_there(&entry(first)) && !is_there(&checkpoint(first)) {
        return None;
    }
    // Readers look for the checkpoint in this hint, which may have several parts.
    let hint = match fs::read(folder.join("_last_checkpoint")) {
        Ok(hint) => serde_json::from_slice::<serde_json::Value>(&hint).ok()?["version"].as_u64(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return None,
    };
    if hint.is_some_and(|hint| hint >= first && !is_there(&checkpoint(hint))) {
        return None;
    }
    let mut names = Vec::new();
    let mut version = first;
    loop {
        let has_entry = is_there(&entry(version));
        if !has_entry && version > first {
            // A hole must not look like the end of the log, because somebody would commit into it.
            return (!is_there(&entry(version + 1))).then_some(names);
        }
        let both = [checkpoint(version), entry(version)];
        names.extend(both.into_iter().filter(|name| name.as_str() > after && is_there(name)));
        version += 1;
    }
}

/// All names in the folder after `after`, in order.
fn read_through(folder: &FsPath, after: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        // Names that are not UTF-8 and temporary files are not part of a log.
        if let Some(name) = name.to_str().filter(|name| *name > after && !name.starts_with('.') && !name.contains('#'))
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn failed(source: io::Error) -> Error {
    Error::Generic { store: "disk", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    /// Lists a log with these files after an offset, by this store and by the underlying one.
    async fn listed(files: &[&str], hint: &str, offset: &str) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("t/_delta_log");
        fs::create_dir_all(log.join("_sidecars")).expect("a folder");
        for name in files {
            fs::write(log.join(name), "x").expect("a file");
        }
        fs::write(log.join("_last_checkpoint"), hint).expect("a file");
        fs::write(log.join(".1.tmp"), "x").expect("a file");
        let disk = Disk::new(folder.path().to_owned());
        let prefix = Path::from_absolute_path(&log).expect("a path");
        let offset = prefix.clone().join(offset);
        let names = |listed: Vec<ObjectMeta>| {
            let mut names: Vec<String> =
                listed.iter().filter_map(|file| file.location.filename().map(str::to_owned)).collect();
            names.sort();
            names.retain(|name| !name.starts_with(['.', '_']));
            names
        };
        let ours = disk.list_with_offset(Some(&prefix), &offset).try_collect().await.expect("a list");
        let theirs = disk.files.list_with_offset(Some(&prefix), &offset).try_collect().await.expect("a list");
        (names(ours), names(theirs))
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_not_gone_through() {
        use std::os::unix::fs::symlink;
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let table = folder.path().join("t");
        fs::create_dir_all(table.join("a=1")).expect("a folder");
        for file in [table.join("a=1/x.parquet"), outside.path().join("precious.parquet")] {
            fs::write(file, "x").expect("a file");
        }
        symlink(outside.path(), table.join("sub")).expect("a link");
        symlink(&table, table.join("a=1/loop")).expect("a link");
        symlink(outside.path().join("precious.parquet"), table.join("y.parquet")).expect("a link");
        let disk = Disk::new(table.clone());
        let prefix = Path::from_absolute_path(&table).expect("a path");
        let listed: Vec<ObjectMeta> = disk.list(Some(&prefix)).try_collect().await.expect("a list");
        let listed: Vec<&str> = listed.iter().filter_map(|file| file.location.filename()).collect();
        assert_eq!(listed, ["x.parquet"]);
        let through = prefix.clone().join("sub").join("precious.parquet");
        assert!(disk.delete(&through).await.is_err());
        let elsewhere = Path::from_absolute_path(outside.path().join("precious.parquet")).expect("a path");
        assert!(disk.delete(&elsewhere).await.is_err());
        assert!(outside.path().join("precious.parquet").exists());
        disk.delete(&prefix.join("a=1").join("x.parquet")).await.expect("its own");
        assert!(!table.join("a=1/x.parquet").exists());
    }

    const LOG: [&str; 5] = [
        "00000000000000000001.json",
        "00000000000000000002.checkpoint.parquet",
        "00000000000000000002.json",
        "00000000000000000003.json",
        "00000000000000000004.json",
    ];

    #[tokio::test]
    async fn lists_what_the_store_underneath_lists() {
        let offsets = [
            "00000000000000000000",
            "00000000000000000001.json",
            "00000000000000000002",
            "00000000000000000004.json",
            "00000000000000000009.json",
            "z",
        ];
        for hint in ["x", r#"{"version":2}"#, r#"{"version":2,"parts":2}"#, r#"{"version":3,"parts":2}"#] {
            for offset in offsets {
                let (ours, theirs) = listed(&LOG, hint, offset).await;
                assert_eq!(ours, theirs, "after {offset}, hint {hint}");
            }
        }
    }

    #[tokio::test]
    async fn a_hole_in_a_log_is_not_its_end() {
        let files = [LOG[0], LOG[2], LOG[4]];
        let (ours, theirs) = listed(&files, r#"{"version":0}"#, "00000000000000000001").await;
        assert_eq!(ours, theirs);
    }

    #[tokio::test]
    async fn checkpoints_of_many_parts_are_found_where_the_log_names_them() {
        let parts = ["00000000000000000002.checkpoint.0000000001.0000000002.parquet", LOG[2], LOG[3]];
        let (ours, theirs) = listed(&parts, r#"{"version":2,"parts":2}"#, "00000000000000000002").await;
        assert_eq!(ours, theirs);
    }
}
