//! A direct-I/O core log and event-sourced actors.
//!
//! | module | what |
//! |---|---|
//! | [`sourced`] | actors whose state is the fold of their events |
//! | [`durable`] | actors whose state is kept whole, with a revision |
//! | [`entity`] | what actors on a journal have in common |
//! | [`device`] | a core's log as a device of the core |
//! | [`driver`] | that device on real files |
//! | [`directory`] | the files of a journal: made, locked, probed |
//! | [`format`](mod@format) | the bytes of a core log |
//! | [`index`] | which entity stands where, and what of it is still needed |
//! | [`log`] | what is written where, what is durable, and what is left after a crash |
//! | [`projection`] | read sides: events handed to a handler, and how far it has come |
//! | [`query`] | events read beside the cores that write them |
//! | [`reclaim`] | space given back: old segments dropped, what is needed of them copied forward |
//! | [`schema`] | events and states as types, and how older ones are read |
//! | [`testkit`] | devices that fail on purpose |
//! | [`tool`] | the command `mainspring-journal` |
#![forbid(unsafe_code)]

// The attribute macros name this crate by its own name, here too.
extern crate self as mainspring_journal;

pub mod device;
pub mod directory;
pub mod driver;
pub mod durable;
pub mod entity;
pub mod format;
pub mod index;
pub mod log;
mod node;
pub mod projection;
pub mod query;
pub mod reclaim;
pub mod schema;
pub mod sourced;
pub mod testkit;
#[cfg(feature = "tool")]
pub mod tool;

pub use durable::{Change, DurableState, Stored};
pub use entity::EntityId;
pub use node::{Journal, JournalError, LogsError};
pub use sourced::{Effect, EventSourced, Persistent};

/// Makes a struct or an enum an event: a type whose values may stand in a journal.
///
/// It is a [`#[message]`](macro@mainspring::message) as well, with the same fields allowed, except references to
/// actors: they mean nothing after a restart. The name is for ever and stays when the type moves. The version, from
/// 1 to 65535, is raised whenever a field is added, removed, renamed, moved or given another type; the type as it was
/// is kept under its old version, and [`#[events]`](macro@events) says what becomes of it.
///
/// ```
/// use mainspring_journal::event;
///
/// #[event(name = "account.deposited", version = 1)]
/// #[derive(Debug)]
/// pub struct Deposited {
///     pub amount: u64,
/// }
/// ```
///
/// Types that are fields of an event need names of their own, `#[message(name = "..")]`: the name of a message
/// without one is its path, and a path changes when the type moves.
///
/// # Errors
///
/// Refused, with the reason at the place: a missing name or version; a name of more than 200 bytes, with white space
/// or with a `#` in front; generics; and what `#[message]` refuses.
pub use mainspring_journal_macros::event;
/// Gathers the events of an entity in an enum, and says how older ones are read.
///
/// Each variant holds one [`#[event]`](macro@event). The enum gets `From` for each of them and the trait
/// [`Events`](schema::Events). Beside `AccountEvent` stands `ArchivedAccountEvent<'a>`, whose variants borrow the
/// archived events where they lie; it is `Debug` if `#[derive(Debug)]` follows this attribute.
///
/// What an entity's journal holds of the past and is no variant any more is listed in `upcast(..)`, each type with a
/// function that makes current events of it: any `fn(&Archived<Old>) -> impl IntoIterator<Item = AccountEvent>`. An
/// array makes one event of one, a `Vec` several, `None` none. A function returns current events whatever the version
/// it starts from, so there are no chains to follow.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring_journal::{event, events};
///
/// #[event(name = "account.deposited", version = 2)]
/// pub struct Deposited {
///     pub cents: u64,
/// }
///
/// #[events(upcast(DepositedV1 => deposited_from_v1, Flagged => |_| None))]
/// pub enum AccountEvent {
///     Deposited(Deposited),
/// }
///
/// #[event(name = "account.deposited", version = 1)]
/// pub struct DepositedV1 {
///     pub euros: u32,
/// }
///
/// fn deposited_from_v1(old: &Archived<DepositedV1>) -> [AccountEvent; 1] {
///     [Deposited { cents: u64::from(old.euros.to_native()) * 100 }.into()]
/// }
///
/// /// Means nothing any more.
/// #[event(name = "account.flagged", version = 1)]
/// pub struct Flagged;
/// ```
///
/// # Errors
///
/// Refused by the compiler: generics; variants with no field, a named one or more than one; two variants with the
/// same event name; two types for the same name and version; an older version that is newer than its variant.
pub use mainspring_journal_macros::events;
/// Makes a struct or an enum a state that is stored as a whole: a snapshot, or the one value of an entity that has no
/// events.
///
/// Name, version and fields are as for [`#[event]`](macro@event). Older versions are listed in `upcast(..)`, each with
/// a function that makes the current state of it. Where the state is a snapshot, an older version that is not listed
/// costs a longer replay and nothing else.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring_journal::state;
///
/// #[state(name = "account", version = 2, upcast(AccountV1 => account_from_v1))]
/// #[derive(Default)]
/// pub struct Account {
///     pub balance: u64,
///     pub closed: bool,
/// }
///
/// #[state(name = "account", version = 1)]
/// pub struct AccountV1 {
///     pub balance: u64,
/// }
///
/// fn account_from_v1(old: &Archived<AccountV1>) -> Account {
///     Account { balance: old.balance.to_native(), closed: false }
/// }
/// ```
pub use mainspring_journal_macros::state;

/// The code in docs/events.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/events.md")]
pub struct EventsPage;

/// The code in docs/projections.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/projections.md")]
pub struct ProjectionsPage;

/// The code in docs/event-sourcing.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/event-sourcing.md")]
pub struct EventSourcingPage;
