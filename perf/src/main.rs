//! The command `mainspring-perf`; see the library for what it does.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use mainspring_perf::raw::allocator::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    mainspring_perf::command::main()
}
