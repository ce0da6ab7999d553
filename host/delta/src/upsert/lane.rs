//! Rewrites several files at once and emits their rows in the order of the files.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use roaring::RoaringTreemap;

use super::{Counts, Work};
use crate::data_file::Written;
use crate::error::DeltaError;
use crate::read::DataRef;

/// Lets several threads act in the order of their numbers.
pub(super) struct Turns {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    next: usize,
    broken: bool,
}

/// Another thread failed, so this thread's turn never comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken;

impl Turns {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::default()), moved: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all before `number` are done.
    pub(super) fn wait(&self, number: usize) -> Result<(), Broken> {
        let mut state = self.state();
        while state.next < number && !state.broken {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.broken { Err(Broken) } else { Ok(()) }
    }

    /// Ends the turn of `number`.
    pub(super) fn done(&self, number: usize) {
        self.state().next = number + 1;
        self.moved.notify_all();
    }

    /// Ends all turns, after a failure.
    pub(super) fn give_up(&self) {
        self.state().broken = true;
        self.moved.notify_all();
    }
}

/// The most bytes of rows that wait for their turn.
const WAITING_BYTES: usize = 8 << 20;

/// Why the rewriting of a file ended early.
pub(super) enum Halt {
    /// It failed.
    Failed(DeltaError),
    /// The rewriting of another file failed.
    Elsewhere,
}

impl From<DeltaError> for Halt {
    fn from(error: DeltaError) -> Self {
        Self::Failed(error)
    }
}

/// The output of one file to the shared work: rows in the order of files, whichever thread is faster.
pub(super) struct Lane<'l, 'w, 'a> {
    number: usize,
    turns: &'l Turns,
    work: &'l Mutex<&'w mut Work<'a>>,
    feeds: bool,
    counts: Counts,
    waiting: Vec<Item>,
    waiting_bytes: usize,
    in_turn: bool,
}

enum Item {
    /// Rows for a file with rows of several files.
    Row(RecordBatch),
    /// Rows of change data.
    Told(RecordBatch),
}

impl<'l, 'w, 'a> Lane<'l, 'w, 'a> {
    pub(super) fn new(number: usize, turns: &'l Turns, work: &'l Mutex<&'w mut Work<'a>>, feeds: bool) -> Self {
        let (waiting, counts) = (Vec::new(), Counts::default());
        Self { number, turns, work, feeds, counts, waiting, waiting_bytes: 0, in_turn: false }
    }

    /// Whether changes are recorded.
    pub(super) fn feeds(&self) -> bool {
        self.feeds
    }

    pub(super) fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Rows for a file with rows of several files.
    pub(super) fn write(&mut self, rows: RecordBatch) -> Result<(), Halt> {
        self.push(rows.get_array_memory_size(), Item::Row(rows))
    }

    /// Rows of change data.
    pub(super) fn tell(&mut self, rows: RecordBatch) -> Result<(), Halt> {
        self.push(rows.get_array_memory_size(), Item::Told(rows))
    }

    fn push(&mut self, bytes: usize, item: Item) -> Result<(), Halt> {
        self.waiting.push(item);
        self.waiting_bytes += bytes;
        if self.waiting_bytes > WAITING_BYTES { self.pass_on() } else { Ok(()) }
    }

    /// Waits for the turn of this file and emits the waiting rows.
    fn pass_on(&mut self) -> Result<(), Halt> {
        if !self.in_turn {
            self.turns.wait(self.number).map_err(|Broken| Halt::Elsewhere)?;
            self.in_turn = true;
        }
        self.waiting_bytes = 0;
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        for item in self.waiting.drain(..) {
            match item {
                Item::Row(rows) => work.move_rows(&rows)?,
                Item::Told(rows) => work.feed(&rows)?,
            }
        }
        Ok(())
    }

    /// As [`Self::finish`], for a file with more deleted rows, of `rows` in all.
    pub(super) fn finish_marked(
        mut self,
        file: &DataRef,
        deleted: Option<RoaringTreemap>,
        rows: u64,
    ) -> Result<(), Halt> {
        self.pass_on()?;
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.counts += self.counts;
        if let Some(deleted) = deleted {
            work.mark(file, deleted, rows);
        }
        drop(work);
        self.turns.done(self.number);
        Ok(())
    }

    /// Finishes the file: `changed` says whether any row changed, and `written` is its replacement.
    pub(super) fn finish(mut self, file: &DataRef, changed: bool, written: Option<Written>) -> Result<(), Halt> {
        if let Err(halt) = self.pass_on() {
            let paths = written.iter().map(|written| written.add.path.clone()).collect();
            self.work.lock().unwrap_or_else(PoisonError::into_inner).discard(paths);
            return Err(halt);
        }
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.counts += self.counts;
        if changed {
            work.replaced(file, written);
        }
        drop(work);
        self.turns.done(self.number);
        Ok(())
    }
}
