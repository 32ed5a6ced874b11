//! What the lists are in a journal.

use mainspring_journal::{event, events, state};

/// Entities of a shard have started and ended.
#[event(name = "mainspring.sharding.running_changed", version = 1)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningChanged {
    /// The ids of those that have started, in order.
    pub started: Vec<Vec<u8>>,
    /// The ids of those that have ended, in order.
    pub ended: Vec<Vec<u8>>,
}

/// What may happen to a list.
#[events]
pub enum RunningEvent {
    /// Entities have started and ended.
    Changed(RunningChanged),
}

/// A list: which entities of a shard run.
#[state(name = "mainspring.sharding.running", version = 1)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Their ids, in order.
    pub ids: Vec<Vec<u8>>,
}
