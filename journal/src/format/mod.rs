//! The bytes of a core log: segment header, commit frame, record, dictionary. `docs/journal-format.md` is the same
//! in words, byte by byte.
//!
//! Everything here is a pure function of bytes. All integers are little-endian. Bytes from a disk are never trusted:
//! every length is checked against what is there, every checksum before what it covers is used, and what is wrong
//! is a typed error with its offset. Nothing panics, whatever the bytes.
//!
//! Sizes, which are part of the format:
//!
//! ```text
//! segment   | header block | commit frame | commit frame | .. | zeroes
//! frame     | 64 bytes of header | record | record | .. | zeroes up to the next block |
//! record    | 48 bytes of header | payload | zeroes up to the next 16 bytes |
//! ```

pub mod commit_frame;
pub mod dictionary;
pub(crate) mod fields;
pub mod record;
pub mod segment_header;

pub use commit_frame::FrameHeader;
pub use record::{RecordHeader, RecordKind};
pub use segment_header::SegmentHeader;

/// The version of the format that this code writes. A log of a higher version is refused.
pub const FORMAT_VERSION: u16 = 1;

/// A device is written in blocks of so many bytes: the largest logical block of common devices, and a page.
pub const BLOCK_BYTES: usize = 4096;

/// Records start at multiples of this, so that an archive within one can be read where it lies.
pub const RECORD_ALIGNMENT: usize = 16;

/// A checksum of the whole format: CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Rounds up to whole blocks; saturates.
pub const fn whole_blocks(bytes: usize) -> usize {
    match bytes.checked_next_multiple_of(BLOCK_BYTES) {
        Some(whole) => whole,
        None => usize::MAX - (usize::MAX % BLOCK_BYTES),
    }
}
