//! The sandbox, through its public face: honest modules get their rows, and a hostile one
//! gets an error of its own and nothing else.

mod admission;
mod cache;
mod evil;
mod handmade;
mod limits;
mod modules;
mod ports;
mod state;
mod wit_check;
