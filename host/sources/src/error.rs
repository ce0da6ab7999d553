//! Why a source stopped.

use std::io;

use chrono::{DateTime, Utc};
use thiserror::Error;

use sluicebox_core::fault::{Fault, Remedy, in_one_line};
use sluicebox_core::redact::redact;
use sluicebox_formats::FormatError;

/// What a library says, without the credentials of the URLs in it.
#[derive(Debug)]
pub struct Redacted(String);

impl std::fmt::Display for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Redacted {}

impl Redacted {
    /// All that an error says.
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        Self(redact(&in_one_line(error)))
    }
}

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
        source: Redacted,
    },
    /// There is more in the folder than the source may look at.
    #[error("source `{name}`: {path} has more than {most} files and folders")]
    TooMany {
        /// The source.
        name: String,
        /// The folder.
        path: String,
        /// How many may be looked at.
        most: u64,
    },
    /// The location is neither a folder nor a known URL.
    #[error("source `{name}`: {path} is not a place that can be read")]
    Place {
        /// The source.
        name: String,
        /// As written, without credentials.
        path: String,
        /// Why.
        #[source]
        source: Redacted,
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
    /// No file has rows to infer columns from.
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
    /// A file was exchanged or written to after it was read to its end.
    #[error("source `{name}`: {file} is not what it was when it was read to its end: it was written to since")]
    Rewritten {
        /// The source.
        name: String,
        /// The file.
        file: String,
    },
    /// A file was written to after a part of it was read.
    #[error("source `{name}`: {file} was written to after its first {records} records were read")]
    ChangedWithin {
        /// The source.
        name: String,
        /// The file.
        file: String,
        /// Records that were read before.
        records: u64,
    },
    /// A file that Capture did not write.
    #[error("source `{name}`: {file} has no column `{column}`, so it is not a captured file")]
    NotCaptured {
        /// The source.
        name: String,
        /// The file.
        file: String,
        /// The column that every captured file has.
        column: &'static str,
    },
    /// A path that does not match the layout.
    #[error("source `{name}`: the path of {file} is not of the layout that is declared")]
    Layout {
        /// The source.
        name: String,
        /// The file.
        file: String,
    },
    /// Two hubs with one name, whose events have the same sequence numbers.
    #[error("source `{name}`: {file} is of another hub `{hub}` than the files before it")]
    TwoHubs {
        /// The source.
        name: String,
        /// Its name.
        hub: String,
        /// The file.
        file: String,
    },
    /// A hub was made anew: its numbers begin again.
    #[error(
        "source `{name}`: the sequence numbers of {lane} begin again: {file} has number {first}, enqueued at {}{}",
        .enqueued.format("%Y-%m-%d %H:%M:%S"),
        .taken.map(|taken| format!(", and number {taken} was taken before that")).unwrap_or_default()
    )]
    BegunAgain {
        /// The source.
        name: String,
        /// The partition.
        lane: String,
        /// The first file of the new hub.
        file: String,
        /// The number of an event in it.
        first: i64,
        /// When that was taken by the hub.
        enqueued: DateTime<Utc>,
        /// The number of the last event that the tables have.
        taken: Option<i64>,
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
    /// A secret is missing.
    #[error("source `{name}`: there is no secret at `{secret}`: {why}")]
    NoSecret {
        /// The source.
        name: String,
        /// Where it was looked for.
        secret: String,
        /// Why it is not there.
        why: String,
    },
    /// A schema registry does not answer.
    #[error("source `{name}`: the schema registry at {url} does not answer: {reason}")]
    Registry {
        /// The source.
        name: String,
        /// Where it was looked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server at this address is not a schema registry.
    #[error("source `{name}`: what answers at {url} is no schema registry: {reason}")]
    NoRegistry {
        /// The source.
        name: String,
        /// Where it was looked for.
        url: String,
        /// What it said.
        reason: String,
    },
    /// A schema registry denies access.
    #[error("source `{name}`: the schema registry at {url} refuses: {reason}")]
    RegistryRefused {
        /// The source.
        name: String,
        /// Where it is.
        url: String,
        /// What it said.
        reason: String,
    },
    /// A certificate is missing.
    #[error("source `{name}`: there is no certificate at {path}")]
    NoCertificate {
        /// The source.
        name: String,
        /// Where it was looked for.
        path: String,
    },
    /// The settings contradict each other.
    #[error("source `{name}`: its settings do not go together: {reason}")]
    Settings {
        /// The source.
        name: String,
        /// The client's words.
        reason: String,
    },
    /// No broker answers.
    #[error("source `{name}`: no broker answers at {brokers}: {reason}")]
    Unreachable {
        /// The source.
        name: String,
        /// Where they were looked for.
        brokers: String,
        /// The client's words.
        reason: String,
    },
    /// A broker denies access.
    #[error("source `{name}`: the broker refuses: {reason}")]
    Refused {
        /// The source.
        name: String,
        /// The client's words.
        reason: String,
    },
    /// No token for the broker can be had.
    #[error("source `{name}`: there is no token to show to the broker: {reason}")]
    NoToken {
        /// The source.
        name: String,
        /// Why.
        reason: String,
    },
    /// No encrypted connection to a broker can be made.
    #[error("source `{name}`: no encrypted connection to the broker: {reason}")]
    Tls {
        /// The source.
        name: String,
        /// The client's words.
        reason: String,
    },
    /// A topic does not exist.
    #[error("source `{name}`: there is no topic `{topic}`")]
    NoTopic {
        /// The source.
        name: String,
        /// The topic.
        topic: String,
        /// The topics that exist.
        known: Vec<String>,
    },
    /// The next messages are no longer kept by the broker.
    #[error(
        "source `{name}`: {lane} goes on at {position}, and the oldest message that is kept is {oldest}: {} are gone",
        .oldest - .position
    )]
    Lost {
        /// The source.
        name: String,
        /// The partition.
        lane: String,
        /// The offset of the next message to read.
        position: i64,
        /// The offset of the oldest one that is kept.
        oldest: i64,
    },
    /// The position in the tables is beyond the end of the partition.
    #[error("source `{name}`: {lane} was taken up to {position}, and the broker has it only up to {end}")]
    Ahead {
        /// The source.
        name: String,
        /// The partition.
        lane: String,
        /// The recorded position: the offset after the last message read.
        position: i64,
        /// The offset after the last message of the partition.
        end: i64,
    },
    /// A message that the tables are said to have is younger than they are.
    #[error(
        "source `{name}`: {lane} was made anew: the message at {offset} is younger than the tables, which have the messages before {position}"
    )]
    MadeAnew {
        /// The source.
        name: String,
        /// The partition.
        lane: String,
        /// The offset after the last message taken.
        position: i64,
        /// The offset of the first message that came after the tables were written.
        offset: i64,
    },
    /// Messages cannot be decoded, whatever they are.
    #[error("source `{name}`: the messages of {lane} cannot be decoded")]
    Message {
        /// The source.
        name: String,
        /// The partition, or the topics.
        lane: String,
        /// Why.
        #[source]
        source: Box<FormatError>,
    },
    /// The client failed.
    #[error("source `{name}`: {reason}")]
    Broker {
        /// The source.
        name: String,
        /// The client's words.
        reason: String,
    },
    /// A message could not be written.
    #[error("`{name}`: a message could not be written: {reason}")]
    Write {
        /// The name of the producer.
        name: String,
        /// The client's words.
        reason: String,
    },
}

