//! The segment that is being written, and what was declared in it.

use crate::format::BLOCK_BYTES;

/// A file of the log's directory, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentFile(pub u64);

/// The segment that takes frames.
#[derive(Clone, Debug)]
pub struct OpenSegment {
    /// Its file.
    pub file: SegmentFile,
    /// Its number in the log.
    pub id: u64,
    /// The log sequence number of the byte behind its header.
    pub base_lsn: u64,
    /// Where the next frame begins in the file.
    pub next_offset: u64,
    /// The file's length.
    pub bytes: u64,
    /// The highest number in its dictionary of layouts.
    pub schemas: u16,
}

impl OpenSegment {
    /// A segment without frames.
    pub fn new(file: SegmentFile, id: u64, base_lsn: u64, bytes: u64) -> Self {
        OpenSegment { file, id, base_lsn, next_offset: BLOCK_BYTES as u64, bytes, schemas: 0 }
    }

    /// The log sequence number of the next frame.
    pub fn next_lsn(&self) -> u64 {
        self.lsn_of(self.next_offset)
    }

    /// The log sequence number of a place in its file.
    pub fn lsn_of(&self, offset: u64) -> u64 {
        self.base_lsn + offset.saturating_sub(BLOCK_BYTES as u64)
    }

    /// The log sequence number of the byte behind its last block: where the next segment begins.
    pub fn end_lsn(&self) -> u64 {
        self.base_lsn + (self.bytes - BLOCK_BYTES as u64)
    }

    /// Bytes that frames may still take.
    pub fn room_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.next_offset)
    }
}
