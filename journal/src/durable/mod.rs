//! Actors whose state is kept whole: the journal holds the last value, and a revision that counts the changes.
//!
//! A [`DurableState`] type is the state. [`DurableState::on_command`] decides without changing anything: it returns a
//! [`Change`]. A new state is written to the core's journal, and when it is durable it takes the place of the old one,
//! and what was to happen then happens: replies, messages, stopping. [`Stored`] is the actor around such a state.
//! Choose it where only the present matters; where the past does, or where changes are small and the state is large,
//! choose [`EventSourced`](crate::EventSourced).
//!
//! Invariants: the state changes only to what is durable; nothing that a command leads to leaves the actor before that;
//! the revision grows by one with each change, also over a deletion; when it is not known whether a change is durable,
//! the actor fails and is never resumed; a last value that is damaged is never taken for absent, and an older one
//! stands in for it only where the type [says so](OnDamage::UsePrevious).

mod afar;
mod change;
mod durable_state;
mod stored;

pub use change::Change;
pub use durable_state::{DurableState, OnDamage};
pub use stored::Stored;
