//! The callbacks of librdkafka, and the events that they record.

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::super::token::Tokens;
use super::{Partition, list, text};

/// An event other than a message.
#[derive(Clone, Debug)]
pub(in crate::kafka) enum News {
    /// The group assigns these partitions to this reader.
    Assigned(Vec<Partition>),
    /// The group revokes these partitions.
    Revoked(Vec<Partition>),
    /// A problem with the brokers or the connection.
    Trouble(Trouble),
    /// No token can be had, for this reason.
    NoToken(String),
}

/// A problem with the brokers or the connection.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct Trouble {
    /// librdkafka's error code.
    pub(in crate::kafka) code: Code,
    /// librdkafka's message.
    pub(in crate::kafka) reason: String,
}

/// The events that callbacks record. librdkafka knows its address.
#[derive(Default)]
pub(super) struct Callbacks {
    pub(super) news: Mutex<VecDeque<News>>,
    /// The last rebalance, until it is answered.
    pub(super) owed: Mutex<Option<News>>,
    /// The client is closing, so revoked partitions are given up at once.
    pub(super) closing: AtomicBool,
    /// The tokens, for brokers that take them.
    pub(super) tokens: Option<Tokens>,
    /// The last attempt to get a token failed. That is reported as such and not as a denial of the broker.
    pub(super) tokenless: AtomicBool,
}

impl Callbacks {
    pub(super) fn news(&self) -> MutexGuard<'_, VecDeque<News>> {
        // The list is consistent between any two calls, also after a panic.
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn owed(&self) -> MutexGuard<'_, Option<News>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rebalance. It is only recorded: the reader has to commit and read its tables before it answers.
pub(super) unsafe extern "C" fn on_rebalance(
    raw: *mut rd::rd_kafka_t,
    code: Code,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    heard: *mut c_void,
) {
    // SAFETY: it is the address that the client was opened with, of something that outlives it.
    let heard = unsafe { &*heard.cast::<Callbacks>() };
    if heard.closing.load(Ordering::SeqCst) {
        // SAFETY: the client and the list are live during the callback.
        unsafe {
            let error = match code {
                Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => rd::rd_kafka_incremental_unassign(raw, partitions),
                _ => ptr::null_mut(),
            };
            if !error.is_null() {
                rd::rd_kafka_error_destroy(error);
            }
        }
        return;
    }
    // SAFETY: the list is live during the callback, has as many entries as it says, and names that end
    // with a zero.
    let partitions = unsafe { list((*partitions).elems, (*partitions).cnt) };
    // SAFETY: see above.
    let partitions = partitions.iter().map(|each| (unsafe { text(each.topic) }, each.partition)).collect();
    let news = match code {
        Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => News::Assigned(partitions),
        _ => News::Revoked(partitions),
    };
    *heard.owed() = Some(news.clone());
    heard.news().push_back(news);
}

/// A problem with the brokers or the connection.
pub(super) unsafe extern "C" fn on_error(
    _raw: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    heard: *mut c_void,
) {
    // SAFETY: the text ends with a zero and stays as it is during the callback.
    let reason = unsafe { text(reason) };
    // Errors that decide something; all others are only logged.
    let known = [
        Code::RD_KAFKA_RESP_ERR__AUTHENTICATION,
        Code::RD_KAFKA_RESP_ERR__SSL,
        Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        Code::RD_KAFKA_RESP_ERR__RESOLVE,
        Code::RD_KAFKA_RESP_ERR__FATAL,
    ];
    let code = known.into_iter().find(|known| *known as c_int == code).unwrap_or(Code::RD_KAFKA_RESP_ERR__TRANSPORT);
    // SAFETY: it is the address that the client was opened with, of something that outlives it.
    let heard = unsafe { &*heard.cast::<Callbacks>() };
    if code == Code::RD_KAFKA_RESP_ERR__AUTHENTICATION && heard.tokenless.load(Ordering::SeqCst) {
        return;
    }
    heard.news().push_back(News::Trouble(Trouble { code, reason }));
}

/// A log line of librdkafka.
pub(super) unsafe extern "C" fn on_log(
    _raw: *const rd::rd_kafka_t,
    _level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: both texts end with a zero and stay as they are during the callback.
    let (facility, line) = unsafe { (text(facility), text(line)) };
    tracing::debug!(target: "librdkafka", facility, "{line}");
}

/// A token is needed, for the first time or because the last one expires.
pub(super) unsafe extern "C" fn on_token(raw: *mut rd::rd_kafka_t, _config: *const c_char, heard: *mut c_void) {
    // SAFETY: it is the address that the client was opened with, of something that outlives it.
    let heard = unsafe { &*heard.cast::<Callbacks>() };
    let fresh = match &heard.tokens {
        Some(tokens) => tokens.fresh(),
        None => return,
    };
    let token = fresh.and_then(|fresh| {
        let text = CString::new(fresh.text).map_err(|_| "the token has a zero byte".to_owned())?;
        let subject = CString::new(fresh.subject).map_err(|_| "the token's subject has a zero byte".to_owned())?;
        Ok((text, fresh.until, subject))
    });
    let mut said = [0 as c_char; 512];
    let failed = match token {
        // SAFETY: the client is live during the callback, the texts end with a zero and are copied, and there
        // is room for as many bytes as are told.
        Ok((text, until, subject)) => unsafe {
            let set = rd::rd_kafka_oauthbearer_set_token(
                raw,
                text.as_ptr(),
                until,
                subject.as_ptr(),
                ptr::null_mut(),
                0,
                said.as_mut_ptr(),
                said.len(),
            );
            (set != Code::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| super::text(said.as_ptr()))
        },
        Err(why) => Some(why),
    };
    heard.tokenless.store(failed.is_some(), Ordering::SeqCst);
    if let Some(why) = failed {
        let told = CString::new(why.replace('\0', "")).unwrap_or_default();
        heard.news().push_back(News::NoToken(why));
        // SAFETY: the client is live during the callback, and the text ends with a zero and is copied.
        unsafe { rd::rd_kafka_oauthbearer_set_token_failure(raw, told.as_ptr()) };
    }
}
