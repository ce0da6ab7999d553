//! A batch consumer on librdkafka, with all unsafe code.
//!
//! The rdkafka crate's consumer returns one message at a time, which costs more than decoding it. This one fetches
//! thousands in one call and reads them in librdkafka's memory.

mod callbacks;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use self::callbacks::Callbacks;
pub(super) use self::callbacks::{News, Trouble};
use super::token::Tokens;

/// A partition of a topic.
pub(super) type Partition = (String, i32);

/// The timeout of leaving a group.
const CLOSING: Duration = Duration::from_secs(5);

/// A consumer.
pub(super) struct Client {
    raw: NonNull<rd::rd_kafka_t>,
    queue: NonNull<rd::rd_kafka_queue_t>,
    heard: Box<Callbacks>,
    /// Room for the messages of one call.
    room: Vec<*mut rd::rd_kafka_message_t>,
}

// SAFETY: librdkafka's handles may be used from any thread, as its manual says, and the room for
// messages is empty between two calls.
unsafe impl Send for Client {}

impl Client {
    /// Opens a consumer. It connects when it is first used.
    pub(super) fn open(config: &ClientConfig, tokens: Option<Tokens>) -> Result<Self, String> {
        let config = config.create_native_config().map_err(|error| error.to_string())?;
        let heard = Box::new(Callbacks { tokens, ..Callbacks::default() });
        let mut said = [0 as c_char; 512];
        // SAFETY: `config` is a live configuration, which is copied because the library takes the one that
        // it makes a client of. The callbacks have the types that the library calls them by, and `heard`
        // outlives the client because it is dropped after it.
        let raw = unsafe {
            let config = rd::rd_kafka_conf_dup(config.ptr());
            rd::rd_kafka_conf_set_opaque(config, ptr::from_ref(heard.as_ref()).cast_mut().cast());
            rd::rd_kafka_conf_set_rebalance_cb(config, Some(callbacks::on_rebalance));
            rd::rd_kafka_conf_set_error_cb(config, Some(callbacks::on_error));
            rd::rd_kafka_conf_set_log_cb(config, Some(callbacks::on_log));
            if heard.tokens.is_some() {
                rd::rd_kafka_conf_set_oauthbearer_token_refresh_cb(config, Some(callbacks::on_token));
                // librdkafka's own thread requests tokens, because the reader may be waiting for an answer that needs
                // one.
                rd::rd_kafka_conf_enable_sasl_queue(config, 1);
            }
            let raw = rd::rd_kafka_new(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER, config, said.as_mut_ptr(), said.len());
            if raw.is_null() {
                rd::rd_kafka_conf_destroy(config);
            }
            NonNull::new(raw)
        };
        let Some(raw) = raw else {
            // SAFETY: the library ends what it writes there with a zero, within the length it was given.
            return Err(unsafe { text(said.as_ptr()) });
        };
        // SAFETY: `raw` is a live consumer.
        let queue = unsafe {
            rd::rd_kafka_poll_set_consumer(raw.as_ptr());
            NonNull::new(rd::rd_kafka_queue_get_consumer(raw.as_ptr()))
        };
        match queue {
            Some(queue) => {
                let client = Self { raw, queue, heard, room: Vec::new() };
                if client.heard.tokens.is_some() {
                    // SAFETY: the client is live, and its callback for tokens may be called from any thread.
                    let enabled = unsafe { rd::rd_kafka_sasl_background_callbacks_enable(raw.as_ptr()) };
                    client.error(enabled).map_err(|trouble| trouble.reason)?;
                }
                Ok(client)
            }
            None => {
                // SAFETY: nobody else has this client.
                unsafe { rd::rd_kafka_destroy(raw.as_ptr()) };
                Err("it has no queue for messages".to_owned())
            }
        }
    }

    /// The oldest unread event.
    pub(super) fn news(&self) -> Option<News> {
        self.heard.news().pop_front()
    }

    /// Puts events back that were read too early.
    pub(super) fn keep(&self, news: Vec<News>) {
        let mut heard = self.heard.news();
        for news in news.into_iter().rev() {
            heard.push_front(news);
        }
    }

