//! A real broker: Apache Kafka as a single node, started by the project's own script.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use sluicebox_core::plan::{KafkaConnection, Security};
use sluicebox_sources::kafka::{Outgoing, Producer};
use tokio::runtime::Runtime;

use super::{root, skipped};

/// A broker and where it listens.
pub struct Broker {
    /// The plain listener.
    pub plain: String,
    /// The listener that behaves like that of Event Hubs; `None` with a broker of somebody else's.
    pub secure: Option<Secure>,
    folder: Option<PathBuf>,
}

/// A listener that behaves like that of Event Hubs.
pub struct Secure {
    /// Where it is.
    pub address: String,
    /// The file of the authority that vouches for it.
    pub ca: String,
    /// What opens it.
    pub connection_string: String,
    /// Where the listener is that takes tokens.
    pub tokens: String,
}

/// The broker that all tests of this process share, or `None`, said aloud, where there can be none.
///
/// `SLUICE_KAFKA=host:port` names another. Under `CI=true` there has to be one.
pub fn broker() -> Option<&'static Broker> {
    static BROKER: OnceLock<Result<Broker, String>> = OnceLock::new();
    let found = BROKER.get_or_init(|| match std::env::var("SLUICE_KAFKA") {
        Ok(plain) => Ok(Broker { plain, secure: None, folder: None }),
        Err(_) => Broker::start("shared"),
    });
    match found {
        Ok(broker) => Some(broker),
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            skipped(why);
            None
        }
    }
}

/// A broker that no other test uses, so that it can be stopped. `None`, said aloud, as [`broker`].
pub fn own(name: &str) -> Option<Broker> {
    match Broker::start(name) {
        Ok(broker) => Some(broker),
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            skipped(&why);
            None
        }
    }
}

impl Broker {
    /// Starts one; gives why not where something is missing on this machine.
    fn start(name: &str) -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{name}-{}", std::process::id()));
        let settings = script("start", &folder)?;
        let settings: HashMap<&str, &str> = settings.lines().filter_map(|line| line.split_once('=')).collect();
        let setting = |key: &str| settings[key].to_owned();
        Ok(Self {
            plain: setting("plain"),
            secure: Some(Secure {
                address: setting("tls"),
                ca: setting("ca"),
                connection_string: setting("connection_string"),
                tokens: setting("tokens"),
            }),
            folder: Some(folder),
        })
    }

    /// Ends it in order; what it has it keeps.
    pub fn stop(&self) {
        let folder = self.folder.as_ref().expect("a broker of one's own");
        script("stop", folder).expect("it can be stopped");
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        let folder = self.folder.as_ref().expect("a broker of one's own");
        let pid = std::fs::read_to_string(folder.join("pid")).expect("it runs");
        let status = Command::new("kill").args(["-9", pid.trim()]).status().expect("kill can be started");
        assert!(status.success(), "the broker is process {pid}");
        // The script waits until it is gone.
        script("stop", folder).expect("it is gone");
    }

    /// Starts it again, where it was and with what it had.
    pub fn resume(&self) {
        let folder = self.folder.as_ref().expect("a broker of one's own");
        script("start", folder).expect("it can be started again");
    }

    /// Makes a topic whose name begins with `name`, and gives the whole name.
    pub fn topic(&self, name: &str, partitions: i32) -> String {
        self.topic_with(name, partitions, &[])
    }

    /// As [`Broker::topic`], with settings of Kafka's.
    pub fn topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        self.make_topic(&name, partitions, settings);
        name
    }

    /// Makes a topic of this name.
    pub fn make_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = runtime().block_on(self.admin().create_topics([&topic], &AdminOptions::new()));
        made.expect("the broker answers").remove(0).expect("the topic can be made");
        // It is there when every partition has a leader.
        let (topics, begun) = (self.admin(), std::time::Instant::now());
        loop {
            let found = topics.inner().fetch_metadata(Some(name), Duration::from_secs(5));
            if found.is_ok_and(|found| {
                found.topics()[0].partitions().len() == partitions as usize
                    && found.topics()[0].partitions().iter().all(|partition| partition.leader() >= 0)
            }) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the topic {name} has no leaders");
        }
    }

    /// Removes a topic.
    pub fn remove_topic(&self, name: &str) {
        let gone = runtime().block_on(self.admin().delete_topics(&[name], &AdminOptions::new()));
        gone.expect("the broker answers").remove(0).expect("the topic can be removed");
    }

    /// Forgets the messages of a partition before an offset, as a retention that ends does.
    pub fn expire(&self, topic: &str, partition: i32, before: i64) {
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
        let gone = runtime().block_on(self.admin().delete_records(&places, &AdminOptions::new()));
        gone.expect("the messages can be removed");
    }

    /// How the plain listener is spoken to.
    pub fn connection(&self) -> KafkaConnection {
        let security = Security { tls: false, ca: None, sasl: None };
        KafkaConnection { brokers: self.plain.clone(), event_hubs: false, security }
    }

    /// Writes bodies to a partition, in their order.
    pub fn write<B: AsRef<[u8]>>(&self, topic: &str, partition: i32, bodies: impl IntoIterator<Item = B>) {
        let producer = Producer::open("test", &self.connection()).expect("a producer");
        for body in bodies {
            let message =
                Outgoing { topic, partition: Some(partition), body: Some(body.as_ref()), ..Outgoing::default() };
            producer.send(message).expect("the message is taken");
        }
        producer.flush().expect("the messages are written");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.plain).create().expect("a client")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What is still there when this process ends, its guard removes.
            let _ = script("stop", folder);
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

/// Runs the script. `Err` says what is missing on this machine.
fn script(command: &str, folder: &Path) -> Result<String, String> {
    let output = Command::new(root().join("scripts/kafka"))
        .args([command, super::text(folder)])
        .env("KAFKA_ENDS_WITH", std::process::id().to_string())
        .output()
        .expect("the script can be started");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(3) => Err(format!("{said}: without a Kafka broker, or SLUICE_KAFKA, this is not tested")),
        _ => panic!("scripts/kafka {command}: {said}"),
    }
}
