//! Which entity stands where in a log, so that a log is opened without reading it and one entity is read without
//! the others.
//!
//! | what | where | lost, it costs |
//! |---|---|---|
//! | [`SegmentIndex`] | in memory, of the segment that takes records | a scan of that segment, at every opening |
//! | [`Footer`] | a file beside each sealed segment | a scan of the segment |
//! | [`FooterSummary`] | in memory, of each footer | |
//! | [`EntityTable`], [`ShardTable`] | in memory, of the whole log | |
//! | [`Checkpoint`] | two files that take turns | reading the footers |
//!
//! Invariants:
//!
//! - Everything here is derived from the segments. What is lost, damaged or of another log is not used, and never
//!   changes an answer.
//! - A footer or checkpoint counts only when the header of the segment behind names the frame with which it ends.
//! - All logic is bytes in, bytes out; files and threads are the caller's.
//! - The order of a hash table decides nothing.

mod block;
mod checkpoint;
mod entity_table;
mod footer;
mod footer_summary;
mod open;
mod rebuild;
pub mod retention;
mod row;
mod search;
mod segment_index;
mod shard_table;
mod slots;

pub use block::BlockError;
pub use checkpoint::{
    CHECKPOINT_FILES, CHECKPOINT_VERSION, Checkpoint, CheckpointError, CheckpointHeader,
    NewCheckpoint, merge,
};
pub use entity_table::{Entity, EntityTable, TooManyEntities};
pub use footer::{FOOTER_VERSION, Footer, FooterError, FooterHeader};
pub use footer_summary::{DecodedBlocks, FooterSummary};
pub use open::{IndexReader, OpenedIndex, open_index};
pub use rebuild::{RebuildError, rebuild_footer};
pub use row::{EntityRow, MOST_SEGMENT_BYTES, Posting, RecordPlace, Restart, ShardRow};
pub use search::{KnownSegment, Search, SearchStep};
pub use segment_index::{FrameEnd, IndexError, IndexedSegment, SegmentIndex};
pub use shard_table::{MOST_SHARDS, ShardTable, TooManyShards};
pub use slots::{MOST_ROWS, RowGuess};

#[cfg(test)]
mod tests;
