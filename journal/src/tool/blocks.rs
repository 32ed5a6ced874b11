//! A view of a segment's file that goes on where a block cannot be read: such a block is zeroes, and is remembered.

use std::collections::BTreeSet;

use crate::format::BLOCK_BYTES;
use crate::format::commit_frame::MOST_FRAME_BYTES;
use crate::log::SegmentFile;
use crate::log::recovery::SegmentReader;

/// How much is read at once.
const WINDOW_BYTES: u64 = 4 * MOST_FRAME_BYTES as u64;

/// A file, block by block.
pub struct Blocks<'r> {
    reader: &'r mut dyn SegmentReader,
    file: SegmentFile,
    /// Whole blocks.
    file_bytes: u64,
    start: u64,
    bytes: Vec<u8>,
    unreadable: BTreeSet<u64>,
}

impl<'r> Blocks<'r> {
    /// A view of the first `file_bytes` of a file.
    pub fn new(reader: &'r mut dyn SegmentReader, file: SegmentFile, file_bytes: u64) -> Self {
        let file_bytes = file_bytes - file_bytes % BLOCK_BYTES as u64;
        let (start, bytes, unreadable) = (0, Vec::new(), BTreeSet::new());
        Blocks { reader, file, file_bytes, start, bytes, unreadable }
    }

    /// The length of what is seen.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The bytes from a block on: those of the longest frame at least, or as many as the file has.
    pub fn at(&mut self, offset: u64) -> &[u8] {
        let needed = self.file_bytes.saturating_sub(offset).min(MOST_FRAME_BYTES as u64);
        if offset < self.start || offset + needed > self.start + self.bytes.len() as u64 {
            self.fill(offset);
        }
        self.bytes.get((offset - self.start) as usize..).unwrap_or_default()
    }

    /// The first block within these bytes that cannot be read. Known of blocks that were looked at.
    pub fn unreadable_in(&self, from: u64, to: u64) -> Option<u64> {
        self.unreadable.range(from..to).next().copied()
    }

    fn fill(&mut self, offset: u64) {
        let length = self.file_bytes.saturating_sub(offset).min(WINDOW_BYTES) as usize;
        self.bytes.clear();
        self.bytes.resize(length, 0);
        self.start = offset;
        if length == 0 || self.reader.read(self.file, offset, &mut self.bytes).is_ok() {
            return;
        }
        for (place, block) in self.bytes.chunks_mut(BLOCK_BYTES).enumerate() {
            let block_offset = offset + (place * BLOCK_BYTES) as u64;
            if self.reader.read(self.file, block_offset, block).is_err() {
                block.fill(0);
                self.unreadable.insert(block_offset);
            }
        }
    }
}
