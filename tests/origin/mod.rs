//! Where tables come from: what is recorded, what is kept, whether that is enough to make a
//! table again, how rows come back out of quarantine, and that all of it holds when a process
//! is ended anywhere.

mod crash;
mod history;
mod kept;
mod quarantine;
mod replay;
pub mod support;
mod twice;
