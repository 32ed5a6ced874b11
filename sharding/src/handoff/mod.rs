//! Moving a shard from place to place while messages for it go on arriving.
//!
//! One [`Region`] stands at every place and knows every shard of one entity type; one [`Coordinator`] asks for moves.
//! Both are state machines: they take the time and an [`Input`] and push [`Output`]s; they have no thread, no clock
//! and no randomness.
//!
//! A move from A to B at epoch e:
//! 1. The coordinator sends `HandOff` to A.
//! 2. A sends `BeginHandOff` to everybody, as a hint to hold their messages for a moment. It parks what arrives, lets
//!    its entities stop (late ones are killed), and seals its journal.
//! 3. A itself gives the shard away in the ownership store, which makes the epoch e'. If nobody knows whether that
//!    happened, A stays parked and reads; it resumes only where the store surely refused, or at a new epoch.
//! 4. A sends `HostShard` to B; B seals at e', opens, and tells everybody `ShardStarted`.
//! 5. A forwards what it parked, in order, acknowledged, and goes on forwarding what arrives late.
//! 6. Who learns of e' sends `Flush` down its old way behind its last message and everything after it to B. A forwards
//!    the marker too; B holds the messages of a sender until the sender's marker has come, or A has gone. When all
//!    markers have come the shard is *settled*; until then B answers `Busy` to the next move.
//!
//! What it promises, as long as no place dies: a message that was taken is delivered once or given back with a reason,
//! and messages from one place to one shard are delivered in the order of their arrival there. If a place dies, what it
//! had taken is lost with it, once, and what it was sent is lost or given back; the order holds.
//!
//! What it asks of the ways between places: messages between two places (direct messages and `Flush`) stay in order
//! and do not double; a lost `Flush` is asked for again. Everything else may be lost, doubled and reordered. A place is
//! made known to all others ([`Input::PlaceJoined`]) before its own region ([`Region::joining`]) takes its first input,
//! and [`Input::PlaceGone`] is the truth: that place never speaks again.
//!
//! Bounds: parked messages in bytes and in number for all shards of a region, and moves at a time; beyond them the
//! message is given back with a reason. One `Forward` has a number of messages and of bytes; the next one has the rest.
//!
//! After Akka's shard coordinator and region (Pekko, `cluster-sharding`), with an epoch that a store decides, no
//! barrier over all regions, and nothing dropped at the old owner.

mod arrival;
mod coordinator;
mod departure;
mod host;
mod input;
mod message;
mod output;
mod owner;
mod parked;
mod region;
mod relay;
mod route;
mod sender;
mod settings;
mod slot;

pub use coordinator::{Coordinator, CoordinatorInput, CoordinatorOutput, Outcome};
pub use input::Input;
pub use message::{Content, Item, Message, Payload};
pub use output::{Output, RefusalReason};
pub use region::{Counters, Region};
pub use route::Route;
pub use settings::Settings;

#[cfg(test)]
mod proof;
#[cfg(test)]
mod tests;