    /// Fetches up to `most` messages, waiting for at most `wait`. Callbacks are served meanwhile.
    pub(super) fn fetch(&mut self, most: usize, wait: Duration) -> Fetched<'_> {
        self.room.resize(most.max(1), ptr::null_mut());
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives as long as this client, and there is room for that many pointers.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(self.queue.as_ptr(), wait, self.room.as_mut_ptr(), self.room.len())
        };
        self.room.truncate(usize::try_from(count).unwrap_or(0));
        Fetched { messages: &mut self.room }
    }

    /// Joins the group that the configuration names.
    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), Trouble> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        // SAFETY: both are live, and the library copies the list.
        checked(unsafe { rd::rd_kafka_subscribe(self.raw.as_ptr(), list.ptr()) })
    }

    /// Adds these partitions, each from its offset.
    pub(super) fn assign(&self, list: &TopicPartitionList) -> Result<(), Trouble> {
        *self.heard.owed() = None;
        // SAFETY: both are live, and the library copies the list.
        self.error(unsafe { rd::rd_kafka_incremental_assign(self.raw.as_ptr(), list.ptr()) })
    }

    /// Removes these partitions.
    pub(super) fn unassign(&self, list: &TopicPartitionList) -> Result<(), Trouble> {
        *self.heard.owed() = None;
        // SAFETY: both are live, and the library copies the list.
        self.error(unsafe { rd::rd_kafka_incremental_unassign(self.raw.as_ptr(), list.ptr()) })
    }

    /// Moves to other offsets in partitions that it reads.
    pub(super) fn seek(&self, list: &TopicPartitionList, wait: Duration) -> Result<(), Trouble> {
        // SAFETY: both are live, and the library only writes an error code to each entry of the list.
        self.error(unsafe { rd::rd_kafka_seek_partitions(self.raw.as_ptr(), list.ptr(), millis(wait)) })
    }

    /// Pauses these partitions until [`Client::resume`].
    pub(super) fn pause(&self, list: &TopicPartitionList) -> Result<(), Trouble> {
        // SAFETY: both are live, and the library only writes an error code to each entry of the list.
        checked(unsafe { rd::rd_kafka_pause_partitions(self.raw.as_ptr(), list.ptr()) })
    }

    /// Resumes paused partitions.
    pub(super) fn resume(&self, list: &TopicPartitionList) -> Result<(), Trouble> {
        // SAFETY: both are live, and the library only writes an error code to each entry of the list.
        checked(unsafe { rd::rd_kafka_resume_partitions(self.raw.as_ptr(), list.ptr()) })
    }

    /// Commits offsets to the group, without waiting for an answer.
    pub(super) fn commit(&self, list: &TopicPartitionList) -> Result<(), Trouble> {
        // SAFETY: both are live, and the library copies the list.
        checked(unsafe { rd::rd_kafka_commit(self.raw.as_ptr(), list.ptr(), 1) })
    }

    /// The offsets of the oldest kept message, and of the next one to come.
    pub(super) fn watermarks(&self, (topic, partition): &Partition, wait: Duration) -> Result<(i64, i64), Trouble> {
        let (mut low, mut high) = (0, 0);
        let topic = c_string(topic)?;
        // SAFETY: the client is live, the name ends with a zero, and both numbers outlive the call.
        checked(unsafe {
            rd::rd_kafka_query_watermark_offsets(
                self.raw.as_ptr(),
                topic.as_ptr(),
                *partition,
                &raw mut low,
                &raw mut high,
                millis(wait),
            )
        })?;
        Ok((low, high))
    }

    /// Replaces each time, in milliseconds since 1970, by the offset of the first message of that time or later; a
    /// negative one if there is none.
    pub(super) fn offsets_for_times(&self, times: &TopicPartitionList, wait: Duration) -> Result<(), Trouble> {
        // SAFETY: both are live, and the list is not looked at meanwhile.
        checked(unsafe { rd::rd_kafka_offsets_for_times(self.raw.as_ptr(), times.ptr(), millis(wait)) })
    }

    /// All topics of the brokers, with their partitions.
    pub(super) fn topics(&self, wait: Duration) -> Result<Vec<(String, Vec<i32>)>, Trouble> {
        let mut found: *const rd::rd_kafka_metadata_t = ptr::null();
        // SAFETY: the client is live, and `found` outlives the call.
        checked(unsafe { rd::rd_kafka_metadata(self.raw.as_ptr(), 1, ptr::null_mut(), &raw mut found, millis(wait)) })?;
        // SAFETY: after a success `found` is a description whose lists have as many entries as it says and
        // whose names end with a zero; it is looked at before it is destroyed, once.
        unsafe {
            let topics = list((*found).topics, (*found).topic_cnt);
            let topics = topics.iter().map(|topic| {
                let partitions = list(topic.partitions, topic.partition_cnt).iter().map(|each| each.id);
                (text(topic.topic), partitions.collect())
            });
            let topics = topics.collect();
            rd::rd_kafka_metadata_destroy(found);
            Ok(topics)
        }
    }

    /// Answers the last rebalance, if it is still open: the group cannot be left in order before, and while it is
    /// being left, nobody may take the answer.
    fn answer(&self) {
        let owed = self.heard.owed().take();
        let list = |partitions: &[Partition]| {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition) in partitions {
                list.add_partition(topic, *partition);
            }
            // They are not read any more, so no messages of them are needed.
            list.set_all_offsets(Offset::End)
                .map(|()| list)
                .map_err(|error| Trouble { code: Code::RD_KAFKA_RESP_ERR__INVALID_ARG, reason: error.to_string() })
        };
        let answered = match owed {
            Some(News::Assigned(partitions)) => list(&partitions).and_then(|list| self.assign(&list)),
            Some(News::Revoked(partitions)) => list(&partitions).and_then(|list| self.unassign(&list)),
            Some(News::Trouble(_) | News::NoToken(_)) | None => Ok(()),
        };
        if let Err(trouble) = answered {
            tracing::debug!(reason = trouble.reason, "the group did not take an answer");
        }
    }

    fn error(&self, error: *mut rd::rd_kafka_error_t) -> Result<(), Trouble> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: it is a live error, which is looked at before it is destroyed, once.
        unsafe {
            let trouble =
                Trouble { code: rd::rd_kafka_error_code(error), reason: text(rd::rd_kafka_error_string(error)) };
            rd::rd_kafka_error_destroy(error);
            Err(trouble)
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.answer();
        self.heard.closing.store(true, Ordering::SeqCst);
        // SAFETY: nobody else has this client, and it is not closed yet.
        let closing = self.error(unsafe { rd::rd_kafka_consumer_close_queue(self.raw.as_ptr(), self.queue.as_ptr()) });
        let begun = Instant::now();
        // SAFETY: the client is live.
        let closed = |client: &Self| unsafe { rd::rd_kafka_consumer_closed(client.raw.as_ptr()) } == 1;
        while closing.is_ok() && !closed(self) && begun.elapsed() < CLOSING {
            drop(self.fetch(100, Duration::from_millis(20)));
        }
        // If the group cannot be left in order, its session timeout ends the membership.
        let flags = if closed(self) { 0 } else { rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE };
        // SAFETY: the queue is let go of before its client, no message is left because each call's are
        // destroyed with it, and `heard` is dropped after this.
        unsafe {
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
            rd::rd_kafka_destroy_flags(self.raw.as_ptr(), flags);
        }
    }
}

