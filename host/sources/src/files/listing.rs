//! Lists the files of a source.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore};
use tokio::runtime::Handle;
use url::Url;

use super::globs::{Globs, Verdict};
use super::seal::look_of_object;
use super::walk::Walk;
use crate::error::{Redacted, SourceError};
use sluicebox_core::left_out::LeftOut;
use sluicebox_core::plan::FilesSpec;
use sluicebox_core::redact::RedactedUrl;
use sluicebox_formats::{Input, LocalFile};

/// A file of a source.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its lane: its path below the source's folder, with forward slashes and without links. A file outside of the
    /// folder, to which a link leads, has its absolute path.
    pub(crate) lane: String,
    /// Lanes that earlier versions gave it.
    pub(super) aliases: Vec<String>,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// When it was last written.
    pub(crate) modified: DateTime<Utc>,
    /// What a listing tells of it.
    pub(super) look: Option<u32>,
    /// Its device and number, where it has other names as well.
    pub(super) same: Option<(u64, u64)>,
    pub(super) place: Place,
}

/// Where a file lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On this machine: its own path, and where it was found by a link.
    Local { real: PathBuf, shown: Option<PathBuf> },
    /// In a store.
    Object { bucket: Arc<Bucket>, path: ObjectPath },
}

/// The folder of an object store.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    url: Url,
    runtime: Handle,
}

impl Listed {
    /// How it is read: up to the size that was listed.
    pub(crate) fn input(&self) -> Input {
        match &self.place {
            Place::Local { real, .. } => Input::Local(LocalFile::listed(real, self.bytes)),
            Place::Object { bucket, path } => {
                Input::Remote { store: bucket.store.clone(), path: path.clone(), runtime: bucket.runtime.clone() }
            }
        }
    }

    /// Where it lies, for people: an absolute path, or a URL without credentials.
    pub(crate) fn location(&self) -> String {
        match &self.place {
            Place::Local { shown: Some(shown), .. } => shown.display().to_string(),
            Place::Local { real, shown: None } => real.display().to_string(),
            Place::Object { bucket, .. } => {
                let mut folder = bucket.url.clone();
                folder.set_query(None);
                RedactedUrl::new(format!("{}/{}", folder.as_str().trim_end_matches('/'), self.lane)).to_string()
            }
        }
    }
}

/// The source's files, in the order of their lanes, and what was left out of what its globs ask for.
///
/// Left out are names that begin with `.` or `_` and those that end as unfinished
/// downloads and copies do (`.tmp`, `.part`, `.partial`, `.crdownload`, `~`), files and
/// folders alike, unless a glob names them so; what is neither file nor folder; links out of the folder, as long
/// as nobody asks for them; and folders that cannot be listed.
pub(crate) fn list(name: &str, spec: &FilesSpec, runtime: &Handle) -> Result<(Vec<Listed>, LeftOut), SourceError> {
    let globs = Globs::new(name, spec)?;
    let folder = match Url::parse(&spec.path).ok().filter(|_| spec.path.contains("://")) {
        None => PathBuf::from(&spec.path),
        Some(url) => match url.to_file_path().ok().filter(|_| url.scheme() == "file") {
            Some(folder) => folder,
            None => return list_store(name, spec, &globs, url, runtime),
        },
    };
    Walk::through(name, spec, &globs, &folder)
}

fn list_store(
    name: &str,
    spec: &FilesSpec,
    globs: &Globs,
    url: Url,
    runtime: &Handle,
) -> Result<(Vec<Listed>, LeftOut), SourceError> {
    let path = || RedactedUrl::new(&spec.path).to_string();
    let (store, prefix) = object_store::parse_url(&url).map_err(|error| SourceError::Place {
        name: name.to_owned(),
        path: path(),
        source: Redacted::of(&error),
    })?;
    let bucket = Arc::new(Bucket { store: Arc::from(store), prefix, url, runtime: runtime.clone() });
    let failed = |error: object_store::Error| SourceError::ListStore {
        name: name.to_owned(),
        path: path(),
        source: Redacted::of(&error),
    };
    let objects = runtime.block_on(objects(&bucket, spec)).map_err(failed)?;
    if objects.len() as u64 > spec.max_files {
        return Err(SourceError::TooMany { name: name.to_owned(), path: path(), most: spec.max_files });
    }
    let (mut files, mut left_out) = (Vec::new(), LeftOut::default());
    for object in objects {
        let Some(parts) = object.location.prefix_match(&bucket.prefix) else { continue };
        let lane = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
        match globs.judge(lane.as_ref()) {
            Verdict::Other => {}
            Verdict::Out(why) => left_out.add(lane, why),
            Verdict::In => files.push(Listed {
                lane,
                aliases: Vec::new(),
                bytes: object.size,
                modified: object.last_modified,
                look: look_of_object(&object),
                same: None,
                place: Place::Object { bucket: bucket.clone(), path: object.location },
            }),
        }
    }
    files.sort_by(|one, other| one.lane.cmp(&other.lane));
    Ok((files, left_out))
}

/// What a store has, one more than may be looked at where it has too much.
async fn objects(bucket: &Bucket, spec: &FilesSpec) -> object_store::Result<Vec<ObjectMeta>> {
    let prefix = Some(&bucket.prefix);
    if !spec.recursive {
        return bucket.store.list_with_delimiter(prefix).await.map(|listed| listed.objects);
    }
    let most = usize::try_from(spec.max_files).unwrap_or(usize::MAX).saturating_add(1);
    bucket.store.list(prefix).take(most).try_collect().await
}
