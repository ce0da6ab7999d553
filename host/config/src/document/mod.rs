//! The file as TOML: a tree of values with their places, and conversions of the whole tree. Nothing here knows the
//! keys of a pipeline.

mod json;
mod places;
mod resolved;
mod syntax;
mod tree;

pub use places::Places;

pub(crate) use json::{canonical, object};
pub(crate) use resolved::text as resolved_text;
pub(crate) use tree::{Entry, Node, Value, entries, parse};
