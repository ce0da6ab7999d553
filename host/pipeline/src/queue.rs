//! A queue between two threads, bounded by bytes.
//!
//! The last item received counts until the next one is asked for, because the receiver still works on it.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, SendTimeoutError, bounded};

use sluicebox_core::meter::Meters;

/// The most bytes in a queue. A single larger item is let in alone.
pub const MOST_BYTES: usize = 64 << 20;

/// The most items in a queue.
const MOST: usize = 6;

/// An item with a size.
pub trait Weighed {
    /// Its size in memory, in bytes.
    fn bytes(&self) -> usize;
}

/// The sending end of a queue.
#[derive(Debug)]
pub struct Sender<T> {
    to: crossbeam_channel::Sender<(usize, T)>,
    load: Arc<Load>,
}

/// The receiving end of a queue.
#[derive(Debug)]
pub struct Receiver<T> {
    from: crossbeam_channel::Receiver<(usize, T)>,
    load: Arc<Load>,
    /// The bytes of the item received last.
    taken: Cell<usize>,
}

/// The bytes in a queue.
#[derive(Debug)]
struct Load {
    state: Mutex<State>,
    /// Signalled when the bytes decrease.
    less: Condvar,
    meter: Arc<Meters>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    /// The receiver is gone.
    deserted: bool,
}

/// A queue whose bytes are counted by `meter`.
pub fn queue<T>(meter: Arc<Meters>) -> (Sender<T>, Receiver<T>) {
    let (to, from) = bounded(MOST);
    let load = Arc::new(Load { state: Mutex::default(), less: Condvar::new(), meter });
    (Sender { to, load: load.clone() }, Receiver { from, load, taken: Cell::new(0) })
}

impl<T: Weighed> Sender<T> {
    /// Sends an item. Returns it if there was no room within `wait`, or the receiver is gone.
    pub fn send_timeout(&self, thing: T, wait: Duration) -> Result<(), SendTimeoutError<T>> {
        let bytes = thing.bytes();
        let end = Instant::now() + wait;
        let mut state = self.load.state();
        while !state.deserted && state.bytes > 0 && state.bytes + bytes > MOST_BYTES {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SendTimeoutError::Timeout(thing));
            }
            state = self.load.less.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.bytes += bytes;
        // Under the lock, because otherwise the meter could show more bytes than there ever were.
        self.load.meter.add_in_flight(bytes as u64);
        drop(state);
        self.to.send_timeout((bytes, thing), end.saturating_duration_since(Instant::now())).map_err(|error| {
            self.load.release(bytes);
            match error {
                SendTimeoutError::Timeout((_, thing)) => SendTimeoutError::Timeout(thing),
                SendTimeoutError::Disconnected((_, thing)) => SendTimeoutError::Disconnected(thing),
            }
        })
    }

    /// Sends an item, waiting for room. False if the receiver is gone.
    pub fn send(&self, thing: T) -> bool {
        const WAIT: Duration = Duration::from_secs(60);
        let mut waiting = thing;
        loop {
            match self.send_timeout(waiting, WAIT) {
                Ok(()) => return true,
                Err(SendTimeoutError::Timeout(thing)) => waiting = thing,
                Err(SendTimeoutError::Disconnected(_)) => return false,
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Receives an item within this time.
    pub fn recv_timeout(&self, wait: Duration) -> Result<T, RecvTimeoutError> {
        self.load.release(self.taken.take());
        let (bytes, thing) = self.from.recv_timeout(wait)?;
        self.taken.set(bytes);
        Ok(thing)
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    /// Receives an item; `None` when no more can come.
    fn next(&mut self) -> Option<T> {
        self.load.release(self.taken.take());
        let (bytes, thing) = self.from.recv().ok()?;
        self.taken.set(bytes);
        Some(thing)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.load.state().deserted = true;
        self.load.less.notify_all();
        let left: usize = self.from.try_iter().map(|(bytes, _)| bytes).sum();
        self.load.release(self.taken.take() + left);
    }
}

impl Load {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two changes, also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, bytes: usize) {
        if bytes > 0 {
            let mut state = self.state();
            state.bytes = state.bytes.saturating_sub(bytes);
            self.meter.remove_in_flight(bytes as u64);
            drop(state);
            self.less.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heavy(usize);

    impl Weighed for Heavy {
        fn bytes(&self) -> usize {
            self.0
        }
    }

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn it_is_full_by_bytes_and_what_is_worked_on_counts() {
        let meter = Arc::new(Meters::default());
        let (to, from) = queue(meter.clone());
        let third = MOST_BYTES / 3;
        for _ in 0..3 {
            assert!(to.send(Heavy(third)));
        }
        assert!(matches!(to.send_timeout(Heavy(third), SOON), Err(SendTimeoutError::Timeout(_))));
        assert!(from.recv_timeout(SOON).is_ok());
        // The first item is received and still counts.
        assert!(matches!(to.send_timeout(Heavy(third), SOON), Err(SendTimeoutError::Timeout(_))));
        assert!(from.recv_timeout(SOON).is_ok());
        assert!(to.send_timeout(Heavy(third), SOON).is_ok());
        assert_eq!(meter.read().peak_in_flight, 3 * third as u64);
        drop(from);
        assert_eq!(meter.in_flight(), 0);
    }

    #[test]
    fn what_is_larger_than_all_may_pass_alone() {
        let (to, from) = queue(Arc::new(Meters::default()));
        assert!(to.send_timeout(Heavy(2 * MOST_BYTES), SOON).is_ok());
        assert!(matches!(to.send_timeout(Heavy(1), SOON), Err(SendTimeoutError::Timeout(_))));
        assert!(from.recv_timeout(SOON).is_ok());
        assert!(matches!(from.recv_timeout(SOON), Err(RecvTimeoutError::Timeout)));
        assert!(to.send_timeout(Heavy(2 * MOST_BYTES), SOON).is_ok());
    }

    #[test]
    fn whoever_waits_for_room_hears_that_nobody_takes_any_more() {
        let (to, from) = queue(Arc::new(Meters::default()));
        assert!(to.send(Heavy(MOST_BYTES)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| to.send(Heavy(1)));
            drop(from);
            assert!(!waiting.join().unwrap_or(true));
        });
    }

    #[test]
    fn small_things_are_counted_as_well() {
        let (to, mut from) = queue(Arc::new(Meters::default()));
        for _ in 0..MOST {
            assert!(to.send(Heavy(0)));
        }
        assert!(matches!(to.send_timeout(Heavy(0), SOON), Err(SendTimeoutError::Timeout(_))));
        drop(to);
        assert_eq!(from.by_ref().count(), MOST);
        assert!(from.next().is_none());
    }
}
