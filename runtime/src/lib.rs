//! mainspring: a low-latency, thread-per-core actor runtime for bare-metal Linux.
#![deny(unsafe_code)]

// The attribute macros name this crate by its own name, here too.
extern crate self as mainspring;

pub mod address;
pub mod message;
pub mod prelude;

pub use address::{ActorRef, Address, LocalRef};
pub use mainspring_macros::message;
pub use rkyv;
pub use rkyv::Archived;

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
