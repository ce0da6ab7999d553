//! Windows of event time: which windows a row belongs to, and when a window is complete.
//!
//! For a sum or a count no state is needed: emit the window's start as a column and let an `accumulate` table sum.
//! Late rows then correct their window, whenever they come. [`Windowed`] and [`Sessions`] are for results that cannot
//! be summed, or that must be emitted only when a window is complete.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Failure, Result, State};

/// A span of time, in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first microsecond.
    pub start: i64,
    /// The first microsecond after it.
    pub end: i64,
}

/// Windows of one size at equal distances, aligned to 1970-01-01 UTC.
///
/// ```
/// use std::time::Duration;
/// use sluicebox_sdk::{Window, Windows};
///
/// let hours = Windows::tumbling(Duration::from_secs(3_600))?;
/// assert_eq!(hours.start(5_400_000_000), 3_600_000_000);
///
/// let halves = Windows::sliding(Duration::from_secs(60), Duration::from_secs(30))?;
/// let held: Vec<_> = halves.of(70_000_000).map(|window| window.start).collect();
/// assert_eq!(held, [30_000_000, 60_000_000]);
/// # Ok::<(), sluicebox_sdk::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    size: i64,
    step: i64,
}

impl Windows {
    /// Tumbling windows: each time is in exactly one.
    ///
    /// # Errors
    /// [`Failure::Config`] if the size is less than a microsecond or more than 292,000 years.
    pub fn tumbling(size: Duration) -> Result<Self> {
        Self::sliding(size, size)
    }

    /// Sliding windows, which begin at every multiple of `step`. With a step above the size some times are in no
    /// window.
    ///
    /// # Errors
    /// [`Failure::Config`] if one of them is less than a microsecond or more than 292,000 years.
    pub fn sliding(size: Duration, step: Duration) -> Result<Self> {
        Ok(Self { size: micros("the size of a window", size)?, step: micros("the step of a window", step)? })
    }

    /// The start of the last window that begins at or before a time.
    pub fn start(&self, at: i64) -> i64 {
        at - at.rem_euclid(self.step)
    }

    /// The windows that contain a time, the earliest first.
    pub fn of(&self, at: i64) -> impl Iterator<Item = Window> + use<> {
        let Self { size, step } = *self;
        let last = self.start(at);
        // The windows that begin less than a size before the time.
        let earlier = (size - 1 - (at - last)).div_euclid(step);
        (0..=earlier).rev().map(move |back| {
            let start = last - back * step;
            Window { start, end: start.saturating_add(size) }
        })
    }
}

/// A watermark: the latest event time seen, minus the lateness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    lateness: i64,
    latest: Option<i64>,
}

impl Watermark {
    /// A watermark without rows; rows may be this much later than the latest.
    ///
    /// # Errors
    /// [`Failure::Config`] if the lateness is more than 292,000 years.
    pub fn new(lateness: Duration) -> Result<Self> {
        let lateness = if lateness.is_zero() { 0 } else { micros("the lateness of rows", lateness)? };
        Ok(Self { lateness, latest: None })
    }

    /// Observes the event time of a row.
    pub fn see(&mut self, at: i64) {
        self.latest = self.latest.max(Some(at));
    }

    /// The event time before which no row is expected any more; `None` before the first row.
    pub fn at(&self) -> Option<i64> {
        self.latest.map(|latest| latest.saturating_sub(self.lateness))
    }

    /// Whether a window is complete.
    pub fn is_past(&self, window: Window) -> bool {
        self.at().is_some_and(|at| window.end <= at)
    }
}

/// Values by key and window, collected until the window is complete.
///
/// Rows of one push advance the watermark together: call [`see`](Self::see) with every row of a batch before
/// [`add`](Self::add), because otherwise rows of one batch could make each other late.
#[derive(Clone, Debug)]
pub struct Windowed<K, V> {
    windows: Windows,
    watermark: Watermark,
    open: BTreeMap<(Window, K), V>,
}

impl<K: Ord + Clone, V: Default> Windowed<K, V> {
    /// No values yet.
    pub fn new(windows: Windows, watermark: Watermark) -> Self {
        Self { windows, watermark, open: BTreeMap::new() }
    }

    /// Observes the event time of a row.
    pub fn see(&mut self, at: i64) {
        self.watermark.see(at);
    }

    /// Adds a row to each of its windows that is not complete. Returns whether there was one; otherwise the row is
    /// late, and the module decides what to do with it.
    pub fn add(&mut self, key: &K, at: i64, mut gather: impl FnMut(&mut V)) -> bool {
        let mut taken = false;
        for window in self.windows.of(at).filter(|window| !self.watermark.is_past(*window)) {
            gather(self.open.entry((window, key.clone())).or_default());
            taken = true;
        }
        taken
    }

