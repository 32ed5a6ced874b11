//! The journal of another core of the node: how an entity that does not run where its log is has its records written
//! and read there.
//!
//! The log of a shard stays with one core. An entity that runs on another one sends what it wants of that log to it
//! as values: a bounded queue without locks for each core holds the [letters](letters) to it, another one the replies,
//! and an alarm wakes who sleeps. The core of the log does what a letter asks as if the entity were its own; the
//! entity's core redeems the entity's ticket with the reply.
//!
//! Promises: as near. A group is answered for when the durable prefix of the log holds it, is surely not written, or
//! nobody knows; groups of one entity are taken in the order in which they were sent; a new life of an entity reads
//! behind everything that an earlier one has sent; a reading ends with its reader.
//!
//! The price: what is written and what is read travels in memory of its own, made for it and copied into the frame;
//! each way costs a wake-up when the other core sleeps.
//!
//! Bounds: each core has so many groups and readings under way with each other core as [`Limits`] says. Further groups
//! are refused as by a log that is busy; further readings wait on the reader's core. So every letter and every reply
//! has a place: no queue is ever found full.

mod asking;
mod desk;
mod exchange;
mod letters;
mod owned_found;
mod serving;
#[cfg(test)]
mod tests;

pub(crate) use desk::{Desk, FarGroup, FarReading};
pub(crate) use exchange::Exchange;
pub(crate) use letters::{Begun, NotKept, Settled};

use letters::CarriedGroup;

/// Bytes of the groups that one core has under way with another one, unless one alone has more.
const GROUPS_LIMIT_BYTES: usize = 4 << 20;
/// Letters that a core looks at in one poll.
const LETTERS_A_POLL: usize = 256;

/// What one core may have under way with each other core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Groups.
    pub groups: usize,
    /// Readings.
    pub readings: usize,
}

impl Limits {
    /// Of a node with so many cores: less for each other core where there are many, so that the places for all do not
    /// grow with the square of their number.
    pub fn of(cores: u16) -> Self {
        let others = usize::from(cores).saturating_sub(1).max(1);
        Limits { groups: (4_096 / others).clamp(16, 192), readings: (1_024 / others).clamp(4, 256) }
    }
}
