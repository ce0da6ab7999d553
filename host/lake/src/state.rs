//! States of modules between commits: bytes beside the tables, found by the positions that they belong to.
//!
//! A state is a *list* of pieces, named by positions, and the pieces, named by their content. Pieces are written
//! before their list, and the list before the commit that moves a hop to its positions. Without that commit nobody
//! looks for it, and the hop, which then starts at the positions before, writes it again. An unchanged piece is not
//! written again, so a commit costs what changed and not what is remembered.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Lake;
use super::error::LakeError;
use sluicebox_core::batch::Positions;
use sluicebox_stores::{Location, StoreError, create_folder, new_id, sync_folder};

/// The folder of all states in a lake.
const FOLDER: &str = "_state";
/// The folder of a hop's pieces, beside its lists.
const PIECES: &str = "pieces";
/// The age at which a piece without a list is an orphan of a crash; a younger one may belong to another run whose
/// list is yet to be written.
const FORGOTTEN: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// A part of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    key: String,
    bytes: Bytes,
    /// The digest of the bytes, which is the file's name.
    digest: String,
}

impl Piece {
    /// A piece with a key; `before` is the piece that was saved last with this key.
    pub fn new(key: String, bytes: impl Into<Bytes>, before: Option<&Piece>) -> Self {
        let bytes = bytes.into();
        // Comparing is many times faster than hashing.
        let digest = match before.filter(|before| before.bytes == bytes) {
            Some(before) => before.digest.clone(),
            None => hex::encode(Sha256::digest(&bytes)),
        };
        Self { key, bytes, digest }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// A saved state: the hop's header and its pieces.
pub type SavedPieces = (Value, Vec<Piece>);

/// The states of one hop.
#[derive(Debug)]
pub struct States {
    folder: Location,
    /// The path from the lake's root, as commits name it.
    path: String,
    /// The pieces of each list that was read or written.
    lists: HashMap<String, HashSet<String>>,
    /// The pieces of the last list, which certainly exist.
    present: HashSet<String>,
    /// Whether orphaned pieces were looked for.
    swept: bool,
}

impl Lake {
    /// The states of a hop.
    pub fn states(&self, pipeline: &str, hop: &str) -> Result<States, LakeError> {
        let path = format!("{FOLDER}/{pipeline}/{hop}");
        let folder = self.location.below(&path)?;
        Ok(States { folder, path, lists: HashMap::new(), present: HashSet::new(), swept: false })
    }
}

impl States {
    /// Saves the state of a hop at these positions, durably. Returns the path of its list from the lake's root, and
    /// the bytes of pieces written.
    pub async fn save(
        &mut self,
        positions: &Positions,
        head: &Value,
        pieces: &[Piece],
    ) -> Result<(String, u64), LakeError> {
        let name = name(positions);
        let named: HashSet<String> = pieces.iter().map(|piece| piece.digest.clone()).collect();
        let mut new: HashMap<&str, &Piece> = HashMap::new();
        new.extend(pieces.iter().map(|piece| (piece.digest.as_str(), piece)));
        new.retain(|digest, _| !self.present.contains(*digest));
        let put = new.values().map(|piece| piece.bytes.len() as u64).sum();
        let files = new.into_values().map(|piece| (piece.digest.clone(), piece.bytes.clone())).collect();
        let entry = |piece: &Piece| json!({"key": piece.key, "sha256": piece.digest, "bytes": piece.bytes.len()});
        let list = json!({"head": head, "pieces": pieces.iter().map(entry).collect::<Vec<_>>()}).to_string();
        let sealed = format!("{list}\n{}\n", hex::encode(Sha256::digest(&list)));
        match self.folder.folder.clone() {
            Some(folder) => {
                let file = name.clone();
                let task = StoreError::task("save the state of", &self.path);
                tokio::task::spawn_blocking(move || {
                    put_local(&folder.join(PIECES), files)?;
                    put_local(&folder, vec![(file, sealed.into())])
                })
                .await
                .map_err(task)??;
            }
            None => {
                let files = files.into_iter().map(|(digest, bytes)| (format!("{PIECES}/{digest}"), bytes));
                for (file, bytes) in files.chain([(name.clone(), sealed.into())]) {
                    let failed = StoreError::object("save state", format!("{}{file}", self.folder.name));
                    self.folder.store().put(&Path::from(file), bytes.into()).await.map_err(failed)?;
                }
            }
        }
        self.lists.insert(name.clone(), named.clone());
        self.present = named;
        Ok((format!("{}/{name}", self.path), put))
    }

    /// The state of a hop at these positions, if there is one.
    ///
    /// # Errors
    /// It cannot be read or is damaged.
    pub async fn load(&mut self, positions: &Positions) -> Result<Option<SavedPieces>, LakeError> {
        let name = name(positions);
        let Some((head, entries)) = self.list(&name).await? else { return Ok(None) };
        let mut pieces = Vec::with_capacity(entries.len());
        for (key, digest) in entries {
            let path = format!("{PIECES}/{digest}");
            let damaged = || LakeError::State { path: format!("{}/{path}", self.path) };
            let bytes = self.read(&path).await?.ok_or_else(damaged)?;
            if hex::encode(Sha256::digest(&bytes)) != digest {
                return Err(damaged());
            }
            pieces.push(Piece { key, bytes, digest });
        }
        let named: HashSet<String> = pieces.iter().map(|piece| piece.digest.clone()).collect();
        self.lists.insert(name, named.clone());
        self.present = named;
        Ok(Some((head, pieces)))
    }

    /// Removes all but the newest states, and never the one at these positions; then the pieces without a list. Files
    /// that cannot be removed are harmless, so that is not an error.
    pub async fn keep_newest(&mut self, count: usize, positions: &Positions) {
        if let Err(error) = self.try_keep_newest(count, &name(positions)).await {
            tracing::debug!(%error, state = self.path, "old states stay");
        }
    }

    async fn try_keep_newest(&mut self, count: usize, kept: &str) -> Result<(), LakeError> {
        let place = self.folder.name.clone();
        let failed = || StoreError::object("list states", place.clone());
        let store = self.folder.store();
        let mut found = store.list_with_delimiter(None).await.map_err(failed())?.objects;
        found.retain(|list| list.location.as_ref() != kept && !list.location.as_ref().starts_with('.'));
        found.sort_by_key(|list| std::cmp::Reverse(list.last_modified));
        let old = found.split_off(count.saturating_sub(1).min(found.len()));
        if old.is_empty() && self.swept {
            return Ok(());
        }
        let mut needed: HashSet<String> = HashSet::new();
        for list in found.iter().map(|list| list.location.as_ref()).chain([kept]) {
            needed.extend(self.pieces_of(list).await?);
        }
        let mut orphans: HashSet<String> = HashSet::new();
        for ObjectMeta { location, .. } in old {
            // Its pieces are read before it is removed, because nobody would look for them later.
            orphans.extend(self.pieces_of(location.as_ref()).await?);
            store.delete(&location).await.map_err(failed())?;
            self.lists.remove(location.as_ref());
        }
        if !std::mem::replace(&mut self.swept, true) {
            let folder = Path::from(PIECES);
            let pieces: Vec<ObjectMeta> = store.list(Some(&folder)).try_collect().await.map_err(failed())?;
            let before = chrono::Utc::now() - FORGOTTEN;
            let old = pieces.into_iter().filter(|piece| piece.last_modified < before);
            orphans.extend(old.filter_map(|piece| piece.location.filename().map(str::to_owned)));
        }
        for digest in orphans.difference(&needed) {
            match store.delete(&Path::from(format!("{PIECES}/{digest}"))).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed()(error).into()),
            }
        }
        Ok(())
    }

