//! The partitions of a reader, and their next offsets.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Client, News, Partition, Trouble};
use super::{KafkaSource, refused};
use crate::files::no_rows;
use crate::{SourceBatch, SourceError, stream_lane};
use sluicebox_core::batch::{Batch, Lane, Positions};
use sluicebox_core::plan::{OnLost, StreamStart};

/// How long brokers may be unreachable before the run stops.
const PATIENCE: Duration = Duration::from_secs(20);

/// The timeout of one request.
const ANSWER: Duration = Duration::from_secs(5);

/// How far the clocks of a hub and of who writes tables may be apart.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// A partition that is read here.
pub(super) struct Owned {
    /// Its topic and number.
    pub(super) partition: Partition,
    /// Its lane.
    pub(super) lane: Lane,
    /// The offset after the last message read.
    pub(super) next: i64,
    /// The end offset of a bounded run.
    pub(super) end: Option<i64>,
    /// The indexes of its messages in the current fetch.
    pub(super) picked: Vec<usize>,
}

impl Owned {
    /// Whether it is this partition.
    pub(super) fn is(&self, topic: &str, partition: i32) -> bool {
        self.partition.1 == partition && self.partition.0 == topic
    }

    /// Whether a bounded run has read all of it.
    pub(super) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Takes the message at index `at` of the current fetch, unless it was read before or is after the end.
    pub(super) fn pick(&mut self, at: usize, offset: i64) {
        if offset >= self.next && self.end.is_none_or(|end| offset < end) {
            self.next = offset + 1;
            self.picked.push(at);
        }
    }
}

/// A partition's lane, of a topic that was made anew so many times.
pub(super) fn lane_of((topic, partition): &Partition, reset: u32) -> Lane {
    stream_lane(topic, partition, reset)
}

/// Partitions with offsets, as librdkafka takes them.
pub(super) fn list<'a>(places: impl Iterator<Item = (&'a Partition, i64)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in places {
        // This fails only for invalid offsets.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(offset));
    }
    list
}

impl KafkaSource {
    /// Every partition of its topics.
    pub(super) fn find_partitions(&mut self) -> Result<Vec<Partition>, SourceError> {
        let found = self.ask(|client| client.topics(ANSWER))?;
        let mut partitions = Vec::new();
        for wanted in &self.spec.topics {
            match found.iter().find(|(topic, partitions)| topic == wanted && !partitions.is_empty()) {
                Some((topic, numbers)) => partitions.extend(numbers.iter().map(|number| (topic.clone(), *number))),
                None => {
                    let shown = |topic: &&String| !topic.starts_with("__");
                    let known = found.iter().map(|(topic, _)| topic).filter(shown).cloned().collect();
                    return Err(SourceError::NoTopic { name: self.name.clone(), topic: wanted.clone(), known });
                }
            }
        }
        Ok(partitions)
    }

    /// New partitions of the topics.
    pub(super) fn find_new(&self) -> Vec<Partition> {
        // If nobody answers, it is asked again later.
        let found = self.client.topics(ANSWER).unwrap_or_default();
        let wanted = found.into_iter().filter(|(topic, _)| self.spec.topics.contains(topic));
        let all = wanted.flat_map(|(topic, numbers)| numbers.into_iter().map(move |number| (topic.clone(), number)));
        all.filter(|partition| self.owned.iter().all(|owned| owned.partition != *partition)).collect()
    }

