//! Tests of sources and formats.

pub mod avro;
mod avro_messages;
mod avro_oracle;
mod capture;
mod csv;
mod exact;
mod file_columns;
mod files;
mod folders;
mod generated;
mod harness;
mod json;
mod json_oracle;
mod parquet;
mod peers;
mod real_data;
mod remote;
mod simulate;
