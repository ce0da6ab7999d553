//! Tests of sources and formats.

pub mod avro;
mod avro_messages;
mod capture;
mod csv;
mod files;
mod harness;
mod json;
mod parquet;
mod real_data;
mod remote;
mod simulate;
