//! mainspring: a low-latency, thread-per-core actor runtime for bare-metal Linux.
#![deny(unsafe_code)]

// The attribute macros name this crate by its own name, here too.
extern crate self as mainspring;

#[allow(unsafe_code)]
pub mod frame;
#[cfg(not(loom))]
pub mod node;
#[allow(unsafe_code)]
pub mod ring;

pub mod actor;
pub mod address;
pub mod context;
pub(crate) mod core;
pub mod device;
#[cfg(all(feature = "host", not(loom)))]
#[allow(unsafe_code)]
pub mod driver;
pub mod message;
pub mod net;
pub mod peer;
pub mod prelude;
pub mod telemetry;
pub mod testkit;

pub use crate::core::asks::AskError;
pub use crate::core::dead_letters::{DeadLetter, DeadLetters, Reason};
pub use crate::core::limits::Limits;
pub use crate::core::names::{ArchivedNameFound, LookupError, NameFound};
pub use crate::core::schedule::TimerKey;
pub use crate::core::send::TellError;
pub use crate::core::supervision::{Group, OnFailure, Restart};
pub use actor::{Actor, Behavior, Next, Port, Signal};
pub use address::{ActorRef, Address, LocalRef};
pub use context::Context;
pub use message::message;
#[cfg(all(feature = "host", not(loom)))]
pub use node::{Client, Error, Node};
pub use rkyv;
pub use rkyv::Archived;

/// The code in README.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
