//! Problems of a pipeline file: collected while it is read, shown with their place and a hint.
//!
//! Nothing here knows the keys of a pipeline file.

mod context;
mod problem;
mod suggest;
mod text;

pub use problem::{Level, Problem, Problems, Snippet};

pub(crate) use context::{At, Context, MOST_PROBLEMS};
pub(crate) use problem::Draft;
pub(crate) use suggest::{list, meant, meant_or_known};
pub(crate) use text::{Span, Text};
