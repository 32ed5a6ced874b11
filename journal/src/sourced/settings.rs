//! How an event-sourced actor uses its journal.

/// Which events are given up, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Events are never given up.
    #[default]
    KeepAll,
    /// Events that the oldest kept snapshot stands for are given up.
    ToSnapshot,
    /// Of those events the ones are given up that are so old. A snapshot tells: when it has been durable for that long,
    /// so have the events that it stands for. It is looked at whenever a snapshot becomes durable; an entity that takes
    /// none any more keeps what it has.
    OlderThan {
        /// In milliseconds.
        age_ms: u64,
    },
}

/// How an event-sourced actor uses its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistenceSettings {
    /// A snapshot is taken when so many events came since the last one; none by itself when 0.
    pub snapshot_every: u64,
    /// How many snapshots are kept where events are given up. If the last one is damaged, the one before and the
    /// events behind it stand in.
    pub keep_snapshots: u32,
    /// Which events are given up.
    pub retention: Retention,
    /// How many ids of commands are remembered, to tell a command that comes twice.
    pub commands_remembered: u32,
}

impl Default for PersistenceSettings {
    fn default() -> Self {
        PersistenceSettings {
            snapshot_every: 1_000,
            keep_snapshots: 2,
            retention: Retention::KeepAll,
            commands_remembered: 128,
        }
    }
}
