//! Keeps landed files unchanged beside their table.

use std::path::Path as FsPath;

use futures::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectStoreExt, WriteMultipart};
use url::Url;

use super::error::LakeError;
use sluicebox_stores::{Location, StoreError, new_id};

/// Parts in flight while a file is copied.
const PARTS_IN_FLIGHT: usize = 2;

pub(super) async fn keep(table: &Location, from: &str, lane: &str) -> Result<(), LakeError> {
    let (source, object) = locate(from)?;
    let failed = || StoreError::object("read", from);
    let from_store = source.store();
    let meta = from_store.head(&object).await.map_err(failed())?;

    let folder = table.below("_files")?;
    let to_store = folder.store();
    let target = target(lane);
    let name = format!("{}/{target}", folder.name.trim_end_matches('/'));
    match to_store.head(&target).await {
        // Copies are created atomically, so one with the same length that is not older is complete.
        Ok(copy) if copy.size == meta.size && copy.last_modified >= meta.last_modified => {
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
    let mut bytes = from_store.get(&object).await.map_err(failed())?.into_stream();
    let copied: Result<(), LakeError> = async {
        while let Some(chunk) = bytes.try_next().await.map_err(failed())? {
            upload.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(writing())?;
            upload.put(chunk);
        }
        Ok(())
    }
    .await;
    if let Err(error) = copied {
        // The first error matters; a temporary file that remains is harmless.
        let _ = upload.abort().await;
        return Err(error);
    }
    upload.finish().await.map_err(writing())?;
    Ok(to_store.rename(&draft, &target).await.map_err(writing())?)
}

/// The folder of a path or URL, and the file in it.
fn locate(from: &str) -> Result<(Location, Path), LakeError> {
    let refuse = || StoreError::Location { location: from.to_owned(), reason: "it names no file".to_owned() };
    let path = match Url::parse(from) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().map_err(|()| refuse())?,
        _ => from.into(),
    };
    let folder = path.parent().and_then(FsPath::to_str).ok_or_else(refuse)?;
    let file = path.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?;
    Ok((Location::parse(if folder.is_empty() { "." } else { folder })?, Path::from_iter([part(file)])))
}

/// A lane as a path below `_files`, which cannot leave that folder.
fn target(lane: &str) -> Path {
    let parts = lane.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    Path::from_iter(parts.map(part))
}

/// A name, escaped if a store could not take it.
fn part(name: &str) -> PathPart<'_> {
    PathPart::parse(name).unwrap_or_else(|_| PathPart::from(name))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn lanes_stay_below() {
        assert_eq!(target("../a/./b.csv").as_ref(), "a/b.csv");
        assert_eq!(target("/etc/passwd").as_ref(), "etc/passwd");
    }
}
