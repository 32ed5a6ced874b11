//! tokio over TCP with rkyv as a contestant, as the documentation of tokio-util begins with.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use peer_tokio_rkyv::Way;

fn main() -> ExitCode {
    peer_tokio_rkyv::main(Way::Plain)
}
