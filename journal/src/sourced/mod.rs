//! Actors whose state is the fold of their events.
//!
//! An [`EventSourced`] type is the state. [`EventSourced::on_command`] decides without changing anything: it
//! returns an [`Effect`]. Its events are written to the core's journal, and when they are durable
//! [`EventSourced::on_event`] changes the state, and what was to happen then happens: replies, messages, stopping.
//! [`Persistent`] is the actor around such a state: it recovers it, keeps commands back while events are being
//! written, takes snapshots and says what failed.
//!
//! Invariants: the state changes only by events that are durable; nothing that a command leads to leaves the actor
//! before the command's events are durable; when it is not known whether they are, the actor fails and is never
//! resumed.

mod afar;
mod effect;
mod event_sourced;
mod persistent;
mod recovery;
mod settings;
mod signal;
mod snapshots;
mod tags;

pub use effect::Effect;
pub use event_sourced::EventSourced;
pub use persistent::Persistent;
pub use settings::{PersistenceSettings, Retention};
pub use signal::{PersistRejected, PersistenceSignal, RecoveryFailed, SnapshotFailed};
pub use tags::{TAG_LIMIT_BYTES, TAGS_LIMIT, TagRefused};
