//! Topics of Kafka and hubs of Event Hubs: a lane is a partition, a position an offset plus one.
//!
//! The tables alone say where a lane continues. Offsets are committed to Kafka for tools that watch the lag, and
//! never read.

mod client;
mod partitions;
mod producer;
mod rows;
mod settings;
mod token;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::Int64Array;
use arrow_schema::{FieldRef, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use tokio::runtime::Handle;

use self::client::{Client, News, TopicId, Trouble};
use self::partitions::{Owned, lane_of, list};
use self::rows::RowMaker;
use self::token::Tokens;
pub use producer::{Outgoing, Producer};

use super::files::with_columns;
use super::message_decoder::{self, BodyDecoder};
use super::{LaneChange, Next, OpenSource, Progress, Record, Redecoded, Source, SourceBatch, SourceError, Unit};
use sluicebox_core::batch::{Lane, Positions};
use sluicebox_core::plan::{Demands, KafkaSpec};
use sluicebox_formats::BATCH_ROWS;

/// How long one fetch waits for messages.
const WAIT: Duration = Duration::from_millis(100);

/// Bytes of messages fetched at once, roughly.
const FETCH_BYTES: usize = 16 << 20;

/// Messages of the first fetch, when their size is not known yet.
const FIRST: usize = 64;

/// How long the reader may wait for the hop before fetching is paused.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often missing brokers are reported.
const REMINDER: Duration = Duration::from_secs(30);

/// How often offsets are committed. Event Hubs allows four times a second.
const COURTESY: Duration = Duration::from_secs(1);

/// How often a run that follows a topic without a group looks for new partitions.
const LOOK: Duration = Duration::from_secs(60);

/// Denials in a row before one is reported. A broker that is shutting down may deny access, too.
const REFUSALS: u32 = 5;

/// Reads partitions.
pub(super) struct KafkaSource {
    name: String,
    spec: KafkaSpec,
    client: Client,
    maker: RowMaker,
    /// It follows the topics for ever.
    follow: bool,
    /// It is a member of a consumer group.
    member: bool,
    owned: Vec<Owned>,
    /// The index in `owned` of the last message's partition.
    last: Option<(TopicId, i32, usize)>,
    ready: VecDeque<SourceBatch>,
    /// Messages to fetch at once, from their average size.
    most: usize,
    /// A rebalance that is not answered yet.
    changing: Option<News>,
    full_since: Option<Instant>,
    paused: bool,
    committed: Positions,
    told: Instant,
    looked: Instant,
    reminded: Option<Instant>,
    refusals: u32,
    done: u64,
    total: u64,
    /// When the tables were written last; until the first partitions are taken on.
    since: Option<DateTime<Utc>>,
}

impl KafkaSource {
    /// Connects and finds the topics. Without a group, or for a bounded run, it reads all partitions.
    pub(super) fn open(request: &OpenSource<'_>, spec: &KafkaSpec) -> Result<Self, SourceError> {
        let name = request.spec.name.clone();
        let bodies = bodies(&name, spec, request.runtime)?.demanding(request.demands());
        let config = settings::consumer(&name, spec, request.follow)?;
        let client = Client::open(&config, Tokens::of(&name, &spec.connection, request.runtime)?);
        let client = client.map_err(|reason| SourceError::Settings { name: name.clone(), reason })?;
        let mut source = Self {
            name,
            spec: spec.clone(),
            client,
            maker: RowMaker::new(bodies, spec.raw),
            follow: request.follow,
            member: request.follow && spec.group.is_some(),
            owned: Vec::new(),
            last: None,
            ready: VecDeque::new(),
            most: FIRST,
            changing: None,
            full_since: None,
            paused: false,
            committed: Positions::default(),
            told: Instant::now(),
            looked: Instant::now(),
            reminded: None,
            refusals: 0,
            done: 0,
            total: 0,
            since: request.since.filter(|_| !(request.follow && spec.group.is_some())),
        };
        let partitions = source.find_partitions()?;
        if source.member {
            let joined = source.client.subscribe(&spec.topics);
            joined.map_err(|trouble| source.broken(trouble))?;
        } else {
            source.take_on(partitions, request.done)?;
            // From now on there are younger messages that the tables have.
            source.since = None;
        }
        Ok(source)
    }

    /// Fetches messages and decodes them.
    fn fetch(&mut self) -> Result<(), SourceError> {
        let fetched = self.client.fetch(self.most, WAIT);
        let (mut bytes, mut troubles, mut ended) = (0, Vec::new(), Vec::new());
        for at in 0..fetched.len() {
            let message = fetched.message(at);
            if let Some(trouble) = message.trouble() {
                let partition = (message.topic().to_owned(), message.partition());
                if trouble.code == Code::RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    ended.push(partition);
                } else {
                    troubles.push((partition, trouble));
                }
                continue;
            }
            bytes += message.body().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
            let id = (message.topic_id(), message.partition());
            let found = match self.last {
                Some((topic, partition, found)) if (topic, partition) == id => Some(found),
                _ => self.owned.iter().position(|owned| owned.is(message.topic(), message.partition())),
            };
            let Some(found) = found else { continue };
            self.last = Some((id.0, id.1, found));
            self.owned[found].pick(at, message.offset());
        }
        if let Some(mean) = bytes.checked_div(fetched.len()) {
            self.most = (FETCH_BYTES / mean.max(1)).clamp(1, BATCH_ROWS);
            self.refusals = 0;
        }
        for owned in &mut self.owned {
            if owned.picked.is_empty() {
                continue;
            }
            self.done += owned.picked.len() as u64;
            let batch = self.maker.batch(&owned.lane, &fetched, &owned.picked, owned.next);
            owned.picked.clear();
            self.ready.push_back(batch?);
        }
        drop(fetched);
        for (topic, partition) in ended {
            if let Some(owned) = self.owned.iter_mut().find(|owned| owned.is(&topic, partition)) {
                owned.end = Some(owned.next);
            }
        }
        for (partition, trouble) in troubles {
            match trouble.code {
                Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET | Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE => {
                    self.find_place(&partition)?;
                }
                _ => self.trouble(trouble)?,
            }
        }
        Ok(())
    }

    /// Handles trouble of the client: reports it, or ends.
    fn trouble(&mut self, trouble: Trouble) -> Result<(), SourceError> {
        let name = self.name.clone();
        match trouble.code {
            Code::RD_KAFKA_RESP_ERR__AUTHENTICATION | Code::RD_KAFKA_RESP_ERR__SSL => {
                self.refusals += 1;
                if self.owned.is_empty() && !self.member || self.refusals >= REFUSALS {
                    return Err(refused(name, trouble));
                }
            }
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
            | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
            | Code::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED => return Err(refused(name, trouble)),
            Code::RD_KAFKA_RESP_ERR__FATAL => return Err(self.broken(trouble)),
            // librdkafka reports this also while a broker starts, so it is checked.
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION => {
                self.find_partitions()?;
            }
            _ => {}
        }
        if self.reminded.is_none_or(|reminded| reminded.elapsed() >= REMINDER) {
            self.reminded = Some(Instant::now());
            let reason = &trouble.reason;
            tracing::warn!(source = self.name, reason, "trouble with the brokers; it goes on as soon as they answer");
        }
        Ok(())
    }

    fn broken(&self, trouble: Trouble) -> SourceError {
        SourceError::Broker { name: self.name.clone(), reason: trouble.reason }
    }

    /// The lane change of a rebalance.
    fn change(&self, news: &News) -> LaneChange {
        let mut change = LaneChange::default();
        let mut owned: Vec<Lane> = self.owned.iter().map(|owned| owned.lane.clone()).collect();
        match news {
            News::Assigned(partitions) => {
                change.assigned = partitions.iter().map(|partition| lane_of(partition, self.spec.reset)).collect();
                owned.extend(change.assigned.iter().cloned());
            }
            News::Revoked(partitions) => {
                change.revoked = partitions.iter().map(|partition| lane_of(partition, self.spec.reset)).collect();
                owned.retain(|lane| !change.revoked.contains(lane));
            }
            News::Trouble(_) | News::NoToken(_) => {}
        }
        let first = self.spec.topics.first().map(|topic| lane_of(&(topic.clone(), 0), self.spec.reset));
        change.first = owned.iter().any(|lane| first.as_ref() == Some(lane));
        change.owned = owned;
        change
    }

    /// Commits offsets, at most once a second.
    fn tell(&mut self) {
        if self.spec.group.is_none() || self.committed.is_empty() || self.told.elapsed() < COURTESY {
            return;
        }
        let owned = self.owned.iter();
        let places = owned.filter_map(|owned| Some((&owned.partition, self.committed.get(&owned.lane)?)));
        if let Err(trouble) = self.client.commit(&list(places)) {
            tracing::debug!(source = self.name, reason = trouble.reason, "the group did not hear how far it is");
        }
        self.committed = Positions::default();
        self.told = Instant::now();
    }
}

