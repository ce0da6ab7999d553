//! How the body of a message is decoded.

use std::path::PathBuf;

use super::{CsvFormat, Secret};

/// How the body of a message is decoded.
#[derive(Clone, Debug)]
pub enum MessageFormat {
    /// One JSON object.
    Json,
    /// One record of delimited text.
    Csv(CsvFormat),
    /// One Avro record.
    Avro(AvroSchemas),
    /// Not at all: one column, `value`.
    Bytes,
}

/// Where the schemas are that Avro bodies were written with.
#[derive(Clone, Debug)]
pub enum AvroSchemas {
    /// In this file, one for all: a body is a record and nothing else.
    File(PathBuf),
    /// In a registry: a body begins with a zero byte and four of its schema's number there.
    Registry(Registry),
}

/// A schema registry that is spoken to as that of Confluent.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its address, to which `/schemas/ids/7` is added.
    pub url: String,
    /// The name of the reader, and where its password is to be had.
    pub user: Option<(String, Secret)>,
    /// The authority that vouches for it, as a PEM file, besides those that the system trusts.
    pub ca: Option<PathBuf>,
}
