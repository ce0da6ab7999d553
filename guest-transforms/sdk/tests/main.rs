//! The SDK from outside, as a module's author sees it.

mod contract;
mod job;
mod json;
mod keys;
mod output;