impl Source for KafkaSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        self.full_since = None;
        if self.paused {
            let places = self.owned.iter().map(|owned| (&owned.partition, owned.next));
            self.client.resume(&list(places)).map_err(|trouble| self.broken(trouble))?;
            self.paused = false;
        }
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Next::Rows(batch));
        }
        self.tell();
        while let Some(news) = self.client.news() {
            match news {
                News::Trouble(trouble) => self.trouble(trouble)?,
                // Existing connections last without a token, and it is requested again.
                News::NoToken(reason) => {
                    tracing::warn!(source = self.name, reason, "there is no new token to show to the brokers");
                }
                change => {
                    let lanes = self.change(&change);
                    self.changing = Some(change);
                    return Ok(Next::Lanes(lanes));
                }
            }
        }
        if self.follow && !self.member && self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let new = self.find_new();
            if !new.is_empty() {
                let change = News::Assigned(new);
                let lanes = self.change(&change);
                self.changing = Some(change);
                return Ok(Next::Lanes(lanes));
            }
        }
        if !self.follow && self.owned.iter().all(Owned::is_done) {
            return Ok(Next::End);
        }
        self.fetch()?;
        Ok(self.ready.pop_front().map_or(Next::Idle, Next::Rows))
    }

    fn assign(&mut self, from: &Positions) -> Result<(), SourceError> {
        self.last = None;
        match self.changing.take() {
            Some(News::Assigned(partitions)) => self.take_on(partitions, from),
            Some(News::Revoked(partitions)) => {
                self.owned.retain(|owned| !partitions.contains(&owned.partition));
                let gone = list(partitions.iter().map(|partition| (partition, 0)));
                self.client.unassign(&gone).map_err(|trouble| self.broken(trouble))
            }
            _ => Ok(()),
        }
    }

    fn committed(&mut self, positions: &Positions) {
        self.committed.merge(positions);
    }

    fn wait(&mut self) {
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            return;
        }
        if !self.paused {
            let places = self.owned.iter().map(|owned| (&owned.partition, owned.next));
            // If pausing fails, fetching goes on up to the queue's limit, which is harmless.
            self.paused = self.client.pause(&list(places)).is_ok();
        }
        // This serves callbacks only; messages that come anyway are kept. Trouble shows again.
        if self.paused && self.ready.len() < self.owned.len() {
            let most = std::mem::replace(&mut self.most, 1);
            let _ = self.fetch();
            self.most = most;
        }
    }

    fn progress(&self) -> Progress {
        let total = (!self.follow).then_some(self.total);
        Progress { done: self.done, total, unit: Unit::Rows }
    }
}