    /// The pieces of a list.
    async fn pieces_of(&mut self, list: &str) -> Result<HashSet<String>, LakeError> {
        if let Some(known) = self.lists.get(list) {
            return Ok(known.clone());
        }
        let entries = self.list(list).await?.map(|(_, entries)| entries).unwrap_or_default();
        let named: HashSet<String> = entries.into_iter().map(|(_, digest)| digest).collect();
        self.lists.insert(list.to_owned(), named.clone());
        Ok(named)
    }

    /// Reads a list: the hop's header, and each piece's key and digest.
    async fn list(&self, name: &str) -> Result<Option<(Value, Vec<(String, String)>)>, LakeError> {
        let Some(bytes) = self.read(name).await? else { return Ok(None) };
        let read = || {
            let text = std::str::from_utf8(&bytes).ok()?;
            let (list, seal) = text.trim_end().rsplit_once('\n')?;
            if seal != hex::encode(Sha256::digest(list)) {
                return None;
            }
            let list: Value = serde_json::from_str(list).ok()?;
            let entry = |piece: &Value| {
                let digest = piece["sha256"].as_str().filter(|digest| digest.bytes().all(|b| b.is_ascii_hexdigit()))?;
                Some((piece["key"].as_str()?.to_owned(), digest.to_owned()))
            };
            let entries = list["pieces"].as_array()?.iter().map(entry).collect::<Option<Vec<_>>>()?;
            Some((list["head"].clone(), entries))
        };
        read().map(Some).ok_or_else(|| LakeError::State { path: format!("{}/{name}", self.path) })
    }

    async fn read(&self, file: &str) -> Result<Option<Bytes>, LakeError> {
        let failed = || StoreError::object("read state", format!("{}/{file}", self.folder.name.trim_end_matches('/')));
        match self.folder.store().get(&Path::from(file)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            other => Ok(Some(other.map_err(failed())?.bytes().await.map_err(failed())?)),
        }
    }
}

/// The name of the state at these positions.
fn name(positions: &Positions) -> String {
    let mut digest = Sha256::new();
    for (lane, position) in positions.iter() {
        digest.update((lane.len() as u64).to_le_bytes());
        digest.update(lane.as_bytes());
        digest.update(position.to_le_bytes());
    }
    hex::encode(&digest.finalize()[..16])
}

/// Writes files into a folder, each atomically, and syncs them and their names.
fn put_local(folder: &std::path::Path, files: Vec<(String, Bytes)>) -> Result<(), LakeError> {
    if files.is_empty() {
        return Ok(());
    }
    if !folder.exists() {
        create_folder(folder)?;
        // The parent folders may be new, too.
        for parent in folder.ancestors().skip(1).take(4) {
            sync_folder(parent)?;
        }
    }
    for (name, bytes) in files {
        let (draft, path) = (folder.join(format!(".{}.tmp", new_id())), folder.join(name));
        let put = File::create_new(&draft).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        });
        if let Err(error) = put {
            // A temporary file that remains is harmless.
            let _ = fs::remove_file(&draft);
            return Err(StoreError::io("save state", &path)(error).into());
        }
    }
    Ok(sync_folder(folder)?)
}
