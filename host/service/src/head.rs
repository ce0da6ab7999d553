//! Reads the first rows of tables.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::TryStreamExt;

use crate::table::{TableError, TableRef, read_layer, tables};
use sluicebox_core::plan::{Layer, TableName};
use sluicebox_delta::TableInfo;
use sluicebox_lake::{Lake, LakeError};

/// Which tables to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every table of a layer.
    Layer(Layer),
    /// One table.
    Table(TableName),
}

/// The first rows of one table, with its information.
#[derive(Debug)]
pub struct Head {
    /// The table.
    pub table: TableName,
    /// Its information.
    pub info: TableInfo,
    /// Its columns.
    pub schema: Option<SchemaRef>,
    /// Its first rows, at most as many as requested.
    pub rows: Vec<RecordBatch>,
}

impl Scope {
    /// Parses a layer, such as `gold`, or a table, such as `gold.sales`.
    ///
    /// # Errors
    /// [`TableError::NotALayer`].
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let (layer, table) = match text.split_once('.') {
            Some((layer, table)) => (layer, Some(table)),
            None => (text, None),
        };
        let Some(layer) = read_layer(layer) else { return Err(TableError::NotALayer { layer: layer.to_owned() }) };
        Ok(match table {
            Some(name) => Self::Table(TableName { layer, name: name.to_owned() }),
            None => Self::Layer(layer),
        })
    }
}

/// The tables of a scope, in order; a named table need not exist. `location` is the lake's location as requested.
///
/// # Errors
/// The lake cannot be listed, or the layer has no tables.
pub async fn tables_of(lake: &Lake, location: &str, scope: &Scope) -> Result<Vec<TableName>, TableError> {
    let layer = match scope {
        Scope::Table(table) => return Ok(vec![table.clone()]),
        Scope::Layer(layer) => *layer,
    };
    let named = tables(lake).await?.into_iter().filter_map(|table| match table {
        TableRef::Layer(name) if name.layer == layer => Some(name),
        _ => None,
    });
    let named: Vec<TableName> = named.collect();
    match named.is_empty() {
        true => Err(TableError::EmptyLayer { lake: location.to_owned(), layer }),
        false => Ok(named),
    }
}

/// Reads the first `count` rows of a table.
///
/// # Errors
/// The table does not exist or cannot be read.
pub async fn head(lake: &Lake, table: &TableName, count: usize) -> Result<Head, TableError> {
    let opened = TableRef::Layer(table.clone()).open(lake).await?;
    let info = opened.info().await.map_err(LakeError::from)?;
    let (mut rows, mut left) = (Vec::new(), count);
    let mut batches = opened.scan(None).await.map_err(LakeError::from)?;
    while left > 0 {
        let Some(batch) = batches.try_next().await.map_err(LakeError::from)? else { break };
        let batch = batch.slice(0, left.min(batch.num_rows()));
        left -= batch.num_rows();
        rows.push(batch);
    }
    Ok(Head { table: table.clone(), info, schema: opened.schema(), rows })
}
