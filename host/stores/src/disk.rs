//! The local disk as an object store that lists the tail of a long log as fast as that of a short one.
//!
//! Each commit asks for the entries since the last one. The underlying store builds a path for every name in the
//! folder to answer that, which takes longer than the commit itself once there are some thousand. But the names of
//! log entries are their versions, so here they are asked for one after another while they exist; the folder is
//! listed only where that is not enough.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path as FsPath;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// The folder of a table's log: it is flat, and its names sort by version.
const LOG: &str = "_delta_log";

/// The whole disk, by absolute paths.
#[derive(Debug)]
pub(crate) struct Disk(LocalFileSystem);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(LocalFileSystem::new())
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Disk {
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let log = prefix.filter(|prefix| prefix.filename() == Some(LOG));
        let Some((log, folder)) = log.and_then(|log| Some((log.clone(), self.0.path_to_filesystem(log).ok()?))) else {
            return self.0.list_with_offset(prefix, offset);
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
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
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
        let disk = Disk::new();
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
        let theirs = disk.0.list_with_offset(Some(&prefix), &offset).try_collect().await.expect("a list");
        (names(ours), names(theirs))
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
