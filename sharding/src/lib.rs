//! Entities on demand: shards, hand-off, cluster.
//!
//! | module | what |
//! |---|---|
//! | [`entities`] | ids and their shards; the table of the entities that a core has |
//! | [`handoff`] | how a shard moves while messages for it go on arriving |
//! | [`ownership`] | who owns a shard, and since which change |
//! | [`passivation`] | which of them have to leave: those that were idle, and those beyond a limit |
//! | [`rebalance`] | which shards are to move to which core |
#![forbid(unsafe_code)]

mod chunks;
pub mod entities;
pub mod handoff;
mod list;
pub mod ownership;
pub mod passivation;
pub mod rebalance;
