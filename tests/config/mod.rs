//! The pipeline file: what is refused and how that reads, what is taken and what it means.

mod cases;
mod document;
mod load;
mod schema;
