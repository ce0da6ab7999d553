//! Writes messages, for simulations and tests.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::Mutex;
use std::sync::PoisonError;

use super::settings;
use crate::plan::KafkaConnection;
use crate::source::SourceError;

/// How long a message may wait for a broker.
const DELIVERY: Duration = Duration::from_secs(120);

/// Writes messages to topics.
pub struct Producer {
    name: String,
    inner: BaseProducer<Deliveries>,
}

/// A message to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; without it the key decides, or chance.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The body; none says that the key is gone.
    pub body: Option<&'a [u8]>,
    /// When it was made, in milliseconds since 1970; now, if not given.
    pub timestamp: Option<i64>,
}

/// Remembers the first message that a broker did not take.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

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
    /// Opens a producer, which people know by `name`. It connects when it is first used.
    ///
    /// # Errors
    /// A secret or a certificate is not there, or the settings do not go together.
    pub fn open(name: &str, to: &KafkaConnection) -> Result<Self, SourceError> {
        let mut config = settings::connection(name, to)?;
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "500000")
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            // Above what brokers take by default, so that it is they who refuse.
            .set("message.max.bytes", "16000000");
        if to.event_hubs {
            config.set("message.max.bytes", "1000000").set("request.timeout.ms", "60000");
        }
        let inner = config.create_with_context(Deliveries::default());
        let inner = inner.map_err(|error| failed(name, &error))?;
        Ok(Self { name: name.to_owned(), inner })
    }

    /// Hands a message over. It is written when [`Producer::flush`] says so.
    ///
    /// # Errors
    /// It is too large, or an earlier one was not taken.
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
                Err((error, _)) => return Err(failed(&self.name, &error)),
            }
        }
    }

    /// Waits until brokers have every message.
    ///
    /// # Errors
    /// One was not taken, or there is no broker.
    pub fn flush(&self) -> Result<(), SourceError> {
        self.inner.flush(DELIVERY).map_err(|error| failed(&self.name, &error))?;
        self.check()
    }

    fn check(&self) -> Result<(), SourceError> {
        let mut error = self.inner.context().failed.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().map_or(Ok(()), |error| Err(failed(&self.name, &error)))
    }
}

fn failed(name: &str, error: &KafkaError) -> SourceError {
    SourceError::Write { name: name.to_owned(), reason: error.to_string() }
}
