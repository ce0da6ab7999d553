//! Delta tables: read, write, commit exactly once.
