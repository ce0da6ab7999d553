//! Reads the rows of one hop's quarantine, with their original bytes.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::error::QuarantineError;
use sluicebox_delta::DeltaError;
use sluicebox_lake::{Lake, LakeError};

/// Rows of one hop's quarantine, batch by batch.
pub struct QuarantineRows {
    hop: String,
    wanted: Option<String>,
    batches: BoxStream<'static, Result<RecordBatch, DeltaError>>,
    /// Reasons of skipped rows.
    other_reasons: BTreeSet<String>,
    matched: bool,
}

/// One row of a quarantine.
#[derive(Clone, Copy, Debug)]
pub struct QuarantineRow<'a> {
    /// The batch, with every column of the quarantine's table.
    pub batch: &'a RecordBatch,
    /// The row's index in it.
    pub index: usize,
}

/// Opens the rows of a hop's quarantine, or those with one reason.
///
/// # Errors
/// The hop has no quarantine, or it cannot be read.
pub async fn rows(lake: &Lake, hop: &str, reason: Option<&str>) -> Result<QuarantineRows, QuarantineError> {
    let table = lake.quarantine(hop).await?;
    if table.version().is_none() {
        return Err(QuarantineError::Nothing { hop: hop.to_owned() });
    }
    Ok(QuarantineRows {
        hop: hop.to_owned(),
        wanted: reason.map(str::to_owned),
        batches: table.scan(None).await.map_err(LakeError::from)?,
        other_reasons: BTreeSet::new(),
        matched: false,
    })
}

impl QuarantineRows {
    /// The next batch, if there is one. It may be empty.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QuarantineError> {
        let Some(rows) = self.batches.try_next().await.map_err(LakeError::from)? else { return Ok(None) };
        let Some(wanted) = &self.wanted else { return Ok(Some(rows)) };
        let mut chosen = Vec::with_capacity(rows.num_rows());
        for row in QuarantineRow::all(&rows) {
            let reason = row.reason();
            chosen.push(reason == *wanted);
            if reason != *wanted {
                self.other_reasons.insert(reason);
            }
        }
        let chosen = filter_record_batch(&rows, &BooleanArray::from(chosen)).map_err(|source| {
            let table = format!("quarantine.{}", self.hop);
            LakeError::from(DeltaError::Arrow { action: "choose rows", table, source: Box::new(source) })
        })?;
        self.matched |= chosen.num_rows() > 0;
        Ok(Some(chosen))
    }

    /// After the last batch: an error if rows with one reason were requested and there was none.
    pub fn unmatched(&self) -> Option<QuarantineError> {
        let reason = self.wanted.clone().filter(|_| !self.matched)?;
        let reasons = self.other_reasons.iter().cloned().collect();
        Some(QuarantineError::NoSuchReason { hop: self.hop.clone(), reason, reasons })
    }
}

impl<'a> QuarantineRow<'a> {
    /// Every row of a batch.
    pub fn all(batch: &'a RecordBatch) -> impl Iterator<Item = Self> {
        (0..batch.num_rows()).map(move |index| Self { batch, index })
    }

    /// The code of its reason.
    pub fn reason(&self) -> String {
        self.text("reason")
    }

    /// The message of its reason.
    pub fn message(&self) -> String {
        self.text("message")
    }

    /// The stage that rejected it: source, module or table.
    pub fn stage(&self) -> String {
        self.text("stage")
    }

    /// Its lane.
    pub fn lane(&self) -> String {
        self.text("lane")
    }

    /// Its position in the lane, if it is known.
    pub fn position(&self) -> Option<i64> {
        self.number("position")
    }

    /// Its line in a text file.
    pub fn line(&self) -> Option<i64> {
        self.number("line")
    }

    /// Its original bytes.
    pub fn payload(&self) -> Option<&'a [u8]> {
        let payloads = self.batch.column_by_name("payload")?.as_binary_opt::<i32>()?;
        payloads.is_valid(self.index).then(|| payloads.value(self.index))
    }

    fn text(&self, name: &str) -> String {
        let texts = self.batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let texts = texts.filter(|texts| texts.is_valid(self.index));
        texts.map(|texts| texts.value(self.index).to_owned()).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<i64> {
        let numbers = self.batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        numbers.is_valid(self.index).then(|| numbers.value(self.index))
    }
}
