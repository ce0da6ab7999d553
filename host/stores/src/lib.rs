//! Where bytes lie: folders of the local disk and of object stores, and files put there durably.
//!
//! A [`Location`] is a folder and the store that reaches it. [`put_new`] puts a file only where none is,
//! which is what commits of tables stand on; an [`Upload`] is a larger file in the making.

mod disk;
mod error;
mod location;
mod put;
mod upload;

pub use error::{Cause, FORBIDDEN, StoreError, io_hint, io_kind, is_forbidden, is_passing};
pub use location::Location;
pub use put::{PutError, create_folder, discard, new_id, put_local, put_new, sync_folder};
pub use upload::Upload;
