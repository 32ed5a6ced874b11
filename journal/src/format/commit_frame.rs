//! A commit frame: the records of one commit, chained to the frame before.
//!
//! The chain makes a stale frame of a recycled segment, a frame that was written elsewhere and a frame that was lost
//! in between all look alike: they do not follow. The durable prefix that each frame states is what later proves
//! that an earlier frame had been acknowledged, so that its loss is corruption and not a torn tail.

use super::fields::{put, u32_at, u64_at};
use super::{BLOCK_BYTES, checksum, whole_blocks};

/// The header of a frame; the records follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The segment that the frame was written for.
    pub segment_id: u64,
    /// Counts the frames of the log from 1.
    pub sequence: u64,
    /// The log sequence number of the frame's first byte.
    pub lsn: u64,
    /// Everything before this log sequence number was durable when the frame was written.
    pub durable_lsn: u64,
    /// Bytes of records behind the header, without the zeroes up to the end of the block.
    pub payload_bytes: u32,
    /// How many records.
    pub record_count: u32,
    /// The chain value of the frame before.
    pub previous_chain: u32,
    /// The checksum of the records.
    pub payload_checksum: u32,
    /// Wall-clock time in milliseconds since 1970 when the frame was written, never lower than in the frame before.
    pub written_at_ms: u64,
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing was ever written here: the block is all zeroes.
    #[error("nothing was written here")]
    Empty,
    /// It starts with something else.
    #[error("no frame starts here")]
    Magic,
    /// The header does not add up.
    #[error("the checksum of the frame header is wrong")]
    HeaderChecksum,
    /// The frame would reach beyond what is there, or is shorter than its records can be.
    #[error("the frame states {payload_bytes} bytes of records, and {room} bytes are there")]
    Length {
        /// What it states.
        payload_bytes: u32,
        /// What is there.
        room: usize,
    },
    /// The records do not add up.
    #[error("the checksum of the frame's records is wrong")]
    PayloadChecksum,
}

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 64;

/// The most bytes of a whole frame: what may be lost in a torn write.
pub const MOST_FRAME_BYTES: usize = 1 << 20;

impl FrameHeader {
    /// The frame's length on the device: whole blocks.
    pub fn frame_bytes(&self) -> usize {
        whole_blocks(FRAME_HEADER_BYTES + self.payload_bytes as usize)
    }

    /// The value by which the next frame is chained to this one.
    pub fn chain(&self) -> u32 {
        checksum(&self.encode()[CHECKED_FROM..])
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        put(&mut bytes, MAGIC_AT, &MAGIC.to_le_bytes());
        put(&mut bytes, SEGMENT_AT, &self.segment_id.to_le_bytes());
        put(&mut bytes, SEQUENCE_AT, &self.sequence.to_le_bytes());
        put(&mut bytes, LSN_AT, &self.lsn.to_le_bytes());
        put(&mut bytes, DURABLE_AT, &self.durable_lsn.to_le_bytes());
        put(&mut bytes, PAYLOAD_BYTES_AT, &self.payload_bytes.to_le_bytes());
        put(&mut bytes, RECORDS_AT, &self.record_count.to_le_bytes());
        put(&mut bytes, PREVIOUS_AT, &self.previous_chain.to_le_bytes());
        put(&mut bytes, PAYLOAD_CHECKSUM_AT, &self.payload_checksum.to_le_bytes());
        put(&mut bytes, WRITTEN_AT, &self.written_at_ms.to_le_bytes());
        let sum = checksum(&bytes[CHECKED_FROM..]);
        put(&mut bytes, CHECKSUM_AT, &sum.to_le_bytes());
        bytes
    }

    /// Reads the frame at the start of `bytes`, which reach to the end of the segment or further than any frame: the
    /// header and its records, both checked. Whether it follows the frame before is for the caller to check.
    pub fn decode(bytes: &[u8]) -> Result<(FrameHeader, &[u8]), FrameError> {
        let header = FrameHeader::decode_header(bytes)?;
        let payload_bytes = header.payload_bytes;
        let length = FrameError::Length { payload_bytes, room: bytes.len() };
        let end = FRAME_HEADER_BYTES + payload_bytes as usize;
        let payload = bytes.get(FRAME_HEADER_BYTES..end).ok_or(length)?;
        if checksum(payload) != header.payload_checksum {
            return Err(FrameError::PayloadChecksum);
        }
        Ok((header, payload))
    }

