//! What is read from a broker while others write to it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};

use super::{CaptureFiles, MessageFormat};

/// Topics of Kafka, or hubs of Event Hubs, whose partitions are lanes.
#[derive(Clone, Debug)]
pub struct KafkaSpec {
    /// Where the brokers are and how they are spoken to.
    pub connection: KafkaConnection,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group whose members share the partitions of a run that goes on; without
    /// it such a run takes all of them.
    pub group: Option<String>,
    /// How long the group waits for a member that says nothing.
    pub session_timeout: Duration,
    /// Where a partition begins that no table knows.
    pub start: StreamStart,
    /// What to do when the place to go on from is no longer kept.
    pub on_lost: OnLost,
    /// How the body of a message is decoded.
    pub format: MessageFormat,
    /// The columns of the body.
    pub columns: SchemaRef,
    /// Whether each row keeps the body as it came.
    pub raw: bool,
    /// Bytes that may be fetched ahead.
    pub max_in_flight: u64,
    /// Captured files that are read before the hub itself, whose lanes are the same.
    pub capture: Option<Box<CaptureFiles>>,
}

/// Brokers and how they are spoken to.
#[derive(Clone, Debug)]
pub struct KafkaConnection {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// Whether what they are is Event Hubs, which wants settings of its own.
    pub event_hubs: bool,
    /// Whether and how connections are encrypted and who is who.
    pub security: Security,
}

/// Whether and how connections are encrypted, and who is who.
#[derive(Clone, Debug)]
pub struct Security {
    /// Whether the broker proves who it is, and nobody reads along.
    pub tls: bool,
    /// The authority that vouches for the broker, as a PEM file; without it those that the
    /// system trusts.
    pub ca: Option<PathBuf>,
    /// Who the reader is.
    pub sasl: Option<Sasl>,
}

/// Who a reader is.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// By name and password.
    Password {
        /// How they are said.
        mechanism: Mechanism,
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a token of an authority that the broker trusts (OAUTHBEARER).
    Token(Token),
}

/// Where a token is to be had, and is had again before it runs out.
#[derive(Clone, Debug)]
pub enum Token {
    /// There, where somebody else renews it.
    Given(Secret),
    /// From an authorization server, for an identity of the program's own (OAuth 2.0 client credentials).
    Issued {
        /// The server's token endpoint.
        url: String,
        /// The identity.
        client_id: String,
        /// What proves it.
        client_secret: Secret,
        /// What it is asked for.
        scope: Option<String>,
    },
}

/// How a name and a password are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// As they are.
    Plain,
    /// As a proof of them, by SHA-256.
    ScramSha256,
    /// As a proof of them, by SHA-512.
    ScramSha512,
}

/// Where a secret is to be had; never the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file, whose last line end does not count.
    File(PathBuf),
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where a partition begins that no table knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamStart {
    /// With the oldest message that is kept.
    Earliest,
    /// With the first message that comes from now on.
    Latest,
    /// With the first message of this time or later.
    At(DateTime<Utc>),
    /// At these offsets of lanes, such as `orders/0`; others with the oldest message that is kept.
    Positions(BTreeMap<String, i64>),
}

/// What to do when the place to go on from is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Stop and say what is missing.
    Stop,
    /// Go on with the oldest message that is kept, and say what is missing.
    Earliest,
}
