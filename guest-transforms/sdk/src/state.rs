//! The state that a job saves for the next one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Result};

/// A job's state: named pieces of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    version: u32,
    entries: BTreeMap<String, Vec<u8>>,
}

impl State {
    pub(crate) fn new(version: u32) -> Self {
        Self { version, entries: BTreeMap::new() }
    }

    /// The version under which it was saved, as in [`Descriptor::stateful`](crate::Descriptor::stateful).
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Saves a piece, replacing an earlier one with that key.
    pub fn put(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.entries.insert(key.to_owned(), value.into());
    }

    /// A piece, if it was saved.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// Every piece, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// Saves a value as JSON.
    pub fn put_json(&mut self, key: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(value)
            .map_err(|error| Failure::state(format!("{key:?} cannot be saved as JSON: {error}")))?;
        self.put(key, text);
        Ok(())
    }

    /// A value that was saved as JSON.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.get(key)
            .map(|text| {
                serde_json::from_slice(text)
                    .map_err(|error| Failure::state(format!("{key:?} cannot be restored from JSON: {error}")))
            })
            .transpose()
    }
}