    /// Removes and returns the complete windows, in the order of time and key.
    pub fn take_complete(&mut self) -> Vec<(Window, K, V)> {
        let complete = |(window, _): &(Window, K)| self.watermark.is_past(*window);
        // A sliding window that began later never ends earlier, so complete windows come first.
        let count = self.open.keys().take_while(|place| complete(place)).count();
        (0..count).filter_map(|_| self.open.pop_first()).map(|((window, key), value)| (window, key, value)).collect()
    }

    /// The number of open windows.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no window is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl<K: Ord + Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Windowed<K, V> {
    /// Saves everything under a key of the state.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be written as JSON.
    pub fn save(&self, key: &str, state: &mut State) -> Result<()> {
        state.put_json(key, &(self.watermark.latest, self.open.iter().collect::<Vec<_>>()))
    }

    /// Restores what `save` saved, if there is anything.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be read.
    pub fn restore(&mut self, key: &str, state: &State) -> Result<()> {
        if let Some((latest, open)) = state.json::<(Option<i64>, Vec<((Window, K), V)>)>(key)? {
            self.watermark.latest = latest;
            self.open = open.into_iter().collect();
        }
        Ok(())
    }
}

/// A value that can be merged when two sessions become one.
pub trait Merge {
    /// Merges the value of another session.
    fn merge(&mut self, other: Self);
}

/// Values by key and session: rows that follow one another within a gap.
///
/// As for [`Windowed`], `see` every row of a batch before adding the first.
#[derive(Clone, Debug)]
pub struct Sessions<K, V> {
    gap: i64,
    watermark: Watermark,
    open: BTreeMap<K, Vec<(Window, V)>>,
}

impl<K: Ord + Clone, V: Merge> Sessions<K, V> {
    /// No values yet. A session ends when no row comes for `gap`.
    ///
    /// # Errors
    /// [`Failure::Config`] if the gap is less than a microsecond or more than 292,000 years.
    pub fn new(gap: Duration, watermark: Watermark) -> Result<Self> {
        Ok(Self { gap: micros("the gap between sessions", gap)?, watermark, open: BTreeMap::new() })
    }

    /// Observes the event time of a row.
    pub fn see(&mut self, at: i64) {
        self.watermark.see(at);
    }

    /// Adds a row: as a new session, to the session that it extends, or to both that it joins. Returns whether it was
    /// accepted; a row whose own session would be complete already is late.
    pub fn add(&mut self, key: &K, at: i64, value: V) -> bool {
        let mut window = Window { start: at, end: at.saturating_add(self.gap) };
        let sessions = self.open.get(key).map_or(&[][..], Vec::as_slice);
        let joins = sessions.iter().any(|(other, _)| overlaps(*other, window));
        if !joins && self.watermark.is_past(window) {
            return false;
        }
        let sessions = self.open.entry(key.clone()).or_default();
        let mut gathered = value;
        for (other, earlier) in std::mem::take(sessions) {
            if overlaps(other, window) {
                window = Window { start: window.start.min(other.start), end: window.end.max(other.end) };
                let later = std::mem::replace(&mut gathered, earlier);
                gathered.merge(later);
            } else {
                sessions.push((other, earlier));
            }
        }
        let place = sessions.partition_point(|(other, _)| other.start < window.start);
        sessions.insert(place, (window, gathered));
        true
    }

    /// Removes and returns the complete sessions, in the order of key and time.
    pub fn take_complete(&mut self) -> Vec<(Window, K, V)> {
        let mut complete = Vec::new();
        let watermark = self.watermark;
        self.open.retain(|key, sessions| {
            for (window, value) in std::mem::take(sessions) {
                match watermark.is_past(window) {
                    true => complete.push((window, key.clone(), value)),
                    false => sessions.push((window, value)),
                }
            }
            !sessions.is_empty()
        });
        complete
    }
}

impl<K: Ord + Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Sessions<K, V> {
    /// Saves everything under a key of the state.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be written as JSON.
    pub fn save(&self, key: &str, state: &mut State) -> Result<()> {
        state.put_json(key, &(self.watermark.latest, self.open.iter().collect::<Vec<_>>()))
    }

    /// Restores what `save` saved, if there is anything.
    ///
    /// # Errors
    /// [`Failure::State`] if it cannot be read.
    pub fn restore(&mut self, key: &str, state: &State) -> Result<()> {
        if let Some((latest, open)) = state.json::<(Option<i64>, Vec<(K, Vec<(Window, V)>)>)>(key)? {
            self.watermark.latest = latest;
            self.open = open.into_iter().collect();
        }
        Ok(())
    }
}

/// Whether a row and a session, or two sessions, overlap: a session lasts a gap beyond its last row.
fn overlaps(one: Window, other: Window) -> bool {
    one.start < other.end && other.start < one.end
}

