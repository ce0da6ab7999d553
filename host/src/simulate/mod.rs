//! Generated rows: the same seed gives the same rows.
