//! A queue between two threads that is full when what lies in it takes the memory that it may.
//!
//! What was taken out last counts until the next is asked for, because that is how long whoever
//! takes it works on it.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, SendTimeoutError, bounded};

use sluicebox_core::meter::Meters;

/// Bytes that may lie in one queue. A single thing that is larger is let in alone.
pub const MOST_BYTES: usize = 64 << 20;

/// Things that may lie in one queue, however small they are.
const MOST: usize = 6;

/// What takes memory while it waits.
pub trait Weighed {
    /// How much that is, in bytes.
    fn bytes(&self) -> usize;
}

/// Where things go in.
#[derive(Debug)]
pub struct Sender<T> {
    to: crossbeam_channel::Sender<(usize, T)>,
    load: Arc<Load>,
}

/// Where they come out, in their order.
#[derive(Debug)]
pub struct Receiver<T> {
    from: crossbeam_channel::Receiver<(usize, T)>,
    load: Arc<Load>,
    /// The bytes of what was taken out last.
    taken: Cell<usize>,
}

/// What lies in a queue.
#[derive(Debug)]
struct Load {
    state: Mutex<State>,
    /// There is less of it than there was.
    less: Condvar,
    meter: Arc<Meters>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    /// Nobody takes anything out any more.
    deserted: bool,
}

/// A queue whose bytes are counted by `meter`.
pub fn queue<T>(meter: Arc<Meters>) -> (Sender<T>, Receiver<T>) {
    let (to, from) = bounded(MOST);
    let load = Arc::new(Load { state: Mutex::default(), less: Condvar::new(), meter });
    (Sender { to, load: load.clone() }, Receiver { from, load, taken: Cell::new(0) })
}

impl<T: Weighed> Sender<T> {
    /// Puts one in; gives it back if there was no room all the time, or nobody takes any more.
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
        // Under the lock, or the count could show more at once than there ever was.
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

    /// Puts one in, however long that takes. False if nobody takes any more.
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
    /// Takes one out, if one comes within this time.
    pub fn recv_timeout(&self, wait: Duration) -> Result<T, RecvTimeoutError> {
        self.load.release(self.taken.take());
        let (bytes, thing) = self.from.recv_timeout(wait)?;
        self.taken.set(bytes);
        Ok(thing)
    }
}

impl<T> Iterator for Receiver<T> {
    type Item = T;

    /// Takes one out, however long that takes; `None` when no more can come.
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
        // A number is whole between any two changes to it.
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
        // The first one is out of the queue, and still takes memory.
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
