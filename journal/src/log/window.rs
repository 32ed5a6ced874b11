//! A view of a segment's file that moves forwards, so that a segment is read in large pieces and never as a whole.

use super::frame_buffer::BlockBuffer;
use super::recovery::{ReadError, SegmentReader};
use super::segment::SegmentFile;
use crate::format::BLOCK_BYTES;
use crate::format::commit_frame::MOST_FRAME_BYTES;

/// How much is read at once: at least two of the longest frames, so that moving on costs little.
const WINDOW_BYTES: usize = 4 * MOST_FRAME_BYTES;

/// The part of a file that is in memory.
#[derive(Debug)]
pub struct Window {
    file: SegmentFile,
    file_bytes: u64,
    start: u64,
    bytes: BlockBuffer,
}

impl Window {
    /// A view of a file of so many bytes: whole blocks.
    pub fn new(file: SegmentFile, file_bytes: u64) -> Self {
        let whole = file_bytes - file_bytes % BLOCK_BYTES as u64;
        Window { file, file_bytes: whole, start: 0, bytes: BlockBuffer::new() }
    }

    /// The view may reach further by now. What is in memory stays.
    pub fn grow(&mut self, file_bytes: u64) {
        self.file_bytes = self.file_bytes.max(file_bytes - file_bytes % BLOCK_BYTES as u64);
    }

    /// The file's bytes from a block on: those of the longest frame, or as many as the file has.
    pub fn at(&mut self, reader: &mut dyn SegmentReader, offset: u64) -> Result<&[u8], ReadError> {
        let needed = (self.file_bytes.saturating_sub(offset)).min(MOST_FRAME_BYTES as u64);
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + needed > end {
            let length = self.file_bytes.saturating_sub(offset).min(WINDOW_BYTES as u64) as usize;
            // Nothing of the old view may be taken for the new one when reading fails.
            self.bytes.clear();
            self.start = offset;
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.resize(length, 0);
            reader.read(self.file, offset, &mut bytes)?;
            self.bytes = bytes;
        }
        let from = (offset - self.start) as usize;
        Ok(self.bytes.get(from..).unwrap_or_default())
    }
}
