//! Bytes to rows: CSV, JSON lines, Parquet, Avro.
