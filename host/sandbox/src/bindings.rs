//! What `wit/transform.wit` looks like in Rust. Generated; it never leaves `transform`.
//!
//! `sink` is linked by hand in `sink.rs`: the generated `emit` would copy every batch
//! twice, and its strings would be lifted before their length could be looked at.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "transformer",
});
