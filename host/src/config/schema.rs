//! The JSON Schema that editors check pipeline files against.