/// The messages of one fetch.
pub(super) struct Fetched<'a> {
    messages: &'a mut Vec<*mut rd::rd_kafka_message_t>,
}

impl Fetched<'_> {
    /// Their number.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The message at an index.
    ///
    /// # Panics
    /// The index is out of bounds.
    pub(super) fn message(&self, at: usize) -> Message<'_> {
        // SAFETY: the library gave this pointer to a message that stays as it is until it is destroyed,
        // which is when `self` is dropped.
        Message(unsafe { &*self.messages[at] })
    }
}

impl Drop for Fetched<'_> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: each of them is ours and is destroyed once.
            unsafe { rd::rd_kafka_message_destroy(message) };
        }
    }
}

/// A message, or an error of librdkafka in its place.
#[derive(Clone, Copy)]
pub(super) struct Message<'a>(&'a rd::rd_kafka_message_t);

/// Identifies a message's topic in this process, without comparing names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicId(*const c_void);

// SAFETY: it is only compared and never followed.
unsafe impl Send for TopicId {}

impl<'a> Message<'a> {
    /// The error in its place.
    pub(super) fn trouble(self) -> Option<Trouble> {
        if self.0.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the library keeps this text as long as the message.
        let reason = unsafe { text(rd::rd_kafka_message_errstr(self.0)) };
        Some(Trouble { code: self.0.err, reason })
    }

