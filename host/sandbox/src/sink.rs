//! The imports of the contract: everything that a module can do.
//!
//! Linked by hand, with types that *read* guest memory instead of copying it. So a batch is copied once, into host
//! memory that is aligned for every Arrow type, and nothing is copied before its size is checked.

use std::time::Instant;

use arrow_buffer::MutableBuffer;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, WasmList, WasmStr};

use super::bindings::sluicebox::transform::types::{Level, Rejection};
use super::cause::Cause;
use super::guest::Guest;
use super::text::printable;

/// The interface's name, version included.
pub(super) const NAME: &str = "sluicebox:transform/sink@0.1.0";

/// The most bytes of a rejection's code.
const CODE: usize = 64;
/// Bytes of a log line or a metric's name that are copied out of a module; what is kept of them is less.
const LOGGED: usize = 64 << 10;
/// Bytes of a rejection's sentence.
const MESSAGE: usize = 1 << 10;

/// As in the contract, but not copied.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Reason {
    code: WasmStr,
    message: WasmStr,
}

type Store<'a> = StoreContextMut<'a, Guest>;

/// Links the interface.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut sink = linker.instance(NAME)?;
    sink.func_wrap("emit", |store, (port, chunks): (u32, WasmList<WasmList<u8>>)| emit(store, port, &chunks))?;
    sink.func_wrap("reject", |store, (rejections, reasons): (WasmList<Rejection>, WasmList<Reason>)| {
        reject(store, &rejections, &reasons)
    })?;
    sink.func_wrap("put-state", |store, (key, chunk): (WasmStr, WasmList<u8>)| put_state(store, &key, &chunk))?;
    sink.func_wrap("log", |store, (level, message): (Level, WasmStr)| log(store, level, &message))?;
    sink.func_wrap("metric", |store, (name, value): (WasmStr, f64)| metric(store, &name, value))
}

fn emit(mut store: Store<'_>, port: u32, chunks: &WasmList<WasmList<u8>>) -> wasmtime::Result<()> {
    let count = chunks.len() as u64;
    store.data().check_emit(port, 0, count).map_err(wasmtime::Error::new)?;
    let chunks = chunks.iter(&mut store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    let bytes = chunks.iter().map(WasmList::len).sum::<usize>();
    store.data().check_emit(port, bytes as u64, count).map_err(wasmtime::Error::new)?;

    let start = Instant::now();
    let mut message = MutableBuffer::with_capacity(bytes);
    for chunk in &chunks {
        message.extend_from_slice(chunk.as_le_slice(&store));
    }
    let copied = start.elapsed();
    let guest = store.data_mut();
    guest.emit(port, message.into()).map_err(wasmtime::Error::new)?;
    guest.took_batch(copied, start.elapsed().saturating_sub(copied));
    Ok(())
}

fn reject(mut store: Store<'_>, rejections: &WasmList<Rejection>, reasons: &WasmList<Reason>) -> wasmtime::Result<()> {
    store.data().check_reject(rejections.len(), reasons.len()).map_err(wasmtime::Error::new)?;
    let texts = reasons.iter(&mut store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    let mut reasons = Vec::with_capacity(texts.len());
    for text in texts {
        let code = printable(&text.code.to_str(&store)?, CODE);
        reasons.push((code, printable(&text.message.to_str(&store)?, MESSAGE)));
    }
    let rejections = rejections.iter(&mut store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    for Rejection { row, reason } in rejections {
        let Some((code, message)) = reasons.get(reason as usize) else {
            return Err(wasmtime::Error::new(Cause::NoReason { row, reason, reasons: reasons.len() }));
        };
        store.data_mut().reject(row, code.clone(), message.clone()).map_err(wasmtime::Error::new)?;
    }
    Ok(())
}

fn put_state(mut store: Store<'_>, key: &WasmStr, chunk: &WasmList<u8>) -> wasmtime::Result<()> {
    let length = key.to_str(&store)?.len();
    store.data_mut().check_state(length, chunk.len()).map_err(wasmtime::Error::new)?;
    let key = key.to_str(&store)?.into_owned();
    let chunk = chunk.as_le_slice(&store).to_vec();
    store.data_mut().put_state(&key, &chunk);
    Ok(())
}

fn log(mut store: Store<'_>, level: Level, message: &WasmStr) -> wasmtime::Result<()> {
    let message = beginning(&message.to_str(&store)?, LOGGED);
    let level = match level {
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    };
    store.data_mut().log.line(level, &message);
    Ok(())
}

/// At most `most` bytes of a text, so that none is copied whole that is only looked at.
fn beginning(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

fn metric(mut store: Store<'_>, name: &WasmStr, value: f64) -> wasmtime::Result<()> {
    let name = beginning(&name.to_str(&store)?, LOGGED);
    store.data_mut().metric(&name, value).map_err(wasmtime::Error::new)
}
