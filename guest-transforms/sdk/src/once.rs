//! Deduplicates rows by id, in memory that does not grow with the stream.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::{Failure, Result, State, metric};

/// The same seed in every run, because saved hashes must mean the same in the next run.
const HASHER: FixedState = FixedState::with_seed(0);

/// Ids that are kept and forgotten together.
const SEGMENT: usize = 32_768;

/// Remembers ids for as long as a row may come again.
///
/// An id is forgotten when the watermark has passed every row with it, so memory depends on the rate of the stream
/// and the hop's `lateness`, and not on the stream's length. For an older row it is unknown whether it is a repeat:
/// it is [`TooLate`](Seen::TooLate). Saved ids do not change any more, so that each commit saves little.
///
/// Eight bytes are kept of each id. While six million ids are remembered, the probability that a row is taken for
/// another is 1 in 3,000,000,000,000.
///
/// ```
/// use sluicebox_sdk::{Once, Seen};
///
/// let mut orders = Once::new(1_000_000)?;
/// assert_eq!(orders.see(b"a", 1_000), Seen::First);
/// assert_eq!(orders.see(b"a", 1_000), Seen::Again);
/// orders.forget(Some(2_000));
/// assert_eq!(orders.see(b"a", 1_000), Seen::TooLate);
/// assert_eq!(orders.see(b"b", 2_000), Seen::First);
/// # Ok::<(), sluicebox_sdk::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Once {
    capacity: usize,
    segment: usize,
    ids: HashTable<u64>,
    /// The oldest first; only the last one grows.
    segments: VecDeque<Segment>,
    next: u64,
    /// Rows before this event time are too late.
    horizon: Option<i64>,
}

#[derive(Clone, Debug)]
struct Segment {
    number: u64,
    /// The latest event time of its rows.
    latest: i64,
    ids: Vec<u64>,
}

/// Whether a row is the first with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first.
    First,
    /// A repeat.
    Again,
    /// It is older than the remembered ids, so it is unknown.
    TooLate,
}

impl Once {
    /// Remembers at most this many ids. Beyond that, the oldest are forgotten early, and rows before them are too
    /// late from then on; the metric `ids_evicted` counts them.
    ///
    /// # Errors
    /// [`Failure::Config`] if the number is 0, or more than a module's memory can hold.
    pub fn new(capacity: usize) -> Result<Self> {
        if !(1..=200_000_000).contains(&capacity) {
            return Err(Failure::config(format!("{capacity} ids cannot be remembered; give 1 to 200,000,000")));
        }
        let segment = SEGMENT.min(capacity.div_ceil(8));
        Ok(Self { capacity, segment, ids: HashTable::new(), segments: VecDeque::new(), next: 0, horizon: None })
    }

    /// Checks a row by id and event time, in microseconds since 1970-01-01 UTC.
    #[inline]
    pub fn see(&mut self, id: &[u8], at: i64) -> Seen {
        let id = HASHER.hash_one(id);
        match self.ids.entry(id, |other| *other == id, |other| *other) {
            Entry::Occupied(_) => return Seen::Again,
            Entry::Vacant(_) if self.horizon.is_some_and(|horizon| at < horizon) => return Seen::TooLate,
            Entry::Vacant(entry) => entry.insert(id),
        };
        match self.segments.back_mut().filter(|open| open.ids.len() < self.segment) {
            Some(open) => {
                open.latest = open.latest.max(at);
                open.ids.push(id);
            }
            None => {
                let mut ids = Vec::with_capacity(self.segment);
                ids.push(id);
                self.segments.push_back(Segment { number: self.next, latest: at, ids });
                self.next += 1;
            }
        }
        if self.ids.len() > self.capacity {
            self.evict();
        }
        Seen::First
    }

