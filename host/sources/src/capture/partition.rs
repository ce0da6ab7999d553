//! The files of one partition, in the order in which they are read.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use arrow_array::RecordBatch;

use super::event::EventColumns;
use super::open_file;
use crate::SourceError;
use sluicebox_core::batch::Lane;
use sluicebox_formats::{Input, Meter};

/// A captured file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// When it was begun, in seconds since 1970, as its path says.
    pub(super) time: i64,
    /// Its path below the source's folder.
    pub(super) name: String,
    /// Where it lies: an absolute path, or a URL.
    pub(super) location: String,
    pub(super) input: Input,
    pub(super) bytes: u64,
}

/// A partition, and what is left to read of it.
pub(super) struct Partition {
    pub(super) lane: Lane,
    /// The number of the event that is next; `None` before the first.
    pub(super) next: Option<i64>,
    files: VecDeque<Segment>,
    waits: bool,
}

impl Partition {
    /// The files in which events from `next` on can be, in the order of the events.
    ///
    /// Names tell no order that could be relied on, since a file that is written late may come
    /// under any name; so every file is asked for its first event, from the newest backwards, until
    /// one begins at or before `next`, and then those of another `overlap` of time.
    pub(super) fn new(
        source: &str,
        lane: Lane,
        next: Option<i64>,
        mut files: Vec<Segment>,
        overlap: Duration,
    ) -> Result<Self, SourceError> {
        files.sort_by(|one, other| (one.time, &one.name).cmp(&(other.time, &other.name)).reverse());
        let overlap = i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX);
        let mut chosen = Vec::new();
        let mut oldest = None;
        for file in files {
            if oldest.is_some_and(|oldest| file.time < oldest) {
                break;
            }
            // A file without events says nothing of where events are.
            let Some(first) = first_event(source, &file)? else { continue };
            if oldest.is_none() && next.is_some_and(|next| first <= next) {
                oldest = Some(file.time.saturating_sub(overlap));
            }
            chosen.push((first, file));
        }
        chosen.sort_by_key(|(first, file)| (*first, Reverse(file.bytes)));
        let files = chosen.into_iter().map(|(_, file)| file).collect();
        Ok(Self { lane, next, files, waits: false })
    }

    /// When the file that is next was begun.
    pub(super) fn front(&self) -> Option<i64> {
        self.files.front().map(|file| file.time)
    }

    /// Takes the file that is next.
    pub(super) fn take_front(&mut self) -> Option<Segment> {
        self.files.pop_front()
    }

    /// Leaves the partition alone for the rest of the run: events are missing before what is next.
    pub(super) fn wait(&mut self) {
        self.files.clear();
        self.waits = true;
    }

    /// Whether it waits for events that are missing.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Bytes of all files that are left.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The number of a file's first event; `None` if it has none.
fn first_event(source: &str, file: &Segment) -> Result<Option<i64>, SourceError> {
    if file.bytes == 0 {
        return Ok(None);
    }
    let failed =
        |error| SourceError::File { name: source.to_owned(), file: file.location.clone(), source: Box::new(error) };
    let mut rows = open_file(&file.input, &Meter::default()).map_err(failed)?;
    let Some(decoded) = rows.next().map_err(failed)? else { return Ok(None) };
    let first =
        |rows: &RecordBatch| EventColumns::of(rows).map(|events| (rows.num_rows() > 0).then(|| events.sequence(0)));
    first(&decoded.rows).map_err(|column| SourceError::NotCaptured {
        name: source.to_owned(),
        file: file.location.clone(),
        column,
    })
}
