//! What can stop a source.

use std::io;

use thiserror::Error;

use crate::fault::{Fault, Remedy};
use crate::format::FormatError;

/// What can stop a source.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The folder does not exist.
    #[error("source `{name}`: the folder {path} does not exist")]
    NoFolder {
        /// The source.
        name: String,
        /// The folder.
        path: String,
    },
    /// The folder is something else.
    #[error("source `{name}`: {path} is not a folder")]
    NotAFolder {
        /// The source.
        name: String,
        /// The path.
        path: String,
    },
    /// The folder cannot be listed.
    #[error("source `{name}`: cannot list {path}")]
    List {
        /// The source.
        name: String,
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The object store cannot be listed.
    #[error("source `{name}`: cannot list {path}")]
    ListStore {
        /// The source.
        name: String,
        /// Its URL.
        path: String,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
    },
    /// The place is neither a folder nor a URL that is understood.
    #[error("source `{name}`: {path} is not a place that can be read")]
    Place {
        /// The source.
        name: String,
        /// As written.
        path: String,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
    },
    /// A glob is not one.
    #[error("source `{name}`: `{glob}` is not a glob")]
    Glob {
        /// The source.
        name: String,
        /// As written.
        glob: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
    /// Nothing to infer columns from.
    #[error("source `{name}`: no file in {path} has rows, so its columns cannot be inferred")]
    NothingToInfer {
        /// The source.
        name: String,
        /// The folder.
        path: String,
    },
    /// A file changed after it was read to its end.
    #[error("source `{name}`: {file} had {before} bytes when it was read to its end and has {after} now")]
    Changed {
        /// The source.
        name: String,
        /// The file.
        file: String,
        /// Bytes then.
        before: u64,
        /// Bytes now.
        after: u64,
    },
    /// A file was written to after a part of it was read.
    #[error("source `{name}`: {file} was written to after its first {records} records were read")]
    ChangedWithin {
        /// The source.
        name: String,
        /// The file.
        file: String,
        /// Records that are in the table.
        records: u64,
    },
    /// A file cannot be read.
    #[error("source `{name}`: cannot read {file}")]
    File {
        /// The source.
        name: String,
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: Box<FormatError>,
    },
}

impl SourceError {
    /// Whether what the pipeline file names is not there or is something else, so that the file
    /// has to be mended, or the folder made.
    pub fn is_misnamed(&self) -> bool {
        matches!(
            self,
            Self::NoFolder { .. }
                | Self::NotAFolder { .. }
                | Self::Place { .. }
                | Self::Glob { .. }
                | Self::NothingToInfer { .. }
        )
    }
}

impl Fault for SourceError {
    fn remedy(&self) -> Remedy {
        match self {
            SourceError::ListStore { .. } => Remedy::Retry,
            SourceError::File { source, .. } => source.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            SourceError::NoFolder { .. } => {
                "create it, or correct `path`; a relative one starts at the pipeline file's folder"
            }
            SourceError::NotAFolder { .. } => "name the folder in `path` and the file in `glob`",
            SourceError::Changed { .. } => {
                "what changed would be lost: give new content a new file name, or set `changed_files = \"ignore\"`"
            }
            SourceError::ChangedWithin { .. } => {
                "if those records are still the same, as in a file that was cut off and is whole now, run once with `changed_files = \"ignore\"`; else give the new content a new file name"
            }
            SourceError::NothingToInfer { .. } => "declare the columns, or check `glob`",
            SourceError::File { source, .. } => return source.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
