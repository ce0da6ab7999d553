//! Tests of sources and formats.

pub mod avro;
mod avro_messages;
mod avro_oracle;
mod capture;
mod csv;
mod file_columns;
mod files;
mod folders;
mod harness;
mod json;
mod json_oracle;
mod parquet;
mod real_data;
mod remote;
mod simulate;
