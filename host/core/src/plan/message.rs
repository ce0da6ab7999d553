//! The encoding of message bodies.

use std::path::PathBuf;

use super::{CsvFormat, Secret};

/// The encoding of message bodies.
#[derive(Clone, Debug)]
pub enum MessageFormat {
    /// One JSON object.
    Json,
    /// One record of delimited text.
    Csv(CsvFormat),
    /// One Avro record.
    Avro(AvroSchemas),
    /// Not decoded: one column, `value`.
    Bytes,
}

/// Where the writer schemas of Avro bodies are.
#[derive(Clone, Debug)]
pub enum AvroSchemas {
    /// In this file, one for all: a body is a bare record.
    File(PathBuf),
    /// In a registry: a body begins with a zero byte and the four bytes of its schema id.
    Registry(Registry),
}

/// A Confluent schema registry.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its address, to which `/schemas/ids/7` is added.
    pub url: String,
    /// The user name, and where the password is.
    pub user: Option<(String, Secret)>,
    /// The certificate authority, as a PEM file, in addition to those of the system.
    pub ca: Option<PathBuf>,
}
