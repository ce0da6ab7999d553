//! Stubs of the system interfaces that a compiled program imports.
//!
//! The standard libraries of Rust, C and Go link WASI interfaces whether they are used or not. A few stubs work,
//! because even a panic needs them to print its message: the clock and the random numbers, which are the same in
//! every run; the environment, which is empty; and the standard streams, which become log lines. All others trap with
//! the name of the capability that the module asked for.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType, WasmList};

use super::cause::Cause;
use super::guest::Guest;

/// The most bytes of one write to a standard stream.
const WRITE: u64 = 4 << 10;
/// The most random bytes of one call.
const RANDOM: u64 = 64 << 10;
/// The step of the clock per reading, in nanoseconds.
const CLOCK_STEP: u64 = 1_000;

/// A standard stream.
struct Stream;
/// An error of a stream; it never occurs.
struct StreamFault;
/// A pollable. Only standard streams have one, and it is always ready.
struct Ready;
/// Any other resource; none exists.
struct Nothing;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<StreamFault>),
    #[component(name = "closed")]
    Closed,
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Store<'a> = StoreContextMut<'a, Guest>;
type Written = Result<(), StreamError>;

/// Whether an import's name belongs to an interface that the standard libraries import.
pub(super) fn is_known(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else {
        return false;
    };
    let Some((package, _)) = interface.split_once('/') else {
        return false;
    };
    version.starts_with("0.2.")
        && matches!(
            package,
            "wasi:cli" | "wasi:clocks" | "wasi:filesystem" | "wasi:io" | "wasi:random" | "wasi:sockets"
        )
}

/// Links every function of one interface that a component imports; `false` if no stub can stand in for one.
pub(super) fn link(
    linker: &mut LinkerInstance<'_, Guest>,
    import: &str,
    instance: &ComponentInstance,
    engine: &wasmtime::Engine,
) -> wasmtime::Result<bool> {
    let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                if !link_harmless(linker, interface, name)? {
                    refuse(linker, import, name)?;
                }
            }
            ComponentItem::Resource(_) => {
                let resource = match name {
                    "output-stream" => ResourceType::host::<Stream>(),
                    "error" => ResourceType::host::<StreamFault>(),
                    "pollable" => ResourceType::host::<Ready>(),
                    _ => ResourceType::host::<Nothing>(),
                };
                linker.resource(name, resource, |_, _| Ok(()))?;
            }
            ComponentItem::Type(_) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Links the function if modules may call it.
