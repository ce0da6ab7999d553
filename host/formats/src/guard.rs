//! Turns panics of decoders into errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Decoded, FormatError, Rows};

/// Runs `work` on untrusted bytes. The libraries that decode Parquet and Avro are careful, but no file may end the
/// program.
pub(super) fn guarded<T>(done: u64, work: impl FnOnce() -> Result<T, FormatError>) -> Result<T, FormatError> {
    // State that `work` leaves incomplete is not used again: an error ends the file.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(FormatError::Decoder { done, message: told(&*panic) }))
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// A reader whose decoder may panic.
pub(super) struct Guarded {
    rows: Box<dyn Rows>,
    done: u64,
    failed: bool,
}

impl Guarded {
    /// `rows`, of which `done` were read before.
    pub(super) fn new(rows: Box<dyn Rows>, done: u64) -> Self {
        Self { rows, done, failed: false }
    }
}

impl Rows for Guarded {
    fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
        if self.failed {
            return Ok(None);
        }
        let next = guarded(self.done, || self.rows.next());
        match &next {
            Ok(Some(decoded)) => self.done = decoded.done,
            Ok(None) => {}
            Err(_) => self.failed = true,
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl Rows for Panics {
        fn next(&mut self) -> Result<Option<Decoded>, FormatError> {
            panic!("index out of bounds")
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let mut rows = Guarded::new(Box::new(Panics), 7);
        let error = rows.next().unwrap_err();
        assert!(matches!(error, FormatError::Decoder { done: 7, ref message } if message == "index out of bounds"));
        assert!(rows.next().unwrap().is_none());
    }
}
