//! tokio over TCP with rkyv as a contestant, the fastest way that was found.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use peer_tokio_rkyv::Way;

fn main() -> ExitCode {
    peer_tokio_rkyv::main(Way::Tuned)
}