fn link_harmless(linker: &mut LinkerInstance<'_, Guest>, interface: &str, name: &str) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("wasi:clocks/monotonic-clock", "now") => {
            linker.func_wrap(name, |mut store: Store<'_>, ()| Ok((clock(&mut store),)))?
        }
        ("wasi:clocks/monotonic-clock", "resolution") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((CLOCK_STEP,)))?
        }
        ("wasi:clocks/wall-clock", "now") => linker.func_wrap(name, |mut store: Store<'_>, ()| {
            let now = clock(&mut store);
            Ok((Datetime { seconds: now / 1_000_000_000, nanoseconds: (now % 1_000_000_000) as u32 },))
        })?,
        ("wasi:clocks/wall-clock", "resolution") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((Datetime { seconds: 0, nanoseconds: CLOCK_STEP as u32 },)))?
        }
        ("wasi:random/random", "get-random-u64") | ("wasi:random/insecure", "get-insecure-random-u64") => {
            linker.func_wrap(name, |mut store: Store<'_>, ()| Ok((random(&mut store),)))?;
        }
        ("wasi:random/random", "get-random-bytes") | ("wasi:random/insecure", "get-insecure-random-bytes") => {
            linker.func_wrap(name, |mut store: Store<'_>, (length,): (u64,)| {
                if length > RANDOM {
                    return Err(wasmtime::Error::new(Cause::Abi(format!("{length} random bytes at once"))));
                }
                let words = length.div_ceil(8);
                let mut bytes: Vec<u8> = (0..words).flat_map(|_| random(&mut store).to_le_bytes()).collect();
                bytes.truncate(length as usize);
                Ok((bytes,))
            })?;
        }
        ("wasi:random/insecure-seed", "insecure-seed" | "get-insecure-seed") => {
            linker.func_wrap(name, |mut store: Store<'_>, ()| Ok(((random(&mut store), random(&mut store)),)))?;
        }
        ("wasi:cli/environment", "get-environment") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<(String, String)>::new(),)))?;
        }
        ("wasi:cli/environment", "get-arguments") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((Vec::<String>::new(),)))?;
        }
        ("wasi:cli/environment", "initial-cwd") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((None::<String>,)))?;
        }
        ("wasi:io/poll", "[method]pollable.block") => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Resource<Ready>,)| Ok(()))?;
        }
        ("wasi:io/poll", "[method]pollable.ready") => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Resource<Ready>,)| Ok((true,)))?;
        }
        ("wasi:io/streams", "[method]output-stream.subscribe") => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Resource<Stream>,)| Ok((Resource::<Ready>::new_own(0),)))?;
        }
        ("wasi:cli/stdout", "get-stdout") | ("wasi:cli/stderr", "get-stderr") => {
            linker.func_wrap(name, |_: Store<'_>, ()| Ok((Resource::<Stream>::new_own(0),)))?;
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Resource<Stream>,)| Ok((Ok::<u64, StreamError>(WRITE),)))?;
        }
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            // Looked at in the module's memory: a list of any length would be copied before its length is known.
            linker.func_wrap(name, |mut store: Store<'_>, (_, bytes): (Resource<Stream>, WasmList<u8>)| {
                if bytes.len() as u64 > WRITE {
                    let said = format!("{} bytes are written to a stream at once that takes {WRITE}", bytes.len());
                    return Err(wasmtime::Error::new(Cause::Abi(said)));
                }
                let text = String::from_utf8_lossy(bytes.as_le_slice(&store)).into_owned();
                store.data_mut().log.console(&text);
                Ok((Written::Ok(()),))
            })?;
        }
        ("wasi:io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            linker.func_wrap(name, |_: Store<'_>, (_,): (Resource<Stream>,)| Ok((Written::Ok(()),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn refuse(linker: &mut LinkerInstance<'_, Guest>, import: &str, name: &str) -> wasmtime::Result<()> {
    let reason = reason(import);
    let import = format!("{import}#{name}");
    linker
        .func_new(name, move |_, _, _, _| Err(wasmtime::Error::new(Cause::Refused { import: import.clone(), reason })))
}

fn reason(import: &str) -> &'static str {
    let says = [
        ("wasi:sockets", "a module has no network"),
        ("wasi:filesystem", "a module has no files"),
        (
            "wasi:cli/environment",
            "a module has no environment and no arguments; everything it may know is in its config",
        ),
        ("wasi:cli/exit", "a module cannot end its process"),
        ("wasi:cli/stdin", "a module has no standard input"),
        ("wasi:cli/terminal", "a module has no terminal"),
        ("wasi:clocks", "a module cannot wait"),
        ("wasi:io", "a module cannot wait and has no streams but its standard output"),
    ];
    says.iter().find(|(prefix, _)| import.starts_with(prefix)).map_or("a module does not have it", |(_, reason)| reason)
}

/// Nanoseconds since 1970 that only distinguish readings: the first is 1 µs.
fn clock(store: &mut Store<'_>) -> u64 {
    let guest = store.data_mut();
    guest.ticks += 1;
    guest.ticks.wrapping_mul(CLOCK_STEP)
}

/// The SplitMix64 sequence from zero: well spread, and the same for every job.
fn random(store: &mut Store<'_>) -> u64 {
    let guest = store.data_mut();
    guest.random = guest.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = guest.random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
