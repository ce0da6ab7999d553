//! Names of tables in a lake, and their errors.

use std::fmt;

use thiserror::Error;

use crate::error::ErrorKind;
use sluicebox_core::fault::{Fault, Remedy};
use sluicebox_core::plan::{Layer, TableName, TableSpec, WriteMode};
use sluicebox_delta::Table;
use sluicebox_lake::{Lake, LakeError};

/// The word used as a layer for quarantine tables.
const QUARANTINE: &str = "quarantine";

const LAYERS: [Layer; 3] = [Layer::Bronze, Layer::Silver, Layer::Gold];

/// A table of a lake. It is written as `gold.sales` or `quarantine.clean`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableRef {
    /// A table of a layer.
    Layer(TableName),
    /// The quarantine of a hop.
    Quarantine(String),
}

/// A table or a lake could not be read or maintained.
#[derive(Debug, Error)]
pub enum TableError {
    /// The word is not a layer.
    #[error("`{layer}` is not a layer")]
    NotALayer {
        /// The word.
        layer: String,
    },
    /// The text does not name a table.
    #[error("`{text}` names no table")]
    NotATable {
        /// The text.
        text: String,
    },
    /// The lake is empty, which is rarely intended.
    #[error("{lake} holds no tables")]
    NoTables {
        /// The lake's location as requested.
        lake: String,
    },
    /// The layer is empty.
    #[error("{lake} has no table in {}", layer.as_str())]
    EmptyLayer {
        /// The lake's location as requested.
        lake: String,
        /// The layer.
        layer: Layer,
    },
    /// The lake has no such table.
    #[error("there is no table `{table}` in {lake}")]
    Unknown {
        /// The table.
        table: String,
        /// The lake's location as requested.
        lake: String,
        /// The tables that it has.
        known: Vec<String>,
    },
    /// The lake or a table could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl TableRef {
    /// Parses `layer.table` or `quarantine.HOP`.
    ///
    /// # Errors
    /// [`TableError::NotATable`].
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let parts = text.split_once('.').and_then(|(layer, name)| Self::listed(layer, name));
        parts.ok_or_else(|| TableError::NotATable { text: text.to_owned() })
    }

    /// The table that [`Lake::tables`] lists with these two names.
    pub(crate) fn listed(layer: &str, name: &str) -> Option<Self> {
        match read_layer(layer) {
            Some(layer) => Some(Self::Layer(TableName { layer, name: name.to_owned() })),
            None => (layer == QUARANTINE).then(|| Self::Quarantine(name.to_owned())),
        }
    }

    /// Opens it for reading, whatever its mode.
    pub(crate) async fn open(&self, lake: &Lake) -> Result<Table, LakeError> {
        match self {
            Self::Layer(name) => lake.table(&TableSpec::new(name.clone(), WriteMode::Append)).await,
            Self::Quarantine(hop) => lake.quarantine(hop).await,
        }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(name) => write!(f, "{name}"),
            Self::Quarantine(hop) => write!(f, "{QUARANTINE}.{hop}"),
        }
    }
}

/// The layer of that name.
pub(crate) fn read_layer(word: &str) -> Option<Layer> {
    LAYERS.into_iter().find(|layer| layer.as_str() == word)
}

/// Every table of a lake, in order.
pub(crate) async fn tables(lake: &Lake) -> Result<Vec<TableRef>, LakeError> {
    let listed = lake.tables().await?;
    Ok(listed.iter().filter_map(|(layer, name)| TableRef::listed(layer, name)).collect())
}

impl TableError {
    /// Whether the request was wrong or the work failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotALayer { .. } | Self::NotATable { .. } | Self::Unknown { .. } => ErrorKind::Usage,
            Self::NoTables { .. } | Self::EmptyLayer { .. } | Self::Lake(_) => ErrorKind::Failure,
        }
    }
}

impl Fault for TableError {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Lake(error) => error.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotALayer { .. } => "write bronze, silver or gold, or a table such as gold.fact_sales".into(),
            Self::NotATable { .. } => "write layer.table, such as gold.fact_sales, or quarantine.HOP".into(),
            Self::NoTables { .. } | Self::EmptyLayer { .. } => {
                "is --lake the folder that `sluice run` wrote to?".into()
            }
            Self::Unknown { known, .. } => format!("its tables: {}", known.join(", ")),
            Self::Lake(error) => return error.hint(),
        };
        Some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_way() {
        for text in ["bronze.orders", "gold.a.b", "quarantine.land"] {
            assert_eq!(TableRef::parse(text).expect("it is a table").to_string(), text);
        }
        for text in ["orders", "copper.orders", "", "Gold.orders"] {
            let error = TableRef::parse(text).expect_err("it is none");
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        }
    }
}