    /// Repeats a request until it is answered, or no answer can be expected.
    fn ask<T>(&mut self, question: impl Fn(&Client) -> Result<T, Trouble>) -> Result<T, SourceError> {
        let begun = Instant::now();
        let mut reason = None;
        loop {
            let trouble = match question(&self.client) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            if self.owned.is_empty() {
                // Callbacks say why nobody answers; as long as nothing is read, they bring nothing else.
                drop(self.client.fetch(1, Duration::ZERO));
                let mut others = Vec::new();
                while let Some(news) = self.client.news() {
                    match news {
                        News::Trouble(trouble) if is_refusal(&trouble) => {
                            return Err(refused(self.name.clone(), trouble));
                        }
                        // "All brokers are down" says nothing about the reason.
                        News::Trouble(trouble)
                            if reason.is_none() || trouble.code != Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN =>
                        {
                            reason = Some(trouble.reason);
                        }
                        News::Trouble(_) => {}
                        News::NoToken(reason) => {
                            return Err(SourceError::NoToken { name: self.name.clone(), reason });
                        }
                        other => others.push(other),
                    }
                }
                self.client.keep(others);
            }
            if begun.elapsed() >= PATIENCE {
                return Err(SourceError::Unreachable {
                    name: self.name.clone(),
                    brokers: self.spec.connection.brokers.clone(),
                    reason: reason.unwrap_or(trouble.reason),
                });
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Reads these partitions from now on, from their recorded positions or the source's start.
    pub(super) fn take_on(&mut self, partitions: Vec<Partition>, from: &Positions) -> Result<(), SourceError> {
        let mut taken = Vec::with_capacity(partitions.len());
        // A new partition is read from its beginning, whatever the start of the others was.
        let all = self.member || self.owned.is_empty();
        let start = if all { self.spec.start.clone() } else { StreamStart::Earliest };
        for partition in partitions {
            let lane = lane_of(&partition, self.spec.reset);
            let recorded = from.get(&lane);
            let (next, high) = self.place(&partition, recorded, &start)?;
            let end = (!self.follow).then_some(high);
            self.total += end.map_or(0, |end| (end - next).max(0).unsigned_abs());
            if recorded.is_none() && start != StreamStart::Earliest {
                // Records the start, so that messages that come later are read even if none come in this run.
                let batch = Batch { rows: no_rows(), positions: Positions::of(lane.clone(), next) };
                self.ready.push_back(SourceBatch { batch, rejects: Vec::new(), finished: None });
            }
            taken.push(Owned { partition, lane, next, end, picked: Vec::new() });
        }
        let assigned = list(taken.iter().map(|owned| (&owned.partition, owned.next)));
        self.client.assign(&assigned).map_err(|trouble| self.broken(trouble))?;
        self.owned.retain(|owned| !taken.iter().any(|new| new.partition == owned.partition));
        self.owned.extend(taken);
        Ok(())
    }

    /// Handles a partition whose next message is no longer kept.
    pub(super) fn find_place(&mut self, partition: &Partition) -> Result<(), SourceError> {
        let Some(at) = self.owned.iter().position(|owned| owned.partition == *partition) else { return Ok(()) };
        let (next, _) = self.place(partition, Some(self.owned[at].next), &StreamStart::Earliest)?;
        self.owned[at].next = next;
        let places = list([(partition, next)].into_iter());
        self.client.seek(&places, ANSWER).map_err(|trouble| self.broken(trouble))
    }

    /// The offset of the next message of a partition after `recorded`, and its end offset.
    fn place(
        &mut self,
        partition: &Partition,
        recorded: Option<i64>,
        start: &StreamStart,
    ) -> Result<(i64, i64), SourceError> {
        let (low, high) = self.ask(|client| client.watermarks(partition, ANSWER))?;
        let (name, lane) = (self.name.clone(), lane_of(partition, self.spec.reset).to_string());
        let chosen = match start {
            StreamStart::Positions(chosen) => chosen.get(&*lane_of(partition, 0)).copied(),
            _ => None,
        };
        if let Some(position) = recorded
            && let Some(offset) = self.first_after_tables(partition)?.filter(|offset| *offset < position)
        {
            return Err(SourceError::MadeAnew { name, lane, position, offset });
        }
        let next = match recorded.or(chosen) {
            Some(position) if position > high => {
                return Err(SourceError::Ahead { name, lane, position, end: high });
            }
            Some(position) if position < low && self.spec.on_lost == OnLost::Stop => {
                return Err(SourceError::Lost { name, lane, position, oldest: low });
            }
            Some(position) if position < low => {
                let lost = low - position;
                tracing::warn!(source = name, lane, from = position, lost, "messages are gone that nobody took");
                low
            }
            Some(position) => position,
            None => match start {
                StreamStart::Earliest | StreamStart::Positions(_) => low,
                StreamStart::Latest => high,
                StreamStart::At(time) => {
                    let found = self.ask(|client| {
                        let times = list([(partition, time.timestamp_millis())].into_iter());
                        client.offsets_for_times(&times, ANSWER)?;
                        Ok(times.elements().first().and_then(|found| found.offset().to_raw()))
                    })?;
                    // No message is that late, so there is nothing to read yet.
                    found.filter(|offset| *offset >= 0).unwrap_or(high)
                }
            },
        };
        Ok((next, high))
    }
}

impl KafkaSource {
    /// The offset of the first message that a hub took after the tables were written last. Brokers of Kafka have
    /// the times of senders, which say nothing.
    fn first_after_tables(&mut self, partition: &Partition) -> Result<Option<i64>, SourceError> {
        let Some(since) = self.since.filter(|_| self.spec.connection.event_hubs) else { return Ok(None) };
        let Some(time) = since.checked_add_signed(SKEW) else { return Ok(None) };
        let found = self.ask(|client| {
            let times = list([(partition, time.timestamp_millis())].into_iter());
            client.offsets_for_times(&times, ANSWER)?;
            Ok(times.elements().first().and_then(|found| found.offset().to_raw()))
        })?;
        Ok(found.filter(|offset| *offset >= 0))
    }
}

fn is_refusal(trouble: &Trouble) -> bool {
    matches!(trouble.code, Code::RD_KAFKA_RESP_ERR__AUTHENTICATION | Code::RD_KAFKA_RESP_ERR__SSL)
}
