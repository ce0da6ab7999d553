//! The parts of a file, for checking the links between them.

use std::collections::BTreeMap;

use crate::diagnostics::Span;
use crate::hops::HopDraft;
use crate::sources::SourceDraft;
use crate::tables::TableDraft;
use sluicebox_core::plan::TableName;

/// The hop that writes each table, by its index, with its place.
pub(crate) type Writers = BTreeMap<TableName, (usize, Span)>;

/// Everything that the file declares, each part read by itself.
pub(crate) struct Parts {
    pub(crate) sources: Vec<SourceDraft>,
    pub(crate) tables: Vec<TableDraft>,
    pub(crate) hops: Vec<HopDraft>,
}
