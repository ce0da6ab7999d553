//! The files of one partition, in reading order.

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
    /// Its start time, in seconds since 1970, from its path.
    pub(super) time: i64,
    /// Its path below the source's folder.
    pub(super) name: String,
    /// Its location: an absolute path, or a URL.
    pub(super) location: String,
    pub(super) input: Input,
    pub(super) bytes: u64,
}

/// A partition and its remaining files.
pub(super) struct Partition {
    pub(super) lane: Lane,
    /// The sequence number of the next event; `None` before the first.
    pub(super) next: Option<i64>,
    files: VecDeque<Segment>,
    waits: bool,
}

impl Partition {
    /// The files that may have events from `next` on, in the order of the events.
    ///
    /// Names are not a reliable order, because a late file may have any name. So the first event of each file is
    /// read, from the newest file backwards, until one begins at or before `next`, and then of the files of another
    /// `overlap` of time.
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
            // A file without events says nothing about the positions of events.
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

    /// Bytes of all remaining files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The sequence number of a file's first event; `None` if it has none.
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