    /// Identifies its topic.
    pub(super) fn topic_id(self) -> TopicId {
        TopicId(self.0.rkt.cast())
    }

    /// The name of its topic; empty for an error without a topic.
    pub(super) fn topic(self) -> &'a str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the topic lives as long as the message, and its name ends with a zero.
        let name = unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) };
        name.to_str().unwrap_or_default()
    }

    /// The number of its partition.
    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    /// Its offset in the partition.
    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Its body; `None` for a tombstone.
    pub(super) fn body(self) -> Option<&'a [u8]> {
        // SAFETY: the body lies there as long as the message.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    /// Its key.
    pub(super) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: the key lies there as long as the message.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    /// Its time, or when the broker got it, in milliseconds since 1970.
    pub(super) fn timestamp(self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live, and `kind` outlives the call.
        let at = unsafe { rd::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && at >= 0).then_some(at)
    }

    /// Its headers, in their order.
    pub(super) fn headers(self) -> Headers<'a> {
        let mut found = ptr::null_mut();
        // SAFETY: the message is live and owns the headers.
        let code = unsafe { rd::rd_kafka_message_headers(self.0, &raw mut found) };
        let found = if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { found } else { ptr::null_mut() };
        Headers { found, next: 0, life: PhantomData }
    }
}

/// The headers of a message.
pub(super) struct Headers<'a> {
    found: *mut rd::rd_kafka_headers_t,
    next: usize,
    life: PhantomData<&'a ()>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.found.is_null() {
            return None;
        }
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers live as long as their message; after a success the name ends with a zero
        // and the value has that many bytes.
        unsafe {
            let code =
                rd::rd_kafka_header_get_all(self.found, self.next, &raw mut name, &raw mut value, &raw mut length);
            if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.next += 1;
            Some((CStr::from_ptr(name).to_bytes(), bytes(value.cast_mut(), length)))
        }
    }
}

/// Checks the result of a call.
fn checked(code: Code) -> Result<(), Trouble> {
    match code {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => {
            // SAFETY: the library has a text for every code, which it never takes back.
            let reason = unsafe { text(rd::rd_kafka_err2str(code)) };
            Err(Trouble { code, reason })
        }
    }
}

fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

fn c_string(text: &str) -> Result<CString, Trouble> {
    CString::new(text)
        .map_err(|error| Trouble { code: Code::RD_KAFKA_RESP_ERR__INVALID_ARG, reason: error.to_string() })
}

/// # Safety
/// `text` is null, or ends with a zero and stays as it is meanwhile.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// # Safety
/// `start` is null, or that many bytes lie there as long as `'a` and nobody writes to them.
unsafe fn bytes<'a>(start: *mut c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// # Safety
/// `start` is null, or that many values lie there as long as `'a` and nobody writes to them.
unsafe fn list<'a, T>(start: *const T, length: c_int) -> &'a [T] {
    match usize::try_from(length) {
        // SAFETY: as the caller promises.
        Ok(length) if !start.is_null() => unsafe { slice::from_raw_parts(start, length) },
        _ => &[],
    }
}
