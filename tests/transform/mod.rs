//! Tests of transform.
