//! The provenance of a commit, as in `commitInfo`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use sluicebox_core::batch::Positions;

/// The most lanes listed in `commitInfo`; the `txn` actions have them all.
const MOST_LANES: usize = 100;

/// The provenance of a commit.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The hop.
    pub hop: String,
    /// The pipeline.
    pub pipeline: String,
    /// SHA-256 of the pipeline file, lower-case hex.
    pub config_hash: String,
    /// The module's name and SHA-256 digest, if there is one.
    pub module: Option<(String, String)>,
    /// The version of the contract that the module was built against.
    pub contract: Option<String>,
    /// The versions of the lookup tables, by table.
    pub lookups: Positions,
    /// The path of the module's state after these rows, from the lake's root.
    pub state: Option<String>,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written to tables.
    pub rows_out: u64,
    /// Rejected rows.
    pub rows_rejected: u64,
}

impl Provenance {
    /// The fields of `commitInfo`. `id` is unique to this commit.
    pub(super) fn into_info(self, id: &str, positions: &Positions) -> HashMap<String, Value> {
        let lanes: Map<String, Value> =
            positions.iter().take(MOST_LANES).map(|(lane, position)| (lane.to_string(), json!(position))).collect();
        let mut info = Map::new();
        info.insert("commit".to_owned(), json!(id));
        info.insert("pipeline".to_owned(), json!(self.pipeline));
        info.insert("hop".to_owned(), json!(self.hop));
        info.insert("configHash".to_owned(), json!(self.config_hash));
        if let Some((name, digest)) = self.module {
            info.insert("module".to_owned(), json!({ "name": name, "digest": digest }));
        }
        if let Some(contract) = self.contract {
            info.insert("contract".to_owned(), json!(contract));
        }
        if !self.lookups.is_empty() {
            let lookups: Map<String, Value> =
                self.lookups.iter().map(|(table, version)| (table.to_string(), json!(version))).collect();
            info.insert("lookups".to_owned(), Value::Object(lookups));
        }
        if let Some(state) = self.state {
            info.insert("state".to_owned(), json!(state));
        }
        info.insert("rowsIn".to_owned(), json!(self.rows_in));
        info.insert("rowsOut".to_owned(), json!(self.rows_out));
        info.insert("rowsRejected".to_owned(), json!(self.rows_rejected));
        info.insert("positions".to_owned(), Value::Object(lanes));
        info.insert("lanes".to_owned(), json!(positions.iter().count()));
        HashMap::from([("sluicebox".to_owned(), Value::Object(info))])
    }
}
