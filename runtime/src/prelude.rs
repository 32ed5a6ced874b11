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

pub use crate::address::{ActorRef, Address, LocalRef};
pub use crate::message::{ArchivedLocal, Local, LocalMessage, Message};
pub use mainspring_macros::message;
pub use rkyv::Archived;
