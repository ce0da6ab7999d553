//! The native parts of the stream job by themselves, in one loop: take messages from Kafka, decode
//! JSON, write Parquet twice. No tables, no sandbox, no duplicates found, no sums.
//!
//! usage: stream_ceiling BROKERS TOPIC EVENTS FOLDER. Prints one JSON object with seconds per part.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rdkafka::bindings as native;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

// What the `sluice` binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;

const BATCH: usize = 8_192;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, events, folder] = arguments.as_slice() else {
        return Err("usage: stream_ceiling BROKERS TOPIC EVENTS FOLDER".into());
    };
    let (events, folder): (u64, _) = (events.parse()?, Path::new(folder));
    fs::create_dir_all(folder)?;
    let schema = schema();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_raw", DataType::Binary, true)));
    let kept = Arc::new(Schema::new(fields));
    let mut bronze = writer(&folder.join("bronze.parquet"), &kept)?;
    let mut silver = writer(&folder.join("silver.parquet"), &schema)?;

    let messages = Messages::open(brokers, topic)?;
    let mut decoder = arrow_json::ReaderBuilder::new(schema).with_batch_size(BATCH).build_decoder()?;
    let mut parts = [Duration::ZERO; 4];
    let mut taken = 0;
    let mut bodies = BinaryBuilder::new();
    while taken < events {
        let before = taken;
        timed(&mut parts[0], || {
            messages.take(|body| {
                bodies.append_value(body);
                taken += 1
            })
        })?;
        if taken == before {
            continue;
        }
        let raw = bodies.finish();
        let rows = timed(&mut parts[1], || {
            for body in raw.iter().flatten() {
                decoder.decode(body)?;
            }
            decoder.flush()
        })?;
        let Some(rows) = rows else { continue };
        let mut columns = rows.columns().to_vec();
        let raw: ArrayRef = Arc::new(raw);
        columns.push(raw);
        let with_raw = RecordBatch::try_new(kept.clone(), columns)?;
        timed(&mut parts[2], || bronze.write(&with_raw))?;
        timed(&mut parts[3], || silver.write(&rows))?;
    }
    timed(&mut parts[2], || bronze.close())?;
    timed(&mut parts[3], || silver.close())?;
    let [take, decode, write_bronze, write_silver] = parts.map(|part| part.as_secs_f64());
    println!(
        "{}",
        serde_json::json!({
            "events": taken, "take": take, "decode": decode,
            "write_bronze": write_bronze, "write_silver": write_silver,
        })
    );
    Ok(())
}

fn timed<T>(part: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *part += started.elapsed();
    result
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("order_id", DataType::Utf8),
        field("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("customer_id", DataType::Int64),
        field("product", DataType::Utf8),
        field("category", DataType::Utf8),
        field("price", DataType::Decimal128(10, 2)),
        field("quantity", DataType::Int32),
        field("state", DataType::Utf8),
    ]))
}

fn writer(path: &Path, schema: &SchemaRef) -> Result<ArrowWriter<File>, Failure> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    Ok(ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?)
}

/// The messages of all partitions of a topic, from their beginning.
struct Messages {
    /// Keeps what the queue belongs to.
    _consumer: BaseConsumer,
    queue: *mut native::rd_kafka_queue_t,
}

impl Messages {
    fn open(brokers: &str, topic: &str) -> Result<Self, Failure> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "ceiling")
            .set("enable.auto.commit", "false")
            .set("queued.min.messages", "1000000")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
        let mut places = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            places.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&places)?;
        // SAFETY: the client lives as long as this struct, which holds it, and longer than the queue.
        let queue = unsafe { native::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Ok(Self { _consumer: consumer, queue })
    }

    /// Takes what is there, a batch at most.
    fn take(&self, mut each: impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut messages = [std::ptr::null_mut(); BATCH];
        // SAFETY: the queue is alive, and the array has room for as many messages as are asked for.
        let count = unsafe { native::rd_kafka_consume_batch_queue(self.queue, 100, messages.as_mut_ptr(), BATCH) };
        let mut failed = None;
        for message in messages.iter().take(usize::try_from(count)?) {
            // SAFETY: the client filled in `count` messages, each of which is valid until it is destroyed,
            // here and once. A payload has `len` bytes where there is one.
            unsafe {
                let held = &**message;
                if held.err as i32 != 0 {
                    failed = Some(held.err);
                } else if !held.payload.is_null() {
                    each(std::slice::from_raw_parts(held.payload.cast(), held.len));
                }
                native::rd_kafka_message_destroy(*message);
            }
        }
        match failed {
            Some(error) => Err(format!("Kafka: {error:?}").into()),
            None => Ok(()),
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        // SAFETY: the queue was given out once and is not used after this.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}
