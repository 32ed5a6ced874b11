//! What a program with actors needs, in one import.
//!
//! ```
//! use mainspring::prelude::*;
//!
//! #[message]
//! pub struct Deposit {
//!     pub amount: u64,
//!     pub reply_to: ActorRef<Balance>,
//! }
//!
//! #[message]
//! pub struct Balance {
//!     pub amount: u64,
//! }
//! ```

pub use crate::actor::{Actor, Behavior, Decision, Failure, Next, Port, Signal, StopReason};
pub use crate::address::{ActorRef, Address, LocalRef};
pub use crate::context::{Context, SpawnError};
pub use crate::message::{ArchivedLocal, Enclosed, Local, LocalMessage, Message, message};
#[cfg(all(feature = "host", not(loom)))]
pub use crate::node::{Client, Error, Node};
#[cfg(not(loom))]
pub use crate::node::{cores::Cores, idle::IdleProfile};
pub use crate::{
    AskError, DeadLetter, Group, Limits, LookupError, OnFailure, Reason, Restart, TellError,
};
pub use rkyv::Archived;
