//! The broker of the bench: the project's own script starts it, or somebody else's is used.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use sluicebox_bench::root;

use super::Failure;
use super::events;

/// A broker on this machine.
pub struct Broker {
    /// Where it listens.
    pub address: String,
    /// What the script keeps of it, if it was started here.
    folder: Option<PathBuf>,
}

impl Broker {
    /// The broker at `$SLUICE_KAFKA`, or one that is started now and ends with this.
    pub fn start() -> Result<Self, Failure> {
        if let Ok(address) = std::env::var("SLUICE_KAFKA") {
            return Ok(Self { address, folder: None });
        }
        // One of its own: what a bench before this leaves may still be being cleared away.
        let folder = sluicebox_bench::output().join(format!("kafka-{}", std::process::id()));
        let output = Command::new(root().join("scripts/kafka"))
            .arg("start")
            .arg(&folder)
            .env("KAFKA_ENDS_WITH", std::process::id().to_string())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let address = said.lines().find_map(|line| line.strip_prefix("plain="));
        let Some(address) = address.filter(|_| output.status.success()) else {
            return Err(format!("no broker: {}", String::from_utf8_lossy(&output.stderr)).into());
        };
        Ok(Self { address: address.to_owned(), folder: Some(folder) })
    }

    /// The broker at an address, which somebody else holds.
    pub fn at(address: &str) -> Self {
        Self { address: address.to_owned(), folder: None }
    }

    /// Makes a topic, empty.
    pub fn make_topic(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create()?;
        let asked = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = runtime.block_on(admin.create_topics([&asked], &AdminOptions::new()))?;
        made.into_iter().next().ok_or("the broker said nothing")?.map_err(|(_, code)| code.to_string())?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            let found = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5))?;
            let leaders = found.topics().iter().flat_map(|topic| topic.partitions()).filter(|one| one.leader() >= 0);
            if leaders.count() == partitions as usize {
                return Ok(());
            }
        }
        Err(format!("the topic {topic} has no leaders").into())
    }

    /// A producer that writes events to a topic.
    pub fn producer(&self) -> Result<Producer, Failure> {
        let inner = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("linger.ms", "5")
            .set("batch.size", "524288")
            .set("queue.buffering.max.messages", "1000000")
            .create()?;
        Ok(Producer { inner, body: Vec::new() })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // A broker that stays is ended by its script when this process is gone.
            let _ = Command::new(root().join("scripts/kafka")).arg("stop").arg(folder).output();
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Writes events.
pub struct Producer {
    inner: BaseProducer,
    body: Vec<u8>,
}

impl Producer {
    /// Writes event `number` to its partition.
    pub fn write(&mut self, topic: &str, partitions: i32, number: u64) -> Result<(), Failure> {
        events::write(number, &mut self.body);
        let partition = i32::try_from(number % u64::try_from(partitions)?)?;
        loop {
            let record = BaseRecord::<(), _>::to(topic).partition(partition).payload(&self.body[..]);
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    self.inner.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Lets what was written go, without waiting for it.
    pub fn poll(&self) {
        self.inner.poll(Duration::ZERO);
    }

    /// Waits until everything is written.
    pub fn flush(&self) -> Result<(), Failure> {
        Ok(self.inner.flush(Duration::from_secs(60))?)
    }
}
