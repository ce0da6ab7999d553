//! The settings of librdkafka.

use rdkafka::ClientConfig;

use crate::{SourceError, secret};
use sluicebox_core::plan::{KafkaConnection, KafkaSpec, Mechanism, Sasl};

/// Idle connections are closed before Azure's load balancer drops them silently.
const AZURE_IDLE_MS: &str = "180000";

/// How long a reader may go without polling before the group removes it.
pub(super) const MAX_POLL_MS: u32 = 300_000;

/// Settings of readers and writers.
pub(super) fn connection(name: &str, to: &KafkaConnection) -> Result<ClientConfig, SourceError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &to.brokers)
        .set("client.id", "sluicebox")
        .set("socket.keepalive.enable", "true")
        .set("log.connection.close", "false")
        .set("reconnect.backoff.max.ms", "2000");
    if to.event_hubs {
        config
            .set("connections.max.idle.ms", AZURE_IDLE_MS)
            .set("metadata.max.age.ms", AZURE_IDLE_MS)
            .set("topic.metadata.refresh.interval.ms", AZURE_IDLE_MS);
    }
    let security = &to.security;
    config.set(
        "security.protocol",
        match (security.tls, security.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        },
    );
    if let Some(ca) = &security.ca {
        if !ca.is_file() {
            return Err(SourceError::NoCertificate { name: name.to_owned(), path: ca.display().to_string() });
        }
        config.set("ssl.ca.location", ca.display().to_string());
    }
    match &security.sasl {
        None => {}
        Some(Sasl::Password { mechanism, user, password }) => {
            let mechanism = match mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            config
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", user)
                .set("sasl.password", secret::reveal(name, password)?);
        }
        Some(Sasl::Token(_)) => {
            config.set("sasl.mechanism", "OAUTHBEARER");
        }
    }
    Ok(config)
}

/// Settings of a reader. With `follow`, the end of a partition is not reported.
pub(super) fn consumer(name: &str, spec: &KafkaSpec, follow: bool) -> Result<ClientConfig, SourceError> {
    let mut config = connection(name, &spec.connection)?;
    let session = u32::try_from(spec.session_timeout.as_millis()).unwrap_or(MAX_POLL_MS);
    config
        // Without a group, none is joined and nothing is committed; librdkafka requires a name.
        .set("group.id", spec.group.as_deref().unwrap_or("sluicebox"))
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.to_string())
        .set("heartbeat.interval.ms", (session / 10).clamp(100, 3_000).to_string())
        .set("max.poll.interval.ms", MAX_POLL_MS.to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Lost messages must not be skipped silently.
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("enable.partition.eof", if follow { "false" } else { "true" })
        .set("queued.max.messages.kbytes", (spec.max_in_flight / 1024).max(1).to_string())
        // A larger queue takes more memory, and the reader is never that far ahead.
        .set("queued.min.messages", "50000")
        // The default is a second, in which a fast reader has emptied the queue.
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.wait.max.ms", "100");
    Ok(config)
}
