//! mainspring: a low-latency, thread-per-core actor runtime for bare-metal Linux.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod frame;
#[allow(unsafe_code)]
pub mod ring;
#[allow(unsafe_code)]
pub mod core;
#[cfg(all(feature = "host", not(loom)))]
#[allow(unsafe_code)]
pub mod driver;
pub mod telemetry;
