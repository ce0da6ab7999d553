//! What hops remember between commits: bytes beside the tables, named by the positions that
//! they belong to.
//!
//! A state is put before the commit that moves a hop to its positions. Without that commit
//! nobody looks for it, and the hop, which then starts at the positions before, puts it again.

use std::fs::{self, File};
use std::io::Write;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use super::Lake;
use super::data::{create_folder, sync_folder};
use super::entry::new_id;
use super::error::LakeError;
use super::location::Location;
use crate::batch::Positions;

/// The folder of all states in a lake.
const FOLDER: &str = "_state";
/// Bytes of the digest behind a state's own.
const DIGEST: usize = 32;

/// The states of one hop.
#[derive(Clone, Debug)]
pub struct States {
    folder: Location,
    /// From the lake's root, as commits name it.
    path: String,
}

impl Lake {
    /// The states of a hop.
    pub fn states(&self, pipeline: &str, hop: &str) -> Result<States, LakeError> {
        let path = format!("{FOLDER}/{pipeline}/{hop}");
        Ok(States { folder: self.location.below(&path)?, path })
    }
}

impl States {
    /// Puts the state of a hop that stands at these positions, durably. Gives its path from
    /// the lake's root.
    pub async fn save(&self, positions: &Positions, state: &[u8]) -> Result<String, LakeError> {
        let name = name(positions);
        let mut bytes = state.to_vec();
        bytes.extend_from_slice(&Sha256::digest(state));
        match self.folder.folder.clone() {
            Some(folder) => {
                let file = name.clone();
                let task = |source| LakeError::Task { action: "save the state of", table: self.path.clone(), source };
                tokio::task::spawn_blocking(move || put_local(&folder, &file, &bytes)).await.map_err(task)??;
            }
            None => {
                let put = self.folder.store().put(&Path::from(name.as_str()), bytes.into()).await;
                put.map_err(LakeError::store("save state", format!("{}{name}", self.folder.name)))?;
            }
        }
        Ok(format!("{}/{name}", self.path))
    }

    /// The state of a hop that stands at these positions, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or is not what was put.
    pub async fn load(&self, positions: &Positions) -> Result<Option<Vec<u8>>, LakeError> {
        let name = name(positions);
        let failed = || LakeError::store("read state", format!("{}/{name}", self.folder.name.trim_end_matches('/')));
        let object = match self.folder.store().get(&Path::from(name.as_str())).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            other => other.map_err(failed())?,
        };
        let bytes = object.bytes().await.map_err(failed())?;
        let damaged = || LakeError::State { path: format!("{}/{name}", self.path) };
        let (state, digest) = bytes.split_at_checked(bytes.len().saturating_sub(DIGEST)).ok_or_else(damaged)?;
        if Sha256::digest(state).as_slice() != digest {
            return Err(damaged());
        }
        Ok(Some(state.to_vec()))
    }

    /// Removes all but the newest states, and never the one of these positions. A state that
    /// cannot be removed does no harm, so that is not an error.
    pub async fn keep_newest(&self, count: usize, positions: &Positions) {
        let store = self.folder.store();
        let Ok(mut found) = store.list(None).try_collect::<Vec<_>>().await else { return };
        let kept = name(positions);
        found.retain(|state| state.location.as_ref() != kept);
        found.sort_by_key(|state| std::cmp::Reverse(state.last_modified));
        for state in found.iter().skip(count.saturating_sub(1)) {
            if let Err(error) = store.delete(&state.location).await {
                tracing::debug!(state = %state.location, %error, "an old state stays");
            }
        }
    }
}

/// What a state of these positions is called: the same for the same positions.
fn name(positions: &Positions) -> String {
    let mut digest = Sha256::new();
    for (lane, position) in positions.iter() {
        digest.update((lane.len() as u64).to_le_bytes());
        digest.update(lane.as_bytes());
        digest.update(position.to_le_bytes());
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn put_local(folder: &std::path::Path, name: &str, bytes: &[u8]) -> Result<(), LakeError> {
    if !folder.exists() {
        create_folder(folder)?;
        // The folders above may be as new as this one.
        for parent in folder.ancestors().skip(1).take(3) {
            sync_folder(parent)?;
        }
    }
    let (draft, path) = (folder.join(format!(".{}.tmp", new_id())), folder.join(name));
    let put = File::create_new(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    });
    if let Err(error) = put {
        // A draft that stays behind is harmless: nobody looks for its name.
        let _ = fs::remove_file(&draft);
        return Err(LakeError::io("save state", &path)(error));
    }
    sync_folder(folder)
}