fn micros(what: &str, span: Duration) -> Result<i64> {
    let micros = i64::try_from(span.as_micros()).map_err(|_| Failure::config(format!("{what} is too long")))?;
    if micros == 0 { Err(Failure::config(format!("{what} is less than a microsecond"))) } else { Ok(micros) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(start: i64, end: i64) -> Window {
        Window { start, end }
    }

    #[test]
    fn every_moment_is_in_one_tumbling_window_also_before_1970() {
        let windows = Windows::tumbling(Duration::from_micros(10)).unwrap();
        for at in -25..25 {
            let held: Vec<_> = windows.of(at).collect();
            assert_eq!(held, [window(at.div_euclid(10) * 10, at.div_euclid(10) * 10 + 10)], "{at}");
        }
    }

    #[test]
    fn sliding_windows_are_those_that_hold_the_moment() {
        for (size, step) in [(10, 5), (10, 3), (7, 7), (3, 10), (1, 1)] {
            let windows = Windows::sliding(Duration::from_micros(size), Duration::from_micros(step)).unwrap();
            let (size, step) = (size as i64, step as i64);
            for at in -40..40 {
                let expected: Vec<_> = (-60..60)
                    .map(|number| window(number * step, number * step + size))
                    .filter(|window| window.start <= at && at < window.end)
                    .collect();
                assert_eq!(windows.of(at).collect::<Vec<_>>(), expected, "{size} {step} {at}");
            }
        }
    }

    #[test]
    fn a_window_comes_out_once_when_the_watermark_is_past_it() {
        let windows = Windows::tumbling(10 * SECOND).unwrap();
        let mut gathered = Windowed::<&str, i64>::new(windows, Watermark::new(5 * SECOND).unwrap());
        let add = |gathered: &mut Windowed<&'static str, i64>, key, second: i64| {
            gathered.see(second * 1_000_000);
            gathered.add(&key, second * 1_000_000, |count| *count += 1)
        };
        for (key, second) in [("b", 1), ("a", 9), ("a", 3), ("a", 14)] {
            assert!(add(&mut gathered, key, second));
        }
        assert_eq!(gathered.take_complete(), []);
        assert!(add(&mut gathered, "a", 15));
        let first = window(0, 10_000_000);
        assert_eq!(gathered.take_complete(), [(first, "a", 2), (first, "b", 1)]);
        assert_eq!(gathered.take_complete(), []);
        assert!(!add(&mut gathered, "a", 9), "the window is gone, and the row is too late for it");
        assert_eq!(gathered.len(), 1);
    }

    #[test]
    fn what_is_gathered_outlives_the_job() {
        let new = || {
            Windowed::<String, i64>::new(Windows::tumbling(SECOND).unwrap(), Watermark::new(Duration::ZERO).unwrap())
        };
        let mut gathered = new();
        gathered.see(1_500_000);
        gathered.add(&"a".to_owned(), 1_500_000, |sum| *sum += 7);
        let mut state = State::new(1);
        gathered.save("windows", &mut state).unwrap();
        let mut next = new();
        next.restore("windows", &state).unwrap();
        assert!(!next.add(&"a".to_owned(), 500_000, |sum| *sum += 1), "the watermark is kept too");
        next.see(2_000_000);
        assert_eq!(next.take_complete(), [(window(1_000_000, 2_000_000), "a".to_owned(), 7)]);
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Seen(Vec<i64>);

    impl Merge for Seen {
        fn merge(&mut self, other: Self) {
            self.0.extend(other.0);
            self.0.sort_unstable();
        }
    }

    #[test]
    fn sessions_grow_and_join_in_whatever_order_rows_come() {
        // Seconds of two sessions, 0..=12 and 40, with a gap of 10 between them and more.
        let seconds = [0, 5, 12, 40];
        let mut orders = vec![seconds.to_vec(), seconds.iter().rev().copied().collect()];
        orders.push(vec![12, 0, 40, 5]);
        for order in orders {
            let mut sessions = Sessions::new(10 * SECOND, Watermark::new(100 * SECOND).unwrap()).unwrap();
            for second in &order {
                sessions.see(*second * 1_000_000);
                assert!(sessions.add(&"a", *second * 1_000_000, Seen(vec![*second])));
            }
            assert_eq!(sessions.take_complete(), []);
            sessions.see(200_000_000);
            let expected = [
                (window(0, 22_000_000), "a", Seen(vec![0, 5, 12])),
                (window(40_000_000, 50_000_000), "a", Seen(vec![40])),
            ];
            assert_eq!(sessions.take_complete(), expected, "{order:?}");
            assert!(!sessions.add(&"a", 0, Seen(vec![0])));
        }
    }

    #[test]
    fn spans_that_are_none_are_refused() {
        assert!(matches!(Windows::tumbling(Duration::ZERO), Err(Failure::Config(_))));
        assert!(matches!(Windows::tumbling(Duration::MAX), Err(Failure::Config(_))));
        assert!(Watermark::new(Duration::ZERO).is_ok());
    }
}
