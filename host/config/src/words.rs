//! The words that stand for a choice, as the file writes them.

use sluicebox_core::plan::{ChangedFiles, Compression, Dataset, Drift, Encoding, Gaps, Layer, OnLost, Otherwise};

/// A choice that the file writes as a word.
pub(super) trait Word: Copy + 'static {
    /// Each word with what it stands for.
    const ALL: &'static [(&'static str, Self)];
}

/// Every word of a choice.
pub(super) fn names<T: Word>() -> Vec<&'static str> {
    T::ALL.iter().map(|(name, _)| *name).collect()
}

/// What the word stands for.
pub(super) fn find<T: Word>(word: &str) -> Option<T> {
    T::ALL.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// The word of a value.
pub(super) fn name<T: Word + PartialEq>(value: T) -> &'static str {
    T::ALL.iter().find(|(_, candidate)| *candidate == value).map_or("?", |(name, _)| name)
}

/// The format of a file, before its settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatName {
    Csv,
    JsonLines,
    Parquet,
    Avro,
}

/// The format of a message, before its settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageName {
    Json,
    Csv,
    Avro,
    Bytes,
}

/// How a broker is spoken to, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

/// How a reader says who it is, before what that takes is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MechanismName {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

/// The mode of a table, before its columns are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModeName {
    Append,
    Upsert,
    Accumulate,
    Overwrite,
    Replace,
}

impl Word for FormatName {
    const ALL: &'static [(&'static str, Self)] =
        &[("csv", Self::Csv), ("jsonl", Self::JsonLines), ("parquet", Self::Parquet), ("avro", Self::Avro)];
}

impl Word for MessageName {
    const ALL: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("csv", Self::Csv), ("avro", Self::Avro), ("bytes", Self::Bytes)];
}

impl Word for Protocol {
    const ALL: &'static [(&'static str, Self)] = &[
        ("plaintext", Self::Plaintext),
        ("ssl", Self::Ssl),
        ("sasl_plaintext", Self::SaslPlaintext),
        ("sasl_ssl", Self::SaslSsl),
    ];
}

impl Word for MechanismName {
    const ALL: &'static [(&'static str, Self)] = &[
        ("plain", Self::Plain),
        ("scram-sha-256", Self::ScramSha256),
        ("scram-sha-512", Self::ScramSha512),
        ("oauthbearer", Self::OauthBearer),
    ];
}

impl Word for Gaps {
    const ALL: &'static [(&'static str, Self)] = &[("wait", Self::Wait), ("skip", Self::Skip)];
}

impl Word for OnLost {
    const ALL: &'static [(&'static str, Self)] = &[("stop", Self::Stop), ("earliest", Self::Earliest)];
}

impl Word for ModeName {
    const ALL: &'static [(&'static str, Self)] = &[
        ("append", Self::Append),
        ("upsert", Self::Upsert),
        ("accumulate", Self::Accumulate),
        ("overwrite", Self::Overwrite),
        ("replace", Self::Replace),
    ];
}

impl Word for Layer {
    const ALL: &'static [(&'static str, Self)] =
        &[("bronze", Self::Bronze), ("silver", Self::Silver), ("gold", Self::Gold)];
}

impl Word for Compression {
    const ALL: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("none", Self::None), ("gzip", Self::Gzip), ("zstd", Self::Zstd)];
}

impl Word for ChangedFiles {
    const ALL: &'static [(&'static str, Self)] = &[("stop", Self::Stop), ("ignore", Self::Ignore)];
}

impl Word for Encoding {
    const ALL: &'static [(&'static str, Self)] =
        &[("utf-8", Self::Utf8), ("latin-1", Self::Latin1), ("windows-1252", Self::Windows1252)];
}

impl Word for Dataset {
    const ALL: &'static [(&'static str, Self)] = &[
        ("customers", Self::Customers),
        ("products", Self::Products),
        ("orders", Self::Orders),
        ("order-events", Self::OrderEvents),
        ("reviews", Self::Reviews),
        ("app-events", Self::AppEvents),
    ];
}

impl Word for Otherwise {
    const ALL: &'static [(&'static str, Self)] =
        &[("warn", Self::Warn), ("reject", Self::Reject), ("stop", Self::Stop)];
}

impl Word for Drift {
    const ALL: &'static [(&'static str, Self)] = &[
        ("evolve", Self::Evolve),
        ("freeze", Self::Freeze),
        ("reject_row", Self::RejectRow),
        ("null_value", Self::NullValue),
    ];
}
