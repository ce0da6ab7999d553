//! Rust bindings of `wit/transform.wit`. Generated; they are private to this crate.
//!
//! `sink` is linked by hand in `sink.rs`: the generated `emit` would copy every batch twice, and would copy strings
//! before their length could be checked.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "transformer",
});
