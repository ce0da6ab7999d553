//! Tests of sources and formats.

mod avro;
mod capture;
mod csv;
mod files;
mod harness;
mod json;
mod parquet;
mod real_data;
mod remote;
mod simulate;
