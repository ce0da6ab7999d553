//! What can be wrong with a file as a whole.

use std::fmt;
use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;
use thiserror::Error;

use super::Binary;
use sluicebox_core::fault::{Fault, Remedy};

/// What is wrong with a file as a whole. Who calls knows the file's name and adds it.
#[derive(Debug, Error)]
pub enum FormatError {
    /// It cannot be opened.
    #[error("cannot open it")]
    Open(#[source] io::Error),
    /// It is not what was listed, and its format has its index at the end.
    #[error("it had {listed} bytes when the folder was listed and has {found} now")]
    Resized {
        /// Bytes then.
        listed: u64,
        /// Bytes now.
        found: u64,
    },
    /// Reading failed on the way.
    #[error("cannot read on after {done} records")]
    Read {
        /// Records that were read before.
        done: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The object store refused.
    #[error("cannot read it from the object store")]
    Store(#[from] object_store::Error),
    /// It is read as text and is none.
    #[error("it is not text: {kind}")]
    NotText {
        /// What it begins like.
        kind: Binary,
    },
    /// A name stands twice in the header.
    #[error("its header names the column `{name}` twice (names differ at most in case)")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// Two columns have names that no table tells apart.
    #[error("its columns `{one}` and `{other}` have names that differ in case alone")]
    Twins {
        /// The first, with what is above it.
        one: String,
        /// The other.
        other: String,
    },
    /// Not one declared column is in the header.
    #[error("its header has none of the declared columns; it reads `{header}`")]
    ForeignHeader {
        /// The first line.
        header: String,
    },
    /// The header itself is not readable.
    #[error("its header cannot be read: {problem}")]
    Header {
        /// What is wrong with it.
        problem: String,
    },
    /// A column's type is one that this format is not read into.
    #[error("column `{column}`: {kind} cannot be read from this format")]
    UnsupportedType {
        /// The column.
        column: String,
        /// The type.
        kind: String,
    },
    /// No value of the file's type can become the declared one.
    #[error("column `{column}`: the file's {from} cannot become the declared {to}")]
    Cast {
        /// The column.
        column: String,
        /// The type in the file.
        from: String,
        /// The declared type.
        to: String,
        /// Why.
        #[source]
        source: ArrowError,
    },
    /// Parquet could not be decoded.
    #[error("it is not readable Parquet after {done} rows")]
    Parquet {
        /// Rows that were read before.
        done: u64,
        /// Why.
        #[source]
        source: ArrowError,
    },
    /// Avro could not be decoded.
    #[error("it is not readable Avro after {done} records")]
    Avro {
        /// Records that were read before.
        done: u64,
        /// Why.
        #[source]
        source: ArrowError,
    },
    /// The file with the schema of Avro messages cannot be read.
    #[error("cannot read the schema {}", path.display())]
    SchemaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The schema that Avro messages are said to be written with is none, or of no use.
    #[error("the schema {} cannot be used: {problem}", path.display())]
    AvroSchema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An Avro file held another number of records than its blocks announced.
    #[error("its blocks announce {announced} records, but {read} could be read")]
    AvroCount {
        /// By the blocks' own counts.
        announced: u64,
        /// Decoded.
        read: u64,
    },
    /// A decoder met bytes that it cannot cope with.
    #[error("its decoder failed after {done} records: {message}")]
    Decoder {
        /// Records that were read before.
        done: u64,
        /// Its last words.
        message: String,
    },
    /// Columns of one file could not be put together.
    #[error("its columns do not make rows")]
    Rows(#[source] ArrowError),
    /// A field of a JSON file is an object or a list in one record and something else in another.
    #[error("its columns cannot be inferred: on line {line} the field `{field}` is of another kind than before")]
    Infer {
        /// The first line that does not go with those before it, from 1.
        line: u64,
        /// The field, with what is above it.
        field: String,
    },
    /// There are more columns than anybody could mean.
    #[error("it has more than {most} columns")]
    Columns {
        /// How many there may be.
        most: usize,
    },
    /// A column's type is one that nothing could be read into.
    #[error("its column `{column}` {problem}")]
    Type {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is compressed in a way that is not read.
    #[error("it is compressed with {codec}, which is not read")]
    Codec {
        /// The file's own name for it.
        codec: String,
    },
    /// It wants more memory than a file gets.
    #[error("{part} has {bytes} bytes, and no more than {most} are read")]
    TooLarge {
        /// A part of the file.
        part: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// A file of JSON lines is laid out in another way.
    #[error("it {laid} and not one object a line")]
    NotLines {
        /// How.
        laid: Laid,
    },
    /// A JSON document cannot be told apart into its values.
    #[error("line {line} is not JSON from `{text}` on")]
    NotJson {
        /// The line, from 1.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// A JSON document has nothing where its records should be.
    #[error("the document that ends on line {line} has nothing at `{path}`")]
    NoPath {
        /// The line, from 1.
        line: u64,
        /// Keys with points between them.
        path: String,
    },
    /// Writing rows out failed.
    #[error("cannot write the rows")]
    Write(#[source] io::Error),
    /// A file got shorter than what was already read of it.
    #[error("it has {found} records, but {expected} of it are already in the table")]
    Shorter {
        /// Records in the file.
        found: u64,
        /// Records taken before.
        expected: u64,
    },
}

/// How a JSON file is laid out that does not hold one object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Laid {
    /// As one array.
    Array,
    /// Each object over several lines.
    Spread {
        /// As many as the first.
        lines: usize,
    },
}

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array => f.write_str("holds a JSON array"),
            Self::Spread { lines } => write!(f, "holds JSON objects over several lines (the first over {lines})"),
        }
    }
}

impl Fault for FormatError {
    fn remedy(&self) -> Remedy {
        match self {
            FormatError::Store(error) if !matches!(error, object_store::Error::NotFound { .. }) => Remedy::Retry,
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            FormatError::Open(error) if error.kind() == io::ErrorKind::NotFound => {
                "it was there when the folder was listed; was it moved away meanwhile?"
            }
            FormatError::Open(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "let this program's user read it"
            }
            FormatError::Resized { .. } => {
                "is it still being written? Write it under a name that ends in `.part`, and rename it when it is whole"
            }
            FormatError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                "it ends in the middle: was it still being written or copied? Its rows so far may be in the table; put the whole file in its place and run again"
            }
            FormatError::Read { .. } => {
                "if it is compressed, check that `compression` fits and that the archive is whole"
            }
            FormatError::SchemaFile { .. } => {
                "correct `schema` of `avro`; a relative path starts at the pipeline file's folder"
            }
            FormatError::AvroSchema { .. } => {
                "it must be the schema of a record that has the declared columns; `columns` says which fields become which types"
            }
            FormatError::NotText { kind } => kind.hint(),
            FormatError::DuplicateColumn { .. } => "rename one of them, or read the file without its header",
            FormatError::Twins { .. } => "no Delta table holds both: have one of them renamed in the file",
            FormatError::Columns { .. } => {
                "check `delimiter` and `header`; if it is a matrix, land it as rows of a key, a column's name and a value"
            }
            FormatError::ForeignHeader { .. } => {
                "check `delimiter` and `encoding`; for a CSV file without a header set `header = false`"
            }
            FormatError::UnsupportedType { .. } => "declare it as `string`",
            FormatError::Cast { .. } => "declare the column as the file has it, and change its type in a module",
            FormatError::Decoder { .. } => "the file is damaged, or uses something that is not supported yet",
            FormatError::Infer { .. } => {
                "declare `columns`: one of type `string` takes any value, an object as its JSON text"
            }
            FormatError::Type { .. } => "have the file written with another schema, or leave it out with `glob`",
            FormatError::Codec { .. } => "have the file written with another codec, such as zstd or gzip",
            FormatError::TooLarge { .. } => "have the file written in smaller parts",
            FormatError::NotLines { .. } => {
                "set `format = \"json\"`, which reads arrays and objects however they are laid out"
            }
            FormatError::NotJson { .. } => {
                "correct the file and run again: where a record begins after it cannot be told"
            }
            FormatError::NoPath { .. } => "correct `path` of `json`, or leave the file out with `glob`",
            FormatError::Shorter { .. } => {
                "the file was changed while it was being landed; give the new content a new name"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
