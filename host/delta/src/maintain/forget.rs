//! Forgetting a reader that does not come back, so that it holds nothing.

use chrono::Utc;
use deltalake::kernel::Transaction;
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};

use crate::entry::{EntryError, write_entry};
use crate::error::DeltaError;
use crate::table::Table;
use sluicebox_core::batch::FORGOTTEN;
use sluicebox_stores::new_id;

/// How often a commit is tried while others are faster.
const ATTEMPTS: u32 = 20;

impl Table {
    /// Records of these applications that they have read everything there will ever be: no upstream keeps anything
    /// for them. Gives the version that says so.
    ///
    /// # Errors
    /// The table cannot be written, or others were faster every time.
    pub async fn forget(&mut self, apps: &[String]) -> Result<u64, DeltaError> {
        let (name, id) = (self.name().to_owned(), new_id());
        for _ in 0..ATTEMPTS {
            self.refresh().await?;
            let before = self.version().ok_or_else(|| DeltaError::NotCreated { table: name.clone() })?;
            let version = before + 1;
            let mut maker = self.maker_before(before).await?;
            maker.insert("commit".to_owned(), json!(id));
            maker.insert("maintenance".to_owned(), json!("forget"));
            let info = [
                ("sluicebox".to_owned(), Value::Object(maker)),
                ("readVersion".to_owned(), json!(before)),
                ("isBlindAppend".to_owned(), json!(true)),
            ];
            let now = Some(Utc::now().timestamp_millis());
            let transactions = apps.iter().map(|app| Transaction::new_with_last_update(app, FORGOTTEN, now)).collect();
            let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
            match write_entry(&self.location, version, Vec::new(), operation, info.into(), transactions).await {
                Ok(()) => {
                    self.refresh().await?;
                    return Ok(version);
                }
                Err(EntryError::Exists) => {}
                Err(EntryError::Failed(error)) => {
                    return if self.is_ours(version, &id).await? { Ok(version) } else { Err(error) };
                }
            }
        }
        Err(DeltaError::Conflict { table: name, attempts: ATTEMPTS })
    }
}