impl SourceError {
    /// Whether it is one file that this program's user may not read.
    pub(crate) fn is_forbidden(&self) -> bool {
        let SourceError::File { source, .. } = self else { return false };
        matches!(&**source, FormatError::Open(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether what the pipeline file names is not there or is something else, so that the file
    /// has to be mended, or the folder made.
    pub fn is_misnamed(&self) -> bool {
        matches!(
            self,
            Self::NoFolder { .. }
                | Self::NotAFolder { .. }
                | Self::Place { .. }
                | Self::Glob { .. }
                | Self::TooMany { .. }
                | Self::NothingToInfer { .. }
                | Self::NoSecret { .. }
                | Self::NoCertificate { .. }
                | Self::Settings { .. }
        )
    }
}

impl Fault for SourceError {
    fn remedy(&self) -> Remedy {
        match self {
            SourceError::ListStore { .. }
            | SourceError::Unreachable { .. }
            | SourceError::Registry { .. }
            | SourceError::Broker { .. }
            | SourceError::Write { .. } => Remedy::Retry,
            SourceError::File { source, .. } | SourceError::Message { source, .. } => source.remedy(),
            _ => Remedy::Stop,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            SourceError::NoFolder { .. } => {
                "create it, or correct `path`; a relative one starts at the pipeline file's folder"
            }
            SourceError::NotAFolder { .. } => "name the folder in `path` and the file in `glob`",
            SourceError::TooMany { .. } => {
                "name a smaller folder in `path`, or let the source look at more with `max_files`"
            }
            SourceError::Changed { .. } | SourceError::Rewritten { .. } => {
                "what changed would be lost: give new content a new file name, or set `changed_files = \"ignore\"`"
            }
            SourceError::ChangedWithin { .. } => {
                "if those records are still the same, as in a file that was cut off and is whole now, run once with `changed_files = \"ignore\"`; else give the new content a new file name"
            }
            SourceError::NotCaptured { .. } => "name the folder that Event Hubs Capture writes to in `path`",
            SourceError::Layout { .. } => {
                "correct `layout`; it is the name format of the capture settings, from the folder `path` on"
            }
            SourceError::TwoHubs { .. } => "name the folder of one namespace in `path`",
            SourceError::NothingToInfer { .. } => "declare the columns, or check `glob`",
            SourceError::File { source, .. } | SourceError::Message { source, .. } => return source.hint(),
            SourceError::NoSecret { .. } => "set it where sluice runs; the pipeline file only says where it is",
            SourceError::NoCertificate { .. } => "correct `ca`; a relative path starts at the pipeline file's folder",
            SourceError::Unreachable { .. } => {
                "check the address and the way there; a broker with encryption needs `security`"
            }
            SourceError::Refused { .. } => {
                "check the name and the password, the connection string, or what issues the token; a connection string with an `EntityPath` is for that hub alone"
            }
            SourceError::Registry { .. } => {
                "check `registry` of `avro`, and the way there; no message is lost, since they stay with the broker until they are decoded"
            }
            SourceError::NoRegistry { .. } => {
                "`registry` is the address to which `/schemas/ids/1` is added; some registries have a path there, such as `/apis/ccompat/v7`"
            }
            SourceError::RegistryRefused { .. } => "check `user` and `password` of `avro`",
            SourceError::NoToken { .. } => {
                "check `token_url`, `client_id` and `client_secret`, or what renews the file that `token` names"
            }
            SourceError::Tls { .. } => {
                "if the broker's certificate is of an authority of your own, name that in `ca`; a plain listener takes no encryption"
            }
            SourceError::NoTopic { topic, known, .. } => {
                let near = known.iter().find(|known| strsim::jaro_winkler(known, topic) > 0.85);
                return Some(match (near, known.as_slice()) {
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    (None, []) => "the broker shows no topic to this client".to_owned(),
                    (None, known) => format!("topics are {}", known.join(", ")),
                });
            }
            SourceError::Lost { .. } => {
                "the broker keeps messages for a shorter time than this pipeline was away; set `on_lost = \"earliest\"` to go on without them"
            }
            SourceError::Write { .. } => {
                "check the address, and whether what is there takes messages of this kind and size"
            }
            SourceError::Ahead { .. } | SourceError::BegunAgain { .. } => {
                "if it was deleted and made anew, set `reset = 1` in the source, or one more than it is: the new one's messages are then lanes of their own, read from their beginning"
            }
            SourceError::MadeAnew { .. } => {
                "set `reset = 1` in the source, or one more than it is: the new one's messages are then lanes of their own, read from their beginning"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
