//! Artifacts of tables: every module by its digest and every pipeline by the hash of its configuration, each written
//! once and never changed.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};

use super::Lake;
use super::error::LakeError;
use sluicebox_stores::{Location, PutError, StoreError, put_local};

/// The folder of the modules, beside the layers.
const MODULES: &str = "_modules";

/// The folder of the pipelines, beside the layers.
const PIPELINES: &str = "_pipelines";

impl Lake {
    /// Stores a module at `<lake>/_modules/<digest>.wasm`, unless it exists. Must be called before the first commit
    /// that names it.
    pub async fn keep_module(&self, digest: &str, component: &[u8]) -> Result<(), LakeError> {
        keep(&self.location.below(MODULES)?, format!("{digest}.wasm"), component).await
    }

    /// The module with that digest, exactly as it ran.
    pub async fn module(&self, digest: &str) -> Result<Vec<u8>, LakeError> {
        let folder = self.location.below(MODULES)?;
        let name = format!("{digest}.wasm");
        let component = read(&folder, &name).await?;
        let found = hex::encode(Sha256::digest(&component));
        if found == digest { Ok(component) } else { Err(LakeError::NotItself { path: shown(&folder, &name), found }) }
    }

    /// Stores the text of a pipeline at `<lake>/_pipelines/<hash>.toml`, unless it exists.
    pub async fn keep_pipeline(&self, config_hash: &str, text: &str) -> Result<(), LakeError> {
        keep(&self.location.below(PIPELINES)?, format!("{config_hash}.toml"), text.as_bytes()).await
    }

    /// The text of the pipeline with that hash. The caller must check that the parsed plan has this hash: it is the
    /// hash of the plan and not of the text.
    pub async fn pipeline(&self, config_hash: &str) -> Result<String, LakeError> {
        let folder = self.location.below(PIPELINES)?;
        let name = format!("{config_hash}.toml");
        let text = read(&folder, &name).await?;
        String::from_utf8(text).map_err(|error| {
            let found = hex::encode(Sha256::digest(error.as_bytes()));
            LakeError::NotItself { path: shown(&folder, &name), found }
        })
    }
}

/// Creates a file durably, if none exists, because a commit is about to name it.
async fn keep(folder: &Location, name: String, bytes: &[u8]) -> Result<(), LakeError> {
    let (store, path) = (folder.store(), Path::from(name.as_str()));
    match store.head(&path).await {
        Ok(_) => return Ok(()),
        Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(StoreError::object("look for", shown(folder, &name))(error).into()),
    }
    let bytes = bytes.to_vec();
    if let Some(root) = &folder.folder {
        let target = root.join(&name);
        let put = tokio::task::spawn_blocking(move || put_local(&target, &bytes)).await;
        let task = StoreError::task("keep", shown(folder, &name));
        return match put.map_err(task)? {
            // Another hop or process has stored the same.
            Ok(()) | Err(PutError::Exists) => Ok(()),
            Err(PutError::Failed(error)) => Err(error.into()),
        };
    }
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(&path, bytes.into(), options).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(StoreError::object("keep", shown(folder, &name))(error).into()),
    }
}

async fn read(folder: &Location, name: &str) -> Result<Vec<u8>, LakeError> {
    let fetched = match folder.store().get(&Path::from(name)).await {
        Ok(found) => found.bytes().await,
        Err(object_store::Error::NotFound { .. }) => return Err(LakeError::NotKept { path: shown(folder, name) }),
        Err(error) => Err(error),
    };
    Ok(fetched.map_err(StoreError::object("read", shown(folder, name)))?.to_vec())
}

fn shown(folder: &Location, name: &str) -> String {
    format!("{}/{name}", folder.name.trim_end_matches('/'))
}
