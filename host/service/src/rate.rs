//! Rates of counters over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use sluicebox_core::meter::Reading;

/// The window of a rate: short enough to show a stall, long enough not to flicker.
const WINDOW: Duration = Duration::from_secs(5);

/// The readings of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Duration, Reading)>);

impl Rate {
    /// Adds a reading, with the time since the start, and returns rows in and bytes in per second over the window.
    pub(super) fn take(&mut self, at: Duration, reading: Reading) -> (f64, f64) {
        self.0.push_back((at, reading));
        while self.0.len() > 2 && at.saturating_sub(self.0[1].0) >= WINDOW {
            self.0.pop_front();
        }
        let Some((since, first)) = self.0.front() else { return (0.0, 0.0) };
        let seconds = at.saturating_sub(*since).as_secs_f64();
        if seconds == 0.0 {
            return (0.0, 0.0);
        }
        let grown = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (grown(reading.rows_in, first.rows_in), grown(reading.bytes_in, first.bytes_in))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_what_is_long_past() {
        let mut rate = Rate::default();
        let mut take = |second: u64, rows_in: u64| {
            rate.take(Duration::from_secs(second), Reading { rows_in, ..Reading::default() }).0
        };
        assert_eq!(take(0, 0), 0.0);
        assert_eq!(take(2, 2_000), 1_000.0);
        assert_eq!(take(5, 5_000), 1_000.0);
        assert_eq!(take(10, 5_000), 0.0, "nothing came in the last five seconds");
        assert_eq!(take(12, 9_000), 4_000.0 / 7.0);
    }
}
