//! Entities on demand: shards, hand-off, cluster.
//!
//! | module | what |
//! |---|---|
//! | [`entities`] | ids and their shards; the table of the entities that a core has |
#![forbid(unsafe_code)]

mod chunks;
pub mod entities;
mod list;