    /// Forgets ids that no row can repeat any more. Call it in [`flush`](crate::Transform::flush).
    pub fn forget(&mut self, watermark: Option<i64>) {
        let Some(watermark) = watermark else { return };
        self.horizon = self.horizon.max(Some(watermark));
        let mut forgotten = 0;
        while self.segments.front().is_some_and(|oldest| oldest.latest < watermark) {
            forgotten += self.drop_oldest().map_or(0, |oldest| oldest.ids.len());
        }
        if forgotten > 0 {
            metric("ids_forgotten", forgotten as f64);
        }
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    #[cold]
    fn evict(&mut self) {
        if let Some(oldest) = self.drop_oldest() {
            // A repeat of a forgotten id must not count as new.
            self.horizon = self.horizon.max(Some(oldest.latest.saturating_add(1)));
            metric("ids_evicted", oldest.ids.len() as f64);
        }
    }

    fn drop_oldest(&mut self) -> Option<Segment> {
        let oldest = self.segments.pop_front()?;
        for id in &oldest.ids {
            if let Ok(entry) = self.ids.find_entry(*id, |other| other == id) {
                entry.remove();
            }
        }
        Some(oldest)
    }

    /// Saves everything under state keys that begin with `key`.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be written.
    pub fn save(&self, key: &str, state: &mut State) -> Result<()> {
        state.put_json(key, &(self.horizon, self.next))?;
        for segment in &self.segments {
            let mut bytes = Vec::with_capacity(8 * (segment.ids.len() + 1));
            bytes.extend_from_slice(&segment.latest.to_le_bytes());
            segment.ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
            state.put(&format!("{key}/{:016x}", segment.number), bytes);
        }
        Ok(())
    }

    /// Restores what `save` saved, if there is anything.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be read.
    pub fn restore(&mut self, key: &str, state: &State) -> Result<()> {
        let Some((horizon, next)) = state.json(key)? else { return Ok(()) };
        (self.horizon, self.next) = (horizon, next);
        let prefix = format!("{key}/");
        let broken = || Failure::state(format!("the ids saved under {key:?} are broken"));
        // The state returns its keys in order, which is the order of the segments.
        for (name, bytes) in state.iter() {
            let Some(number) = name.strip_prefix(&prefix) else { continue };
            let number = u64::from_str_radix(number, 16).map_err(|_| broken())?;
            let (words, []) = bytes.as_chunks::<8>() else { return Err(broken()) };
            let (latest, ids) = words.split_first().ok_or_else(broken)?;
            let ids: Vec<u64> = ids.iter().map(|id| u64::from_le_bytes(*id)).collect();
            for id in &ids {
                self.ids.insert_unique(*id, *id, |other| *other);
            }
            self.segments.push_back(Segment { number, latest: i64::from_le_bytes(*latest), ids });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(number: u64) -> [u8; 8] {
        number.to_le_bytes()
    }

    #[test]
    fn every_id_is_first_once_while_rows_come_within_the_lateness() {
        let (mut once, mut first) = (Once::new(1_000_000).unwrap(), BTreeSet::new());
        let mut largest = 0;
        // A row every microsecond, some repeated, up to 5,000 late; the watermark is 10,000 behind.
        for now in 0..200_000_i64 {
            let number = (now - (now * 7_919) % 5_000).max(0) as u64;
            let expected = if first.insert(number) { Seen::First } else { Seen::Again };
            assert_eq!(once.see(&id(number), number as i64), expected, "{number} at {now}");
            if now % 1_000 == 0 {
                once.forget(Some(now - 10_000));
                largest = largest.max(once.len());
            }
        }
        assert!(largest < 10_000 + 5_000 + 2 * SEGMENT, "{largest} ids were remembered");
    }

    #[test]
    fn what_was_forgotten_is_never_taken_for_new() {
        for (capacity, watermark) in [(1_000, None), (1_000_000, Some(5_000))] {
            let mut once = Once::new(capacity).unwrap();
            for number in 0..10_000 {
                assert_eq!(once.see(&id(number), number as i64), Seen::First);
            }
            once.forget(watermark);
            assert!(once.len() <= capacity);
            let again = (0..10_000).map(|number| once.see(&id(number), number as i64));
            assert_eq!(again.filter(|seen| *seen == Seen::First).count(), 0, "{capacity}");
        }
    }

    #[test]
    fn a_job_goes_on_where_another_stopped_and_saves_little_anew() {
        let mut once = Once::new(10_000_000).unwrap();
        for number in 0..100_000 {
            once.see(&id(number), number as i64);
        }
        once.forget(Some(10));
        let mut before = State::new(1);
        once.save("ids", &mut before).unwrap();
        let mut next = Once::new(10_000_000).unwrap();
        next.restore("ids", &before).unwrap();
        for number in 99_000..100_500 {
            assert_eq!(next.see(&id(number), number as i64), once.see(&id(number), number as i64));
        }
        assert_eq!(next.see(&id(200_000), 9), Seen::TooLate);
        let mut after = State::new(1);
        next.save("ids", &mut after).unwrap();
        let same = after.iter().filter(|(key, bytes)| before.get(key) == Some(bytes)).count();
        assert_eq!((same, after.iter().count()), (4, 5), "only the open segment differs");
        assert!(
            Once::new(1)
                .unwrap()
                .restore("ids", &{
                    let mut broken = State::new(1);
                    broken.put_json("ids", &(None::<i64>, 0)).unwrap();
                    broken.put("ids/0", vec![1, 2, 3]);
                    broken
                })
                .is_err()
        );
    }
}
