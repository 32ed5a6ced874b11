//! One frame while it is filled: block-aligned memory with room for the header in front.

use rkyv::util::AlignedVec;

use crate::format::commit_frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::{RecordHeader, record_bytes};
use crate::format::{BLOCK_BYTES, checksum, whole_blocks};

/// Memory that a device reads from directly: its start is aligned to a block.
pub type BlockBuffer = AlignedVec<BLOCK_BYTES>;

/// A frame that takes records.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BlockBuffer,
    /// Blocks in front of the frame: the segment's header block, in the first frame of a segment.
    lead_bytes: usize,
    records: u32,
}

impl FrameBuffer {
    /// An empty frame, in memory that need not be empty.
    pub fn new(memory: BlockBuffer) -> Self {
        FrameBuffer::with_lead(memory, 0)
    }

    /// An empty frame behind a block that is filled in later: the segment's header.
    pub fn behind_a_block(memory: BlockBuffer) -> Self {
        FrameBuffer::with_lead(memory, BLOCK_BYTES)
    }

    fn with_lead(mut bytes: BlockBuffer, lead_bytes: usize) -> Self {
        bytes.clear();
        bytes.reserve(lead_bytes + BLOCK_BYTES);
        bytes.resize(lead_bytes + FRAME_HEADER_BYTES, 0);
        FrameBuffer { bytes, lead_bytes, records: 0 }
    }

    /// Whether a block stands in front.
    pub fn is_behind_a_block(&self) -> bool {
        self.lead_bytes > 0
    }

    /// Fills in the block in front; nothing happens where there is none.
    pub fn set_block(&mut self, block: &[u8; BLOCK_BYTES]) {
        if self.is_behind_a_block() {
            self.bytes[..BLOCK_BYTES].copy_from_slice(block);
        }
    }

    /// How many records it holds.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Bytes of records.
    pub fn payload_bytes(&self) -> usize {
        self.bytes.len() - self.lead_bytes - FRAME_HEADER_BYTES
    }

    /// The frame's length on the device when so many more bytes of records are in it.
    pub fn frame_bytes_with(&self, more: usize) -> usize {
        whole_blocks(FRAME_HEADER_BYTES + self.payload_bytes() + more)
    }

    /// Appends a record, new or copied forward, and returns where it starts, counted from the frame's first byte.
    pub fn push(&mut self, header: &RecordHeader, payload: &[u8], is_copy: bool) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + record_bytes(payload.len()), 0);
        let place = &mut self.bytes[start..];
        // The place was made to measure.
        let written = match is_copy {
            false => header.write(payload, place),
            true => header.write_copy(payload, place),
        };
        debug_assert!(written.is_some());
        self.records += 1;
        start - self.lead_bytes
    }

    /// Completes the frame: `header` with what this buffer knows of it. Returns the header and all bytes, whole
    /// blocks.
    pub fn seal(mut self, header: FrameHeader) -> (FrameHeader, BlockBuffer) {
        let from = self.lead_bytes + FRAME_HEADER_BYTES;
        let header = FrameHeader {
            payload_bytes: self.payload_bytes() as u32,
            record_count: self.records,
            payload_checksum: checksum(&self.bytes[from..]),
            ..header
        };
        self.bytes[self.lead_bytes..from].copy_from_slice(&header.encode());
        self.bytes.resize(self.lead_bytes + header.frame_bytes(), 0);
        (header, self.bytes)
    }
}
