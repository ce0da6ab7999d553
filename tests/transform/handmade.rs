//! Components that no compiler would make: hostile at the seams that a language hides.

use std::time::Duration;

use sluicebox_core::fault::Fault;
use sluicebox_core::plan::Limits;
use sluicebox_sandbox::{AdmissionError, Cause, JobError, Module, ModuleError};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::modules::sandbox;

/// A core module with the contract's exports, all of which trap unless `text` says otherwise.
pub struct Handmade {
    memory: &'static str,
    realloc: &'static str,
    describe: &'static str,
    more: &'static str,
}

pub const HONEST: Handmade = Handmade {
    memory: "1",
    // Always the same place: nobody looks at what is written there.
    realloc: "(i32.const 1024)",
    describe: "unreachable",
    more: "",
};

impl Handmade {
    pub fn component(&self) -> Vec<u8> {
        let Self { memory, realloc, describe, more } = self;
        let text = format!(
            r#"(module
                (memory (export "memory") {memory})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "sluicebox:transform/transform@0.1.0#describe") (param i32 i32) (result i32) {describe})
                (func (export "sluicebox:transform/transform@0.1.0#[static]job.open")
                    (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
                (func (export "sluicebox:transform/transform@0.1.0#[method]job.push")
                    (param i32 i32 i64 i32 i32 i64 i32 i32) (result i32) unreachable)
                (func (export "sluicebox:transform/transform@0.1.0#[method]job.end-of-input") (param i32 i32) (result i32) unreachable)
                (func (export "sluicebox:transform/transform@0.1.0#[method]job.flush") (param i32 i32 i64) (result i32) unreachable)
                (func (export "sluicebox:transform/transform@0.1.0#[method]job.snapshot") (param i32) (result i32) unreachable)
                {more}
            )"#
        );
        let mut module = wat::parse_str(text).unwrap();
        let mut resolve = Resolve::default();
        let contract = include_str!("../../wit/transform.wit");
        let package = resolve.push_str("transform.wit", contract).unwrap();
        let world = resolve.select_world(&[package], Some("transformer")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    fn load(&self) -> Result<Module, AdmissionError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("handmade.wasm");
        std::fs::write(&path, self.component()).unwrap();
        sandbox().load(&path)
    }

    /// What `describe` comes to, within 50 ms.
    fn describe(&self) -> JobError {
        let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
        match self.load().unwrap().describe(r#"{"some": "config"}"#, &limits) {
            Err(ModuleError::Call(error)) => error,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("described"),
        }
    }
}

const SPIN: &str = "(loop $again (br $again)) unreachable";

#[test]
fn honest_as_far_as_it_goes() {
    assert!(matches!(HONEST.describe().cause, Cause::Panic));
}

#[test]
fn time_is_up_wherever_it_spins() {
    let spin = [
        Handmade { realloc: SPIN, ..HONEST },
        Handmade { describe: SPIN, ..HONEST },
        Handmade { more: "(func $spin (loop $again (br $again))) (start $spin)", ..HONEST },
        // Bulk operations are not interrupted, but they end.
        Handmade {
            memory: "1000",
            describe: "(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536000)) (br $again)) unreachable",
            ..HONEST
        },
    ];
    for handmade in spin {
        let error = handmade.describe();
        assert!(matches!(error.cause, Cause::Time { .. }), "{error}");
        assert!(error.hint().unwrap().contains("limits.time"));
    }
}

#[test]
fn pointers_out_of_memory_are_refused() {
    for realloc in ["(i32.const 0xfffffff0)", "(i32.const 65536)", "(i32.const 65530)"] {
        let error = Handmade { realloc, ..HONEST }.describe();
        assert!(matches!(error.cause, Cause::Abi(_)), "{error}");
    }
    // A result at the end of memory, one misaligned, and one that holds nonsense.
    for describe in ["(i32.const 65532)", "(i32.const 0xfffffffc)", "(i32.const 3)"] {
        let error = Handmade { describe, ..HONEST }.describe();
        assert!(matches!(error.cause, Cause::Abi(_)), "{error}");
    }
    // ok(descriptor), whose name has four billion bytes.
    let error = Handmade {
        describe: "(i32.store (i32.const 68) (i32.const 2048)) (i32.store (i32.const 72) (i32.const -1)) (i32.const 64)",
        ..HONEST
    }
    .describe();
    assert!(matches!(error.cause, Cause::Abi(_)), "{error}");
}

#[test]
fn memory_is_counted_from_the_start() {
    let error = Handmade { memory: "65536", ..HONEST }.describe();
    assert!(matches!(error.cause, Cause::Memory { wanted: 4_294_967_296, .. }), "{error}");
    let error = Handmade { more: "(table 100000000 funcref)", ..HONEST }.describe();
    assert!(matches!(error.cause, Cause::Memory { .. }), "{error}");
    // Growing in a storm comes to the limit, is refused from there on, and runs out of time.
    let describe = "(loop $again (drop (memory.grow (i32.const 100))) (br $again)) unreachable";
    let error = Handmade { describe, ..HONEST }.describe();
    assert!(matches!(error.cause, Cause::Time { .. }), "{error}");
}

#[test]
fn proposals_that_are_off_are_off() {
    for more in [
        "(memory 1)",
        "(memory $big i64 1)",
        "(func (result f32) (f32x4.extract_lane 0 (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
        "(func $f (return_call $f))",
        "(tag)",
    ] {
        let Err(error) = (Handmade { more, ..HONEST }).load() else { panic!("{more} was let in") };
        assert!(matches!(error, AdmissionError::Compile { .. }), "{error}");
    }
}
