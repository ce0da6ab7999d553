//! The `sluice` program.

mod commands;
mod report;

use std::process::ExitCode;

// Batches are made and thrown away by several threads at a high rate; the system's
// allocator keeps what each thread freed and grows with the number of threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::main()
}
