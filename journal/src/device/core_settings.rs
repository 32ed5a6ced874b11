//! What a core's journal is told when it is made, and what it counts.

use crate::index::MOST_ROWS;
use crate::reclaim::ReclaimSettings;
use crate::sourced::PersistenceSettings;

/// What a core's journal has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalFigures {
    /// Groups that were taken.
    pub groups: u64,
    /// Their records.
    pub records: u64,
    /// Writes that became durable, markers included.
    pub commits: u64,
    /// Bytes of those writes.
    pub committed_bytes: u64,
    /// Groups refused because no segment had room.
    pub refused_full: u64,
    /// Groups refused because too much waited.
    pub refused_busy: u64,
    /// Groups refused for another reason.
    pub refused_other: u64,
    /// Entities whose records were asked for.
    pub readings: u64,
    /// Requests that were made for their records, and for where they stand.
    pub reads: u64,
    /// Bytes of those requests.
    pub read_bytes: u64,
    /// Times that no segment could be made ahead.
    pub segments_refused: u64,
    /// Footers that were written.
    pub footers: u64,
    /// Footers that could not be written; their segments are scanned at the next opening.
    pub footers_failed: u64,
    /// Bytes of records that were copied forward out of old segments.
    pub bytes_copied_forward: u64,
    /// Old segments that were dropped.
    pub segments_dropped: u64,
    /// Bytes of their files.
    pub bytes_given_back: u64,
    /// Writes that failed: 0 or 1.
    pub failed_writes: u64,
}

/// What a core's journal is told when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSettings {
    /// Cores of the node, over which the shards are spread.
    pub cores: u16,
    /// Entities whose records are read at the same time; others wait.
    pub recovery_permits: usize,
    /// How long one may take, in milliseconds.
    pub recovery_limit_ms: u64,
    /// Bytes of what the log has written last that are kept in memory, so that entities that come back soon are made
    /// from it; none when 0.
    pub recent_limit_bytes: usize,
    /// Entities that the core's log may have, at most [`MOST_ROWS`]. Records of further ones are refused.
    pub entities_limit: usize,
    /// What actors do unless their type says otherwise.
    pub persistence: PersistenceSettings,
    /// When and how fast space is given back.
    pub reclaim: ReclaimSettings,
}

impl Default for CoreSettings {
    fn default() -> Self {
        CoreSettings {
            cores: 1,
            recovery_permits: 1 << 18,
            recovery_limit_ms: 30_000,
            recent_limit_bytes: 8 << 20,
            entities_limit: MOST_ROWS,
            persistence: PersistenceSettings::default(),
            reclaim: ReclaimSettings::default(),
        }
    }
}
