//! Which entities run, as it stands in a journal, so that a node that starts again can start them too.
//!
//! The entities of one type whose events one core's log has are recorded in that log: each shard there has a list of
//! its own, an event-sourced entity whose events say which entities have started and ended ([`Batch`]). Now and then
//! the whole list is written ([`Snapshot`]), and what the one before the last stands for is given up.
//!
//! [`RememberStore`] decides what is written and when; [`Recall`] makes a list from what is read. Both take the time
//! and what happened, and have no journal and no clock: that is [`node`](crate::node)'s.
//!
//! Promises: what the store calls [recorded](Noted::Recorded) stands in the log before everything that comes to the log
//! later, so whoever could write something there after it is found with it. Changes of a shard that come while the
//! journal refuses go as one event, and so do all ends of [`GATHER_NS`]; an end that a start makes up for is not
//! written. A word of an earlier owner of a shard that comes late undoes nothing of a later one, and starts nobody:
//! each names its epoch.
//!
//! Bounds: bytes of a shard's list, bytes of all lists, bytes of an event ([`RememberLimits`]). Beyond the first two an
//! entity is [left out](Noted::LeftOut).

mod events;
mod list;
mod recall;
mod store;

pub use events::{ArchivedRunningEvent, Running, RunningChanged, RunningEvent};
pub use recall::Recall;
pub use store::{Batch, GATHER_NS, Noted, RememberLimits, RememberStore, Snapshot};
