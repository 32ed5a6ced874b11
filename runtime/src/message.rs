//! Messages: what may be sent to an actor, and how a type proves that both sides mean the same.
//!
//! A type becomes a message with [`#[message]`](macro@crate::message). It is written once, as an archive, into the
//! place where it is needed, and read there as [`&Archived<M>`](crate::Archived).
//!
//! There are two sorts, told apart by the compiler. A [`Message`] may go to any actor, also on another node. A
//! [`LocalMessage`] may hold what only this process can hold (a [`Local`]: a channel, a descriptor, an `Arc`) and
//! goes only to actors of the same node, through a [`LocalRef`](crate::LocalRef). The type of the serializer is what
//! decides: a `Local` can be written by the local serializer alone, so a type that holds one is never a `Message`.
//!
//! Invariants: whatever implements [`Schema`] writes archives that can be read unchecked; equal fingerprints mean the
//! same name, the same fields in the same order and the same layout.

mod fingerprint;
#[cfg(test)]
mod tests;

use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Source, Strategy, Trace};
use rkyv::{Archive, Archived, Deserialize, Serialize};

pub use self::fingerprint::Fingerprint;
pub use crate::frame::any_ref::AnyRef;
pub use crate::frame::enclosed::{ArchivedEnclosed, Enclosed, EnclosedView};
pub use crate::frame::local::{ArchivedLocal, Local};
pub use crate::frame::schema::Schema;
pub use crate::frame::serializer::{LocalSerializer, WireSerializer};
pub use crate::frame::tagged::{ArchivedTagged, Tagged};
pub use crate::frame::validation::{StoredChecker, WireChecker};
/// Makes a struct or an enum a message.
///
/// It derives rkyv's `Archive`, `Serialize` and `Deserialize` (no dependency on rkyv is needed) and implements
/// [`Schema`]: the type's name and a fingerprint of its fields, computed by the compiler. The archived form of
/// `Command` is called `ArchivedCommand` and stands beside it; it is `Debug` if `#[derive(Debug)]` follows this
/// attribute.
///
/// Every field must be able to be part of a message: another `#[message]`, numbers, `bool`, `char`, `String`, `Vec`,
/// `Option`, `Result`, `Box`, `BTreeMap`, arrays, tuples, `Duration`, network addresses, `ActorRef`, and for
/// actors of the same node `LocalRef` and `Local`. A type may contain itself behind a `Vec` or a `Box`. Where two
/// types contain each other, put `#[rkyv(omit_bounds)]` on the field that closes the circle.
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
/// The name of a message is its path in its crate. `#[message(name = "account.command")]` gives it another, which
/// stays the same when the type moves.
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
/// `#[message(bulk)]` is for messages that may be large. To actors of other nodes they go by a connection of their own,
/// in pieces, up to the limit of the link; so no other message waits behind them. Two of them from one actor to another
/// arrive in the order of sending, but no order holds between them and messages of other types. On its own node it
/// is a message like any other. It is the type of the whole message that counts, not that of a part.
///
/// ```
/// use mainspring::message::Schema;
/// use mainspring::prelude::*;
///
/// #[message(bulk)]
/// pub struct Picture {
///     pub pixels: Vec<u8>,
/// }
///
/// assert!(Picture::BULK);
/// ```
///
/// # Errors
///
/// Refused, with the reason at the place: generics (a message has one schema), unions, enums of more than 256
/// variants,
/// `#[cfg]` inside the type, and those `#[rkyv(..)]` arguments that would change the archived form behind the
/// schema's back. At the type `derive(..)`, `compare(..)`, `archived = ..` and `resolver = ..` are accepted, at a
/// field
/// `omit_bounds`.
pub use mainspring_macros::message;

/// A message that may stay on this node only. Every [`Message`] is one too.
///
/// Implemented for every [`Schema`] type that the local serializer can write; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[message]` on the type, or wrap what cannot be copied in `Local`"
)]
pub trait LocalMessage:
    Schema
    + for<'a> Serialize<LocalSerializer<'a>>
    + Archive<Archived: for<'a> CheckBytes<WireChecker<'a>>>
    + 'static
{
}

impl<M> LocalMessage for M where
    M: Schema
        + for<'a> Serialize<LocalSerializer<'a>>
        + Archive<Archived: for<'a> CheckBytes<WireChecker<'a>>>
        + 'static
{
}

/// A message that may go to any actor, on this node or on another.
///
/// Implemented for every [`LocalMessage`] that the wire serializer can write; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that may leave this node",
    label = "not a message for an `ActorRef`",
    note = "put `#[message]` on the type",
    note = "a type that holds a `Local` or a `LocalRef` goes to a `LocalRef` only"
)]
pub trait Message: LocalMessage + for<'a> Serialize<WireSerializer<'a>> {}

impl<M> Message for M where M: LocalMessage + for<'a> Serialize<WireSerializer<'a>> {}

/// A message that can be read back into an owned value, for those who cannot stay in the frame: clients, tests,
/// tasks.
///
/// Implemented for every [`Message`] made by `#[message]`; there is nothing to implement by hand.
pub trait Reply: Message + Archive<Archived: Deserialize<Self, OwnedReader>> + Sized {}

impl<M> Reply for M where M: Message + Archive<Archived: Deserialize<M, OwnedReader>> {}

/// A message that can be kept and read again by a process that trusts nothing but its bytes: it holds no references
/// to actors, which mean nothing after a restart.
///
/// Implemented for every such [`Reply`]; there is nothing to implement by hand.
/// [`read_checked`](crate::frame::validation::read_checked) reads it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in a journal",
    label = "not a message without references",
    note = "put `#[message]` on the type, and keep names or keys of actors in it, not an `ActorRef`"
)]
pub trait Stored: Reply + Archive<Archived: for<'a> CheckBytes<StoredChecker<'a>>> {}

impl<M> Stored for M where M: Reply + Archive<Archived: for<'a> CheckBytes<StoredChecker<'a>>> {}

/// What reads an archive into an owned value.
pub type OwnedReader = Strategy<(), ReadError>;

/// An archive could not be turned into an owned value. The archive is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the archived message has no owned form: a field refused to be read; read it in place instead"
)]
pub struct ReadError;

impl Trace for ReadError {
    fn trace<R>(self, _: R) -> Self {
        self
    }
}

impl Source for ReadError {
    fn new<T: std::error::Error + Send + Sync + 'static>(_: T) -> Self {
        ReadError
    }
}

/// The owned value of an archived message.
///
/// # Errors
///
/// [`ReadError`] if a field has no owned form. No type of this crate is such a field.
pub fn owned<M: Reply>(archived: &Archived<M>) -> Result<M, ReadError> {
    archived.deserialize(Strategy::wrap(&mut ()))
}
