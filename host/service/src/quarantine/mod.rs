//! Rows that could not go on: counted, shown, written to files, and let in again.

mod error;
mod export;
mod list;
mod retry;
mod rows;

pub use error::QuarantineError;
pub use export::export;
pub use list::{ReasonCount, list};
pub use retry::retry;
pub use rows::{QuarantineRow, QuarantineRows, rows};
