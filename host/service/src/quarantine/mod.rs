//! Operations on quarantine: count, show, export and retry rows.

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
