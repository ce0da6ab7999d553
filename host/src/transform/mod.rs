//! The sandbox: modules in, rows through, nothing else.
