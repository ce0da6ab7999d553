//! The `sluice` program.

mod commands;
mod report;

use std::process::ExitCode;

// Several threads allocate and free batches at a high rate; the system's allocator keeps the memory that each thread
// freed and grows with the number of threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::main()
}
