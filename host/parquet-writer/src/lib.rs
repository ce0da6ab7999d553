//! Parquet files with encodings that follow the data, and row groups spliced from other files.
//!
//! A [`FileWriter`] writes record batches; [`Encodings`] remembers how the columns of a table are best encoded. A row
//! group of another file can be spliced in as encoded bytes ([`FileWriter::splice`]), also with some of its columns
//! replaced ([`FileWriter::patch`]). Nothing here knows of tables or logs.

mod chunk;
mod dictionary;
mod encoding;
mod file_writer;
mod integers;
mod row_group;
mod validity;

pub use encoding::{Choice, Encodings, ROW_GROUP_ROWS};
pub use file_writer::{FileWriter, takes};
pub use row_group::has_nan;