fn refused(name: String, trouble: Trouble) -> SourceError {
    match trouble.code {
        Code::RD_KAFKA_RESP_ERR__SSL => SourceError::Tls { name, reason: trouble.reason },
        _ => SourceError::Refused { name, reason: trouble.reason },
    }
}

fn bodies(name: &str, spec: &KafkaSpec, runtime: &Handle) -> Result<BodyDecoder, SourceError> {
    Ok(BodyDecoder::open(name, &spec.topics.join(", "), &spec.format, &spec.columns, runtime)?
        .timestamps(spec.timestamps))
}

/// The columns of its rows, without `_lane` and `_position`.
///
/// # Errors
/// Bodies cannot be decoded into the declared columns.
pub(super) fn schema(name: &str, spec: &KafkaSpec) -> Result<SchemaRef, SourceError> {
    message_decoder::check(name, &spec.topics.join(", "), &spec.format, &spec.columns)?;
    let mut fields: Vec<FieldRef> = spec.columns.fields().to_vec();
    fields.extend(rows::envelope(spec.raw));
    Ok(Arc::new(Schema::new(fields)))
}

/// Decodes rejected bodies again. The key, headers and time of a message are not kept in quarantine.
pub(super) fn redecode(
    name: &str,
    spec: &KafkaSpec,
    lane: &Lane,
    records: &[Record<'_>],
    demands: Demands,
    runtime: &Handle,
) -> Result<Vec<Redecoded>, SourceError> {
    redecode_records(bodies(name, spec, runtime)?.demanding(demands), spec.raw, lane, records)
}

/// The same for bodies of any source.
pub(super) fn redecode_records(
    mut bodies: BodyDecoder,
    raw: bool,
    lane: &Lane,
    records: &[Record<'_>],
) -> Result<Vec<Redecoded>, SourceError> {
    let mut found = Vec::new();
    for (group, records) in records.chunks(BATCH_ROWS).enumerate() {
        let first = group * BATCH_ROWS;
        let kept: Vec<&[u8]> = records.iter().map(|record| record.bytes).collect();
        let decoded = bodies.decode(lane, &kept)?;
        let taken = decoded.taken.unwrap_or_else(|| (0..records.len()).collect());
        let positions: Int64Array = taken.iter().map(|at| records[*at].position).collect::<Vec<_>>().into();
        let rows = match raw {
            true => rows::with_raw(&decoded.rows, taken.iter().map(|at| kept[*at])),
            false => Ok(decoded.rows),
        };
        let rows = rows.and_then(|rows| with_columns(&rows, lane, positions));
        let rows = rows.map_err(|error| bodies.failed(lane, error))?;
        let bad = decoded.bad.into_iter().map(|bad| (first + bad.at, bad.reason, bad.message));
        found.push(Redecoded { rows, bad: bad.collect() });
    }
    Ok(found)
}
