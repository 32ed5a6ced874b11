//! Events and states as types: what a record's payload is, under which name, and how older payloads are still read.
//!
//! An event is a struct (or an enum) with [`#[event]`](macro@crate::event): it has a name that never changes, a
//! version that grows whenever its fields do, and a fingerprint of its fields that the compiler computes. An entity's
//! events are gathered in an enum with [`#[events]`](macro@crate::events), which also says how older versions become
//! current ones. A state that is stored as a whole is a type with [`#[state]`](macro@crate::state). How types change
//! over the years is told in `docs/events.md`.
//!
//! ```
//! use mainspring::prelude::*;
//! use mainspring_journal::schema::{EventBuffer, Events};
//! use mainspring_journal::{event, events};
//!
//! #[event(name = "account.deposited", version = 1)]
//! pub struct Deposited {
//!     pub amount: u64,
//! }
//!
//! #[event(name = "account.closed", version = 1)]
//! pub struct Closed;
//!
//! #[events]
//! pub enum AccountEvent {
//!     Deposited(Deposited),
//!     Closed(Closed),
//! }
//!
//! // What a record holds: the archive of one event, and the layout that it was written with.
//! let event = AccountEvent::from(Deposited { amount: 5 });
//! let mut buffer = EventBuffer::new();
//! let written = event.write(&mut buffer)?;
//! let layout = AccountEvent::LAYOUTS[event.layout()];
//!
//! // Which reader suits is decided once for each layout, then it reads any number of records.
//! let reader = AccountEvent::reader(layout.name, layout.version, layout.fingerprint)?;
//! let mut balance = 0;
//! AccountEvent::read(reader, buffer.get(written), &mut |event| match event {
//!     ArchivedAccountEvent::Deposited(deposited) => balance += deposited.amount.to_native(),
//!     ArchivedAccountEvent::Closed(_) => {}
//! })?;
//! assert_eq!(balance, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants: a record holds one event, never the enum, so variants may be added and moved at will. Nothing is read
//! unless name, version and fingerprint are those of a type of this program, and then its bytes are checked: what was
//! laid out otherwise is refused, it is never taken for something else. Bytes that are refused have changed nothing.
//!
//! The promise rests on fingerprints that never change for a type that does not. They are those of
//! [`mainspring::message::Fingerprint`]; a test of this crate holds some of them in an
//! `events.lock`, and another the bytes of some archives.

mod buffer;
mod event;
mod layout;
pub mod lock;
mod reading;
mod state;

pub use self::buffer::{EventBuffer, WriteError};
pub use self::event::{ArchivedEvent, Event, Events};
pub use self::layout::{Layout, Reader};
pub use self::reading::{SchemaError, UPCAST_EVENTS_LIMIT, UpcastError};
pub use self::state::State;

// What the macros write into other people's code.
#[doc(hidden)]
pub use self::layout::assert_reader;
#[doc(hidden)]
pub use self::reading::{own_event, own_state, read_event, read_state, upcast};
