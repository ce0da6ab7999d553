//! Writes messages, for simulations and tests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use tokio::runtime::Handle;

use super::settings;
use crate::SourceError;
use sluicebox_core::plan::{KafkaConnection, Sasl};

/// How long a message may wait for a broker.
const DELIVERY: Duration = Duration::from_secs(120);

/// How long a broker may take to describe a topic, which some create on request.
const ANSWER: Duration = Duration::from_secs(10);

/// Writes messages to topics.
pub struct Producer {
    name: String,
    brokers: String,
    config: ClientConfig,
    inner: BaseProducer<Deliveries>,
}

/// A message to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; without it, the key or chance decides.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The body; none is a tombstone.
    pub body: Option<&'a [u8]>,
    /// Its time, in milliseconds since 1970; now, if not given.
    pub timestamp: Option<i64>,
}

/// Records the first message that a broker did not accept, and the last problem.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
    trouble: Mutex<Option<(KafkaError, String)>>,
}

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "librdkafka", facility, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" says nothing about the reason.
        let vague = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if trouble.is_none() || !vague {
            *trouble = Some((error, reason.to_owned()));
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.clone());
        }
    }
}

impl Producer {
    /// Opens a producer with a name for messages. It connects when it is first used.
    ///
    /// # Errors
    /// A secret or a certificate is missing, or the settings contradict each other.
    pub fn open(name: &str, to: &KafkaConnection) -> Result<Self, SourceError> {
        if matches!(to.security.sasl, Some(Sasl::Token(_))) {
            let reason = "what is written is written by name and password, and not with a token".to_owned();
            return Err(SourceError::Settings { name: name.to_owned(), reason });
        }
        let mut config = settings::connection(name, to)?;
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            // Above the default limit of brokers, so that the broker decides.
            .set("message.max.bytes", "16000000");
        if to.event_hubs {
            config.set("message.max.bytes", "1000000").set("request.timeout.ms", "60000");
        }
        let inner = config.create_with_context(Deliveries::default());
        let inner = inner.map_err(|error| unwritten(name, &error))?;
        Ok(Self { name: name.to_owned(), brokers: to.brokers.clone(), config, inner })
    }

    /// Checks that the topic exists, so that problems are reported at once.
    ///
    /// # Errors
    /// No broker answers, it denies access, or the topic does not exist.
    pub fn find(&self, topic: &str) -> Result<(), SourceError> {
        let begun = Instant::now();
        loop {
            let left = ANSWER.saturating_sub(begun.elapsed()).max(Duration::from_millis(100));
            let found = self.inner.client().fetch_metadata(Some(topic), left).map_err(|error| self.failed(&error))?;
            if found.topics().iter().any(|found| found.name() == topic && found.error().is_none()) {
                return Ok(());
            }
            if begun.elapsed() >= ANSWER / 2 {
                let all = self.inner.client().fetch_metadata(None, ANSWER).map_err(|error| self.failed(&error))?;
                let known = all.topics().iter().map(|topic| topic.name().to_owned());
                let known = known.filter(|name| !name.starts_with("__")).collect();
                return Err(SourceError::NoTopic { name: self.name.clone(), topic: topic.to_owned(), known });
            }
            self.inner.poll(Duration::from_millis(100));
        }
    }

    /// Sends a message. It is written when [`Producer::flush`] returns.
    ///
    /// # Errors
    /// It is too large, or an earlier message was not accepted.
    pub fn send(&self, message: Outgoing<'_>) -> Result<(), SourceError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(message.topic);
        record.partition = message.partition;
        record.key = message.key;
        record.payload = message.body;
        record.timestamp = message.timestamp;
        loop {
            match self.inner.send(record) {
                Ok(()) => {
                    self.inner.poll(Duration::ZERO);
                    return self.check();
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.inner.poll(Duration::from_millis(20));
                    record = back;
                }
                Err((error, _)) => return Err(self.failed(&error)),
            }
        }
    }

    /// Waits until all messages are accepted.
    ///
    /// # Errors
    /// A message was not accepted, or no broker answers.
    pub fn flush(&self) -> Result<(), SourceError> {
        self.inner.flush(DELIVERY).map_err(|error| self.failed(&error))?;
        self.check()
    }

    /// Creates a topic with this many partitions, if it does not exist.
    ///
    /// # Errors
    /// No broker answers, it denies access, or it refuses.
    pub fn make_topic(&self, topic: &str, partitions: i32, runtime: &Handle) -> Result<(), SourceError> {
        let all = self.inner.client().fetch_metadata(None, ANSWER).map_err(|error| self.failed(&error))?;
        if all.topics().iter().any(|found| found.name() == topic) {
            return Ok(());
        }
        let admin: AdminClient<DefaultClientContext> = self.config.create().map_err(|error| self.failed(&error))?;
        // The brokers' default replication.
        let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let made = runtime.block_on(admin.create_topics([&wanted], &options)).map_err(|error| self.failed(&error))?;
        match made.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                let reason = format!("the topic `{topic}` could not be made: {code}");
                Err(SourceError::Write { name: self.name.clone(), reason })
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), SourceError> {
        let mut error = self.inner.context().failed.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().map_or(Ok(()), |error| Err(self.failed(&error)))
    }

    /// Maps an error of librdkafka, together with the last problem of the brokers.
    fn failed(&self, error: &KafkaError) -> SourceError {
        // Connection problems are reported in callbacks.
        self.inner.poll(Duration::ZERO);
        let away = [
            RDKafkaErrorCode::MessageTimedOut,
            RDKafkaErrorCode::OperationTimedOut,
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::Resolve,
        ];
        let name = self.name.clone();
        let trouble = self.inner.context().trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        let code = trouble.as_ref().and_then(|(trouble, _)| trouble.rdkafka_error_code());
        match (trouble, code) {
            (Some((_, reason)), Some(RDKafkaErrorCode::Authentication)) => SourceError::Refused { name, reason },
            (Some((_, reason)), Some(RDKafkaErrorCode::SSL)) => SourceError::Tls { name, reason },
            (trouble, _) if error.rdkafka_error_code().is_some_and(|code| away.contains(&code)) => {
                let reason = trouble.map_or_else(|| error.to_string(), |(_, reason)| reason);
                SourceError::Unreachable { name, brokers: self.brokers.clone(), reason }
            }
            _ => unwritten(&name, error),
        }
    }
}

fn unwritten(name: &str, error: &KafkaError) -> SourceError {
    SourceError::Write { name: name.to_owned(), reason: error.to_string() }
}
