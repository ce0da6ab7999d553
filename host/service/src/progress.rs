//! The progress of a run, read from its counters at a steady pace.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::event::{Event, Events};
use crate::rate::Rate;
use sluicebox_core::meter::{Meters, Reading};

/// The interval between two readings.
const PACE: Duration = Duration::from_millis(100);

/// The progress of every hop.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The time since the run began.
    pub elapsed: Duration,
    /// Every hop, in the order of the plan.
    pub hops: Vec<HopProgress>,
}

/// The progress of one hop.
#[derive(Clone, Debug, PartialEq)]
pub struct HopProgress {
    /// Its name.
    pub hop: String,
    /// Its counters.
    pub reading: Reading,
    /// Rows read from the upstream per second, over the last seconds.
    pub rows_per_second: f64,
    /// Bytes of rows read per second, over the last seconds.
    pub bytes_per_second: f64,
}

/// Reads counters and computes rates.
struct Sampler {
    hops: Vec<(String, Arc<Meters>, Rate)>,
}

impl Sampler {
    fn new(hops: Vec<(String, Arc<Meters>)>) -> Self {
        let begun = |(hop, meters): (String, Arc<Meters>)| {
            let mut rate = Rate::default();
            rate.take(Duration::ZERO, meters.read());
            (hop, meters, rate)
        };
        Self { hops: hops.into_iter().map(begun).collect() }
    }

    fn take(&mut self, elapsed: Duration) -> Progress {
        let hops = self.hops.iter_mut().map(|(hop, meters, rate)| {
            let reading = meters.read();
            let (rows_per_second, bytes_per_second) = rate.take(elapsed, reading);
            HopProgress { hop: hop.clone(), reading, rows_per_second, bytes_per_second }
        });
        Progress { elapsed, hops: hops.collect() }
    }
}

/// Sends progress events from its own thread, so that it stays live while all other threads are busy.
pub(crate) struct Ticker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Ticker {
    /// Starts sending the progress of these hops, each with its name and counters.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(crate) fn start(hops: Vec<(String, Arc<Meters>)>, events: Events) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (mut sampler, started) = (Sampler::new(hops), Instant::now());
        let thread = thread::Builder::new().name("progress".into()).spawn(move || {
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                events.send(Event::Progress(sampler.take(started.elapsed())));
            }
            events.send(Event::Progress(sampler.take(started.elapsed())));
        })?;
        Ok(Self { stop, thread })
    }

    /// Sends the last counters, and stops.
    pub(crate) fn finish(self) {
        drop(self.stop);
        // A listener's panic is already reported, and the run's result matters more.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_counts_and_knows_rates_from_the_beginning_on() {
        let meters = Arc::new(Meters::default());
        Meters::add(&meters.rows_in, 100);
        let mut sampler = Sampler::new(vec![("land".into(), meters.clone())]);
        Meters::add(&meters.rows_in, 1_000);
        let progress = sampler.take(Duration::from_secs(2));
        assert_eq!(progress.elapsed, Duration::from_secs(2));
        assert_eq!((progress.hops[0].hop.as_str(), progress.hops[0].reading.rows_in), ("land", 1_100));
        assert_eq!(progress.hops[0].rows_per_second, 500.0, "what was there before is not of this run");
    }

    #[test]
    fn a_ticker_tells_the_last_counters_when_it_is_told_to_end() {
        let meters = Arc::new(Meters::default());
        let (events, told) = Events::channel();
        let ticker = Ticker::start(vec![("land".into(), meters.clone())], events).expect("there is a thread");
        Meters::add(&meters.commits, 3);
        ticker.finish();
        let last = told.iter().last().expect("there is always a last one");
        assert!(matches!(last, Event::Progress(Progress { hops, .. }) if hops[0].reading.commits == 3));
    }
}