    /// Reads and checks the header alone.
    pub fn decode_header(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
        let Some(head) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Err(FrameError::Length { payload_bytes: 0, room: bytes.len() });
        };
        if u32_at(head, MAGIC_AT) != MAGIC {
            let block = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
            let is_empty = block.iter().all(|byte| *byte == 0);
            return Err(if is_empty { FrameError::Empty } else { FrameError::Magic });
        }
        if u32_at(head, CHECKSUM_AT) != checksum(&head[CHECKED_FROM..]) {
            return Err(FrameError::HeaderChecksum);
        }
        let header = FrameHeader {
            segment_id: u64_at(head, SEGMENT_AT),
            sequence: u64_at(head, SEQUENCE_AT),
            lsn: u64_at(head, LSN_AT),
            durable_lsn: u64_at(head, DURABLE_AT),
            payload_bytes: u32_at(head, PAYLOAD_BYTES_AT),
            record_count: u32_at(head, RECORDS_AT),
            previous_chain: u32_at(head, PREVIOUS_AT),
            payload_checksum: u32_at(head, PAYLOAD_CHECKSUM_AT),
            written_at_ms: u64_at(head, WRITTEN_AT),
        };
        let too_long = header.frame_bytes() > MOST_FRAME_BYTES;
        if too_long || header.durable_lsn > header.lsn {
            let payload_bytes = header.payload_bytes;
            return Err(FrameError::Length { payload_bytes, room: bytes.len() });
        }
        Ok(header)
    }
}

/// "MSCF" in the order of the bytes.
const MAGIC: u32 = u32::from_le_bytes(*b"MSCF");

const MAGIC_AT: usize = 0;
const CHECKSUM_AT: usize = 4;
const CHECKED_FROM: usize = 8;
const SEGMENT_AT: usize = 8;
const SEQUENCE_AT: usize = 16;
const LSN_AT: usize = 24;
const DURABLE_AT: usize = 32;
const PAYLOAD_BYTES_AT: usize = 40;
const RECORDS_AT: usize = 44;
const PREVIOUS_AT: usize = 48;
const PAYLOAD_CHECKSUM_AT: usize = 52;
const WRITTEN_AT: usize = 56;

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = b"sixteen bytes...and sixteen more";

    fn header() -> FrameHeader {
        FrameHeader {
            segment_id: 4,
            sequence: 17,
            lsn: 8192,
            durable_lsn: 4096,
            payload_bytes: PAYLOAD.len() as u32,
            record_count: 1,
            previous_chain: 0x1234_5678,
            payload_checksum: checksum(PAYLOAD),
            written_at_ms: 1_700_000_000_000,
        }
    }

    fn frame() -> Vec<u8> {
        let mut bytes = header().encode().to_vec();
        bytes.extend_from_slice(PAYLOAD);
        bytes.resize(header().frame_bytes(), 0);
        bytes
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        assert_eq!(FrameHeader::decode(&frame()), Ok((header(), PAYLOAD)));
        assert_eq!(header().frame_bytes(), BLOCK_BYTES);
    }

    #[test]
    fn any_flipped_bit_of_header_or_records_is_found() {
        for bit in 0..(FRAME_HEADER_BYTES + PAYLOAD.len()) * 8 {
            let mut torn = frame();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::decode(&torn).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_chain_depends_on_the_records_and_on_the_frame_before() {
        let other_records = FrameHeader { payload_checksum: 1, ..header() };
        let other_past = FrameHeader { previous_chain: 1, ..header() };
        assert_ne!(header().chain(), other_records.chain());
        assert_ne!(header().chain(), other_past.chain());
    }

    #[test]
    fn zeroes_are_told_from_rubbish() {
        assert_eq!(FrameHeader::decode(&[0; BLOCK_BYTES]), Err(FrameError::Empty));
        assert_eq!(FrameHeader::decode(&[1; BLOCK_BYTES]), Err(FrameError::Magic));
        let mut late = [0; BLOCK_BYTES];
        late[BLOCK_BYTES - 1] = 1;
        assert_eq!(FrameHeader::decode(&late), Err(FrameError::Magic));
        assert!(matches!(FrameHeader::decode(&[]), Err(FrameError::Length { .. })));
    }

    #[test]
    fn a_frame_that_is_cut_off_states_what_is_missing() {
        let frame = frame();
        let cut = FrameHeader::decode(&frame[..FRAME_HEADER_BYTES + 5]);
        assert_eq!(cut, Err(FrameError::Length { payload_bytes: 32, room: 69 }));
        let huge = FrameHeader { payload_bytes: u32::MAX, ..header() }.encode();
        assert!(matches!(FrameHeader::decode(&huge), Err(FrameError::Length { .. })));
    }
}
