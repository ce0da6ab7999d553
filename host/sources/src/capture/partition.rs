//! The files of one partition, in reading order.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::event::EventColumns;
use super::open_file;
use crate::SourceError;
use sluicebox_core::batch::Lane;
use sluicebox_formats::{Input, Meter};

/// How much later an event with a lower number must have been taken to be another hub's; clocks of brokers differ.
const LATER: i64 = 10_000_000;

/// A captured file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Its start time, in seconds since 1970, from its path.
    pub(super) time: i64,
    /// Its path below the source's folder.
    pub(super) name: String,
    /// Its location: an absolute path, or a URL.
    pub(super) location: String,
    pub(super) input: Input,
    pub(super) bytes: u64,
    /// When it was last written.
    pub(super) modified: DateTime<Utc>,
}

/// A partition and its remaining files.
pub(super) struct Partition {
    pub(super) lane: Lane,
    /// The sequence number of the next event; `None` before the first.
    pub(super) next: Option<i64>,
    files: VecDeque<Segment>,
    waits: bool,
    /// Where the numbers begin again behind these files.
    again: Option<Again>,
}

/// A file with which the numbers of a partition begin again.
#[derive(Clone, Debug)]
pub(super) struct Again {
    /// The file.
    pub(super) file: String,
    /// The number of its first event.
    pub(super) first: i64,
    /// When that was taken, in microseconds since 1970.
    pub(super) enqueued: i64,
}

/// What a reader knows of a partition.
pub(super) struct Known {
    /// The number of the event that is next.
    pub(super) next: Option<i64>,
    /// When the tables were written last.
    pub(super) since: Option<DateTime<Utc>>,
    /// How often the hub was made anew, as its reader has been told.
    pub(super) reset: u32,
    /// How far before the place to go on from files are looked at again.
    pub(super) overlap: Duration,
}

/// A file and its first event.
struct Head {
    file: Segment,
    first: i64,
    enqueued: Option<i64>,
}

impl Head {
    /// Whether a file that was begun after this one is of a hub that was made anew: it begins with a number that
    /// is not higher, of an event that was taken later. One hub counts on, and what is captured twice has its time.
    fn is_before(&self, newer: &Head) -> bool {
        let (Some(before), Some(after)) = (self.enqueued, newer.enqueued) else { return false };
        match newer.first.cmp(&self.first) {
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => after > before,
            std::cmp::Ordering::Less => after > before.saturating_add(LATER),
        }
    }
}

impl Partition {
    /// The files in which events from the next on can be, in the order of the events.
    ///
    /// Names tell no order that could be relied on, since a file that is written late may come
    /// under any name; so every file is asked for its first event, from the newest backwards, until
    /// one begins at or before the next event, and then those of another `overlap` of time. A file that was written
    /// after the tables were is compared with the one before it, so that it shows where a hub was made anew.
    pub(super) fn new(source: &str, lane: Lane, known: &Known, mut files: Vec<Segment>) -> Result<Self, SourceError> {
        files.sort_by(|one, other| (one.time, &one.name).cmp(&(other.time, &other.name)).reverse());
        let overlap = i64::try_from(known.overlap.as_secs()).unwrap_or(i64::MAX);
        let mut heads: Vec<Head> = Vec::new();
        // In the list of heads, the newest file of each life of the hub.
        let mut lives = vec![0];
        let mut oldest = None;
        for file in files {
            let is_new = |head: &Head| known.since.is_none_or(|since| head.file.modified > since);
            let compared = !heads.last().is_some_and(is_new);
            // Whoever has seen that a hub was made anew has to know how often.
            if lives.len() == 1 && compared && oldest.is_some_and(|oldest| file.time < oldest) {
                break;
            }
            // A file without events says nothing of where events are.
            let Some((first, enqueued)) = first_event(source, &file)? else { continue };
            if oldest.is_none() && known.next.is_some_and(|next| first <= next) {
                oldest = Some(file.time.saturating_sub(overlap));
            }
            let head = Head { file, first, enqueued };
            if heads.last().is_some_and(|newer| head.is_before(newer)) {
                lives.push(heads.len());
            }
            heads.push(head);
        }
        let reset = usize::try_from(known.reset).unwrap_or(usize::MAX);
        // The newest life comes first; of those that are gone, nothing is left to count.
        let life = (lives.len() - 1).saturating_sub(reset);
        let end = lives.get(life + 1).copied().unwrap_or(heads.len());
        let again = lives[life].checked_sub(1).map(|at| Again {
            file: heads[at].file.location.clone(),
            first: heads[at].first,
            enqueued: heads[at].enqueued.unwrap_or_default(),
        });
        let mut chosen: Vec<Head> = heads.drain(lives[life]..end).collect();
        // Of a life that is not the newest the walk has seen more than is needed.
        let reached = chosen.iter().position(|head| known.next.is_some_and(|next| head.first <= next));
        if let Some(reached) = reached {
            let oldest = chosen[reached].file.time.saturating_sub(overlap);
            chosen.retain(|head| head.file.time >= oldest);
        }
        chosen.sort_by_key(|head| (head.first, Reverse(head.file.bytes)));
        let files = chosen.into_iter().map(|head| head.file).collect();
        Ok(Self { lane, next: known.next, files, waits: false, again })
    }

    /// The start time of the next file.
    pub(super) fn front(&self) -> Option<i64> {
        self.files.front().map(|file| file.time)
    }

    /// Takes the next file.
    pub(super) fn take_front(&mut self) -> Option<Segment> {
        self.files.pop_front()
    }

    /// Skips the partition for the rest of the run, because events before its next file are missing.
    pub(super) fn wait(&mut self) {
        self.files.clear();
        self.waits = true;
    }

    /// Whether it waits for missing events.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Where its numbers begin again, once all before that is read.
    pub(super) fn begins_again(&self) -> Option<&Again> {
        self.again.as_ref().filter(|_| self.files.is_empty())
    }

    /// Bytes of all files that are left.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The number of a file's first event, and when that was taken; `None` if it has none.
fn first_event(source: &str, file: &Segment) -> Result<Option<(i64, Option<i64>)>, SourceError> {
    if file.bytes == 0 {
        return Ok(None);
    }
    let failed =
        |error| SourceError::File { name: source.to_owned(), file: file.location.clone(), source: Box::new(error) };
    let mut rows = open_file(&file.input, &Meter::default()).map_err(failed)?;
    let Some(decoded) = rows.next().map_err(failed)? else { return Ok(None) };
    let events = EventColumns::of(&decoded.rows).map_err(|column| SourceError::NotCaptured {
        name: source.to_owned(),
        file: file.location.clone(),
        column,
    })?;
    Ok((decoded.rows.num_rows() > 0).then(|| (events.sequence(0), events.enqueued(0))))
}
