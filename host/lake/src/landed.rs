//! Keeps landed files unchanged beside their table.

use std::io::{self, Read};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::{Path, PathPart};
use object_store::{ObjectStoreExt, WriteMultipart};
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;

use super::error::LakeError;
use sluicebox_stores::{Location, StoreError, new_id};

/// Parts in flight while a file is copied.
const PARTS_IN_FLIGHT: usize = 2;

/// Bytes that are read at once while a file is copied.
const CHUNK: usize = 1 << 20;

/// A landed file, to be read once from its beginning.
pub struct LandedFile {
    /// Its lane.
    pub lane: String,
    /// Its location, for messages.
    pub location: String,
    /// Its size.
    pub bytes: u64,
    /// Its modification time.
    pub modified: DateTime<Utc>,
    /// Opens it. Reading may block.
    pub open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>,
}

pub(super) async fn keep(table: &Location, file: LandedFile) -> Result<(), LakeError> {
    let folder = table.below("_files")?;
    let to_store = folder.store();
    let target = target(&file.lane);
    let name = format!("{}/{target}", folder.name.trim_end_matches('/'));
    match to_store.head(&target).await {
        // Copies are created atomically, so one with the same length that is not older is complete.
        Ok(copy) if copy.size == file.bytes && copy.last_modified >= file.modified => {
            return Ok(());
        }
        Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(StoreError::object("look for", name)(error).into()),
    }

    let writing = || StoreError::object("keep file", &name);
    // An object store shows an upload only when it is complete, but a local disk would show a partial file.
    let draft = Path::from_iter([format!(".{}.tmp", new_id())]);
    let upload = to_store.put_multipart(&draft).await.map_err(writing())?;
    let mut upload = WriteMultipart::new(upload);
    let (location, expected) = (file.location.clone(), file.bytes);
    let (chunks, mut read) = mpsc::channel(PARTS_IN_FLIGHT);
    let reading = tokio::task::spawn_blocking(move || send(file, &chunks));
    let mut copied = 0;
    let done: Result<(), LakeError> = async {
        while let Some(chunk) = read.recv().await {
            copied += chunk.len() as u64;
            upload.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(writing())?;
            upload.put(chunk);
        }
        let read = reading.await.map_err(StoreError::task("read", &location))?;
        read.map_err(StoreError::io("read", &location))?;
        if copied != expected {
            let message = format!("it has {copied} bytes now and had {expected} when it was listed");
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, message);
            return Err(StoreError::io("keep a whole copy of", &location)(error).into());
        }
        Ok(())
    }
    .await;
    if let Err(error) = done {
        // The first error matters; a temporary file that remains is harmless.
        let _ = upload.abort().await;
        return Err(error);
    }
    upload.finish().await.map_err(writing())?;
    Ok(to_store.rename(&draft, &target).await.map_err(writing())?)
}

/// Reads a file and sends its bytes.
fn send(file: LandedFile, chunks: &mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut reader = (file.open)()?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        // Nobody receives any more where the upload has failed, which says why.
        if chunk.is_empty() || chunks.blocking_send(chunk.into()).is_err() {
            return Ok(());
        }
    }
}

/// A lane as a path below `_files`, which cannot leave that folder. No two lanes have the same path.
fn target(lane: &str) -> Path {
    // The lane of a file outside of its source's folder is an absolute path.
    let (outside, lane) = lane.strip_prefix('/').map_or((None, lane), |lane| (Some(PathPart::from("/")), lane));
    let parts = lane.split('/').filter(|part| !part.is_empty()).map(part);
    Path::from_iter(outside.into_iter().chain(parts))
}

/// A name as it is, or escaped if a store could not take it. A name that looks escaped is escaped again, so that it
/// stays another name.
fn part(name: &str) -> PathPart<'_> {
    match PathPart::parse(name) {
        Ok(part) if !is_escaped(name) => part,
        _ => PathPart::from(name),
    }
}

fn is_escaped(name: &str) -> bool {
    let plain = percent_decode_str(name).collect::<Vec<u8>>();
    let Ok(plain) = String::from_utf8(plain) else { return false };
    plain != name && (PathPart::parse(&plain).is_err() || is_escaped(&plain))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::target;

    #[test]
    fn lanes_stay_below() {
        for (lane, path) in [
            ("../a/./b.csv", "%2E%2E/a/%2E/b.csv"),
            ("/etc/passwd", "%2F/etc/passwd"),
            ("a b%20ü#[1]\\x.csv", "a b%20ü#[1]\\x.csv"),
            ("tab\there", "tab%09here"),
            ("tab%09here", "tab%2509here"),
        ] {
            assert_eq!(target(lane).as_ref(), path);
        }
    }

    #[test]
    fn no_two_lanes_have_one_path() {
        let pieces = ["a", "\t", "%09", "%25", "09", "%", "\\", "/", "%2F", "2F", ".."];
        let (mut paths, mut lanes) = (HashSet::new(), HashSet::new());
        for index in 0..pieces.len().pow(4) {
            let lane: String = (0..4).map(|place| pieces[index / pieces.len().pow(place) % pieces.len()]).collect();
            // An empty name is none.
            if lane.contains("//") || lane.ends_with('/') || !lanes.insert(lane.clone()) {
                continue;
            }
            assert!(paths.insert(target(&lane).to_string()), "{lane:?}");
        }
    }
}
