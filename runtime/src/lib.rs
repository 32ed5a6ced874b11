//! mainspring: a low-latency, thread-per-core actor runtime for bare-metal Linux.
#![deny(unsafe_code)]

// The attribute macros name this crate by its own name, here too.
extern crate self as mainspring;

pub mod address;
pub mod message;
pub mod prelude;

pub use address::{ActorRef, Address, LocalRef};
/// Makes a struct or an enum a message.
///
/// It derives rkyv's `Archive`, `Serialize` and `Deserialize` (no dependency on rkyv is needed) and implements
/// [`Schema`](message::Schema): the type's name and a fingerprint of its fields, computed by the compiler. The archived
/// form of `Command` is called `ArchivedCommand` and stands beside it; it is `Debug` if `#[derive(Debug)]` follows this
/// attribute.
///
/// Every field must be able to be part of a message: another `#[message]`, numbers, `bool`, `char`, `String`, `Vec`,
/// `Option`, `Result`, `Box`, `BTreeMap`, arrays, tuples, `Duration`, network addresses, `ActorRef`, and for actors of
/// the same node `LocalRef` and `Local`. A type may contain itself behind a `Vec` or a `Box`. Where two types contain
/// each other, put `#[rkyv(omit_bounds)]` on the field that closes the circle.
///
/// ```
/// use mainspring::prelude::*;
///
/// #[message]
/// #[derive(Debug)]
/// pub enum Command {
///     Deposit { amount: u64 },
///     Balance { reply_to: ActorRef<Balance> },
/// }
///
/// #[message]
/// #[derive(Debug)]
/// pub struct Balance {
///     pub amount: u64,
/// }
///
/// fn describe(command: &Archived<Command>) -> String {
///     match command {
///         ArchivedCommand::Deposit { amount } => format!("deposit of {amount}"),
///         ArchivedCommand::Balance { reply_to } => format!("balance, please, to {reply_to}"),
///     }
/// }
/// ```
///
/// The name of a message is its path in its crate. `#[message(name = "account.command")]` gives it another, which stays
/// the same when the type moves.
///
/// ```
/// use mainspring::message::Schema;
/// use mainspring::prelude::*;
///
/// #[message(name = "account.closed")]
/// pub struct Closed;
///
/// assert_eq!(Closed::NAME, "account.closed");
/// ```
///
/// # Errors
///
/// Refused, with the reason at the place: generics (a message has one schema), unions, enums of more than 256 variants,
/// `#[cfg]` inside the type, and those `#[rkyv(..)]` arguments that would change the archived form behind the schema's
/// back. At the type `derive(..)`, `compare(..)`, `archived = ..` and `resolver = ..` are accepted, at a field
/// `omit_bounds`.
pub use mainspring_macros::message;
pub use rkyv;
pub use rkyv::Archived;

#[allow(unsafe_code)]
pub mod core;
#[cfg(all(feature = "host", not(loom)))]
#[allow(unsafe_code)]
pub mod driver;
#[allow(unsafe_code)]
pub mod frame;
#[cfg(not(loom))]
pub mod node;
#[allow(unsafe_code)]
pub mod ring;
pub mod telemetry;
