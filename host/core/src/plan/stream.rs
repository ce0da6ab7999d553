//! The plan of sources that are read from a broker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arrow_schema::SchemaRef;
use chrono::{DateTime, Utc};

use super::{CaptureFiles, MessageFormat, Timestamps};

/// Topics of Kafka, or hubs of Event Hubs, whose partitions are lanes.
#[derive(Clone, Debug)]
pub struct KafkaSpec {
    /// The connection to the brokers.
    pub connection: KafkaConnection,
    /// The topics.
    pub topics: Vec<String>,
    /// The consumer group whose members share the partitions under `--follow`. Without it, a run reads all of them.
    pub group: Option<String>,
    /// The session timeout of the group's members.
    pub session_timeout: Duration,
    /// Where a partition starts that has no position in the tables.
    pub start: StreamStart,
    /// What to do if the next message is no longer kept.
    pub on_lost: OnLost,
    /// How the body of a message is decoded.
    pub format: MessageFormat,
    /// The columns of the body.
    pub columns: SchemaRef,
    /// Whether each row keeps the original body.
    pub raw: bool,
    /// What becomes of times that microseconds do not hold.
    pub timestamps: Timestamps,
    /// Bytes that may be fetched ahead.
    pub max_in_flight: u64,
    /// How often the topics were deleted and made anew: each time their partitions are other lanes.
    pub reset: u32,
    /// Captured files that are read before the hub itself, whose lanes are the same.
    pub capture: Option<Box<CaptureFiles>>,
}

/// The connection to brokers.
#[derive(Clone, Debug)]
pub struct KafkaConnection {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Whether the brokers are Event Hubs, which needs other settings.
    pub event_hubs: bool,
    /// Encryption and authentication.
    pub security: Security,
}

/// Encryption and authentication of connections.
#[derive(Clone, Debug)]
pub struct Security {
    /// Whether connections use TLS.
    pub tls: bool,
    /// The certificate authority of the broker, as a PEM file; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// How the reader authenticates.
    pub sasl: Option<Sasl>,
}

/// How a reader authenticates.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// By user name and password.
    Password {
        /// The SASL mechanism.
        mechanism: Mechanism,
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By a token (OAUTHBEARER).
    Token(Token),
}

/// Where tokens come from; they are renewed before they expire.
#[derive(Clone, Debug)]
pub enum Token {
    /// From this place, where another program renews it.
    Given(Secret),
    /// From an authorization server (OAuth 2.0 client credentials).
    Issued {
        /// The server's token endpoint.
        url: String,
        /// The client id.
        client_id: String,
        /// The client secret.
        client_secret: Secret,
        /// The scope of the token.
        scope: Option<String>,
    },
}

/// How a user name and password are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// In plain text.
    Plain,
    /// As a proof, by SHA-256.
    ScramSha256,
    /// As a proof, by SHA-512.
    ScramSha512,
}

/// Where a secret is; never the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file; a line end at its end is ignored.
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

/// Where a partition starts that has no position in the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamStart {
    /// At the oldest kept message.
    Earliest,
    /// At the first message from now on.
    Latest,
    /// At the first message of this time or later.
    At(DateTime<Utc>),
    /// At these offsets of lanes, such as `orders/0`; other lanes at the oldest kept message.
    Positions(BTreeMap<String, i64>),
}

/// What to do if the next message is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Stop and report how many messages are missing.
    Stop,
    /// Continue with the oldest kept message, with a warning.
    Earliest,
}
