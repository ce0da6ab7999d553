//! What a log says of its newest checkpoint, believed only where the checkpoint is there.
//!
//! `_last_checkpoint` is a hint: whoever reads a log may find it through the entries alone. The kernel takes the
//! hint at its word, and a table whose checkpoint was removed, or never came through with a copy, could not be
//! read though its entries are all there.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use serde_json::Value;

/// The object of a log that names its newest checkpoint.
const HINT: &str = "_last_checkpoint";

/// A store that hides hints at checkpoints that are not there.
#[derive(Debug)]
pub(crate) struct CheckedHints<S>(S);

impl<S: ObjectStore> CheckedHints<S> {
    pub(crate) fn new(store: S) -> Self {
        Self(store)
    }

    /// Whether what a hint names is there, or is not ours to judge.
    async fn holds(&self, hint: &Path) -> Result<bool> {
        let told = match self.0.get(hint).await {
            Ok(found) => found.bytes().await?,
            Err(Error::NotFound { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        let Some((version, parts)) = named(&told) else {
            return Ok(true);
        };
        let mut log: Vec<_> = hint.parts().collect();
        log.pop();
        let log: Path = log.into_iter().collect();
        if parts.is_none() {
            match self.0.head(&log.clone().join(format!("{version:020}.checkpoint.parquet"))).await {
                Ok(_) => return Ok(true),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // One in parts, or one with a name of its own.
        let before = log.clone().join(format!("{version:020}"));
        let mut listing = self.0.list_with_offset(Some(&log), &before);
        let mut found = 0;
        while let Some(object) = listing.try_next().await? {
            let name = object.location.filename().and_then(checkpoint_name);
            if name.is_some_and(|(at, of)| at == version && (parts.is_none() || of == parts)) {
                found += 1;
                if found >= parts.unwrap_or(1) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The version and the number of parts of the checkpoint that a hint names.
fn named(hint: &[u8]) -> Option<(u64, Option<usize>)> {
    let hint: Value = serde_json::from_slice(hint).ok()?;
    let parts = hint.get("parts").and_then(Value::as_u64).and_then(|parts| usize::try_from(parts).ok());
    Some((hint.get("version")?.as_u64()?, parts))
}

/// `<version>.checkpoint[.<part>.<parts>|.<uuid>].(parquet|json)` as version and number of parts.
pub fn checkpoint_name(name: &str) -> Option<(u64, Option<usize>)> {
    let parts: Vec<&str> = name.split('.').collect();
    let [version, "checkpoint", middle @ .., "parquet" | "json"] = parts.as_slice() else {
        return None;
    };
    let version = version.parse().ok()?;
    match middle {
        [] | [_] => Some((version, None)),
        [_, of] => Some((version, Some(of.parse().ok()?))),
        _ => None,
    }
}

impl<S: ObjectStore> fmt::Display for CheckedHints<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for CheckedHints<S> {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if location.filename() == Some(HINT) && !options.head && !self.holds(location).await? {
            tracing::warn!(%location, "it names a checkpoint that is not there; the log is read without it");
            let source = "the checkpoint that it names is not there".into();
            return Err(Error::NotFound { path: location.to_string(), source });
        }
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn checkpoint_names() {
        assert_eq!(checkpoint_name("00000000000000000010.checkpoint.parquet"), Some((10, None)));
        assert_eq!(
            checkpoint_name("00000000000000000010.checkpoint.0000000001.0000000003.parquet"),
            Some((10, Some(3)))
        );
        assert_eq!(checkpoint_name("00000000000000000010.checkpoint.80a083e8.json"), Some((10, None)));
        assert_eq!(checkpoint_name("00000000000000000010.json"), None);
        assert_eq!(checkpoint_name("_last_checkpoint"), None);
    }

    #[tokio::test]
    async fn a_hint_is_believed_when_all_of_its_checkpoint_is_there() {
        let name = |rest: &str| format!("00000000000000000007.checkpoint.{rest}");
        let (one, two) = (name("0000000001.0000000002.parquet"), name("0000000002.0000000002.parquet"));
        let cases: [(&str, Vec<String>, bool); 7] = [
            (r#"{"version":7}"#, vec![], false),
            (r#"{"version":7}"#, vec![name("parquet")], true),
            (r#"{"version":8}"#, vec![name("parquet")], false),
            (r#"{"version":7}"#, vec![name("80a083e8-7026-4e79-81be-64bd76c43a11.json")], true),
            (r#"{"version":7,"parts":2}"#, vec![one.clone()], false),
            (r#"{"version":7,"parts":2}"#, vec![one, two], true),
            ("no hint", vec![], true),
        ];
        for (hint, files, believed) in cases {
            let inner = Arc::new(InMemory::new());
            let log = Path::from("t/_delta_log");
            inner.put(&log.clone().join(HINT), hint.to_owned().into()).await.expect("put");
            for file in &files {
                inner.put(&log.clone().join(file.as_str()), "x".into()).await.expect("put");
            }
            let found = CheckedHints::new(Arc::clone(&inner)).get(&log.join(HINT)).await;
            assert_eq!(found.is_ok(), believed, "{hint} with {files:?}");
        }
    }
}
