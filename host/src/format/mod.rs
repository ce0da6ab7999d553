//! Bytes to rows: CSV, JSON lines, Parquet, Avro.

mod json_rows;

pub use json_rows::{infer_json, rows_as_json, rows_from_json};
