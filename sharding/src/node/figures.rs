//! What a region has counted.

use mainspring::prelude::*;

/// Figures of one type's region on one core, since its node started.
#[message(name = "mainspring.sharding.figures")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionFigures {
    /// The core.
    pub core: u16,
    /// Entities that are running, starting, stopping or in trouble.
    pub entities: u32,
    /// Entities that count against the limit.
    pub active: u32,
    /// Shards that the core has and that may move.
    pub shards: u32,
    /// Entities started.
    pub started: u64,
    /// Entities that were stopped because they were idle.
    pub passivated_idle: u64,
    /// Entities that were stopped because there were too many.
    pub passivated_limit: u64,
    /// Entities that were stopped because they asked for it.
    pub passivated_asked: u64,
    /// Entities that failed, at their start or later.
    pub failed: u64,
    /// Messages refused because the entity cannot be started.
    pub refused_broken: u64,
    /// Messages refused because there is no room: for one more entity, or for messages that wait for one.
    pub refused_full: u64,
    /// Messages refused because they could not be sent on, or had no usable id. What regions say to each other of a
    /// move counts too; it is said again.
    pub refused_sends: u64,
    /// Messages refused because the node may not use what it owns, or because who sent them is no neighbour any more.
    pub refused_over: u64,
    /// Messages refused while their shard moved.
    pub refused_moving: u64,
    /// Entities that ran when their shard left, or when the node ended last, and whose ids found no room here or on
    /// the way to the shard's core.
    pub not_remembered: u64,
    /// Entities that the journal says to have run when the node ended last.
    pub recalled: u64,
    /// Events that say which entities run, written to the journal.
    pub records_written: u64,
    /// Records of which entities ran that could not be read.
    pub records_unreadable: u64,
    /// Starts and ends of entities without a record in the journal, though there should be one.
    pub not_recorded: u64,
    /// Bytes of messages that wait for entities that start or stop.
    pub kept_bytes: u64,
    /// Messages that wait for shards that move.
    pub parked: u64,
    /// Shards given away.
    pub given_away: u64,
    /// Shards whose entities had to be stopped before they had handled everything.
    pub killed: u64,
}
