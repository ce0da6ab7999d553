//! Locations of bytes: folders on the local disk and in object stores, and files written durably.
//!
//! A [`Location`] is a folder and its store. [`put_new`] creates a file only if none exists, which commits of tables
//! depend on; an [`Upload`] is a larger file being written.

mod disk;
mod error;
mod hint;
mod location;
mod put;
mod upload;

pub use error::{
    Cause, FORBIDDEN, StoreError, TOO_MANY_FILES, io_hint, io_kind, is_forbidden, is_out_of_handles, is_passing,
};
pub use hint::checkpoint_name;
pub use location::Location;
pub use put::{PutError, create_folder, discard, new_id, put_local, put_new, sync_folder};
pub use upload::Upload;
