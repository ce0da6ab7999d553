//! Threads on which modules may run.

use std::cell::Cell;
use std::io;
use std::panic::resume_unwind;
use std::thread::{self, Builder, JoinHandle};

use super::engine::STACK_CEILING;

/// The stack that the host needs on top of a module's: an import may be called at the very end of it, and batches are
/// decoded there.
const HOST_SHARE: usize = 4 << 20;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread with a stack larger than the largest stack of a module.
///
/// The engine ends a module that exhausts *its* stack with an error, but an overflow of the thread's own stack would
/// abort the process. A [`Job`](super::Job) therefore refuses to run on any other thread.
///
/// # Errors
/// As [`Builder::spawn`].
pub fn spawn_guest_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    builder(name).spawn(guarded(work))
}

/// Runs `work` on a thread as [`spawn_guest_thread`] starts it, and waits for it. It may borrow; a panic in it goes on
/// here.
///
/// # Errors
/// As [`Builder::spawn`].
pub fn on_guest_thread<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = builder(name).spawn_scoped(scope, guarded(work))?;
        thread.join().map_or_else(|panic| resume_unwind(panic), Ok)
    })
}

fn builder(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(STACK_CEILING + HOST_SHARE)
}

fn guarded<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        GUARDED.set(true);
        work()
    }
}

/// Whether the present thread was started by [`spawn_guest_thread`].
pub(super) fn is_guest_thread() -> bool {
    GUARDED.get()
}
