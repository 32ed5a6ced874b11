//! The first block of a segment: whose log it is, and where in the log it stands.

use super::fields::{put, u8_at, u16_at, u32_at, u64_at, u128_at};
use super::{BLOCK_BYTES, FORMAT_VERSION, checksum};

/// How a commit is made durable; probed for each device and written down with the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMethod {
    /// Each write carries `RWF_DSYNC`.
    WriteThrough,
    /// Each write is linked to an `fdatasync` behind it.
    WriteThenSync,
    /// Through the page cache with an `fsync`, where the file system has no direct I/O and this was allowed.
    Buffered,
    /// To memory only: the simulated disk and tests.
    Simulated,
}

/// What the first block of a segment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The name of the system that the log belongs to; at most [`SYSTEM_NAME_BYTES`].
    pub system: String,
    /// Tells this log from every other one.
    pub log_id: u128,
    /// Which core's log it is.
    pub core: u32,
    /// How many shards the system has; fixed for ever.
    pub shard_count: u32,
    /// Counts the log's segments from 1; a recycled file gets a new number.
    pub segment_id: u64,
    /// The log sequence number of the byte behind this header.
    pub base_lsn: u64,
    /// The chain value of the frame before this segment's first one.
    pub previous_chain: u32,
    /// The number of the frame before this segment's first one.
    pub previous_frame: u64,
    /// The length of the whole file.
    pub segment_bytes: u64,
    /// How commits of this segment are made durable.
    pub commit_method: CommitMethod,
}

/// A block that is no header of ours, or one that this code cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentHeaderError {
    /// Less than a block.
    #[error("the file has {bytes} bytes, a segment has at least {BLOCK_BYTES}")]
    TooShort {
        /// What there is.
        bytes: usize,
    },
    /// It starts with something else.
    #[error("this is no segment of a core log: it starts with {found:#018x}")]
    Magic {
        /// What it starts with.
        found: u64,
    },
    /// The log was written on a machine with the other byte order.
    #[error(
        "this segment was written by a big-endian program; only little-endian logs can be read"
    )]
    ForeignEndianness,
    /// The log was written by newer code.
    #[error(
        "the segment has format version {found}, this program reads up to {FORMAT_VERSION}; use a newer one"
    )]
    NewerVersion {
        /// Its version.
        found: u16,
    },
    /// The archives in it are laid out otherwise.
    #[error(
        "the archives of this segment have layout {found:#06x}, this program has {ARCHIVE_LAYOUT:#06x}"
    )]
    ArchiveLayout {
        /// Its layout.
        found: u16,
    },
    /// The block does not add up.
    #[error(
        "the checksum of the segment header is {found:#010x}, its content has {expected:#010x}"
    )]
    Checksum {
        /// What the block says.
        found: u32,
        /// What its content has.
        expected: u32,
    },
    /// A field has a value that this version does not know, although the checksum is right.
    #[error("the field \"{0}\" of the segment header has a value that is not possible")]
    Field(&'static str),
}

/// The longest name of a system.
pub const SYSTEM_NAME_BYTES: usize = 255;

/// How archives are laid out: little-endian, aligned, relative pointers of 32 bits.
pub const ARCHIVE_LAYOUT: u16 = 0b0000_0111;

impl SegmentHeader {
    /// The block. A name that is too long is cut at a character; the log refuses such names before.
    pub fn encode(&self) -> Box<[u8; BLOCK_BYTES]> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let bytes = block.as_mut_slice();
        put(bytes, MAGIC_AT, &MAGIC.to_le_bytes());
        put(bytes, VERSION_AT, &FORMAT_VERSION.to_le_bytes());
        put(bytes, LAYOUT_AT, &ARCHIVE_LAYOUT.to_le_bytes());
        put(bytes, BLOCK_AT, &(BLOCK_BYTES as u32).to_le_bytes());
        put(bytes, SEGMENT_BYTES_AT, &self.segment_bytes.to_le_bytes());
        put(bytes, LOG_ID_AT, &self.log_id.to_le_bytes());
        put(bytes, SEGMENT_ID_AT, &self.segment_id.to_le_bytes());
        put(bytes, BASE_LSN_AT, &self.base_lsn.to_le_bytes());
        put(bytes, PREVIOUS_FRAME_AT, &self.previous_frame.to_le_bytes());
        put(bytes, PREVIOUS_CHAIN_AT, &self.previous_chain.to_le_bytes());
        put(bytes, CORE_AT, &self.core.to_le_bytes());
        put(bytes, SHARD_COUNT_AT, &self.shard_count.to_le_bytes());
        put(bytes, METHOD_AT, &[self.commit_method.number()]);
        let name = &self.system.as_bytes()[..self.system.floor_char_boundary(SYSTEM_NAME_BYTES)];
        put(bytes, NAME_LENGTH_AT, &[name.len() as u8]);
        put(bytes, NAME_AT, name);
        let sum = checksum(&bytes[..CHECKSUM_AT]);
        put(bytes, CHECKSUM_AT, &sum.to_le_bytes());
        block
    }

    /// Reads the block at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, SegmentHeaderError> {
        let block =
            bytes.get(..BLOCK_BYTES).ok_or(SegmentHeaderError::TooShort { bytes: bytes.len() })?;
        match u64_at(block, MAGIC_AT) {
            MAGIC => {}
            found if found == MAGIC.swap_bytes() => {
                return Err(SegmentHeaderError::ForeignEndianness);
            }
            found => return Err(SegmentHeaderError::Magic { found }),
        }
        let (found, expected) = (u32_at(block, CHECKSUM_AT), checksum(&block[..CHECKSUM_AT]));
        if found != expected {
            return Err(SegmentHeaderError::Checksum { found, expected });
        }
        let version = u16_at(block, VERSION_AT);
        if version > FORMAT_VERSION {
            return Err(SegmentHeaderError::NewerVersion { found: version });
        }
        let layout = u16_at(block, LAYOUT_AT);
        if layout != ARCHIVE_LAYOUT {
            return Err(SegmentHeaderError::ArchiveLayout { found: layout });
        }
        if version == 0 || u32_at(block, BLOCK_AT) as usize != BLOCK_BYTES {
            return Err(SegmentHeaderError::Field("version or block size"));
        }
        let header = SegmentHeader {
            system: name_of(block)?,
            log_id: u128_at(block, LOG_ID_AT),
            core: u32_at(block, CORE_AT),
            shard_count: u32_at(block, SHARD_COUNT_AT),
            segment_id: u64_at(block, SEGMENT_ID_AT),
            base_lsn: u64_at(block, BASE_LSN_AT),
            previous_chain: u32_at(block, PREVIOUS_CHAIN_AT),
            previous_frame: u64_at(block, PREVIOUS_FRAME_AT),
            segment_bytes: u64_at(block, SEGMENT_BYTES_AT),
            commit_method: CommitMethod::of_number(u8_at(block, METHOD_AT))
                .ok_or(SegmentHeaderError::Field("commit method"))?,
        };
        header.checked()
    }

    fn checked(self) -> Result<SegmentHeader, SegmentHeaderError> {
        let room = self.segment_bytes.saturating_sub(BLOCK_BYTES as u64);
        if room == 0 || !self.segment_bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(SegmentHeaderError::Field("segment bytes"));
        }
        if self.base_lsn.checked_add(room).is_none() {
            return Err(SegmentHeaderError::Field("base lsn"));
        }
        if self.segment_id == 0 {
            return Err(SegmentHeaderError::Field("segment id"));
        }
        Ok(self)
    }
}

impl CommitMethod {
    fn number(self) -> u8 {
        match self {
            CommitMethod::WriteThrough => 1,
            CommitMethod::WriteThenSync => 2,
            CommitMethod::Buffered => 3,
            CommitMethod::Simulated => 4,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Self::WriteThrough, Self::WriteThenSync, Self::Buffered, Self::Simulated]
            .into_iter()
            .find(|method| method.number() == number)
    }
}

fn name_of(block: &[u8]) -> Result<String, SegmentHeaderError> {
    let length = u8_at(block, NAME_LENGTH_AT) as usize;
    let name = block.get(NAME_AT..NAME_AT + length).unwrap_or_default();
    String::from_utf8(name.to_vec()).map_err(|_| SegmentHeaderError::Field("system name"))
}

/// "MSPRLOG1" in the order of the bytes.
const MAGIC: u64 = u64::from_le_bytes(*b"MSPRLOG1");

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = 8;
const LAYOUT_AT: usize = 10;
const BLOCK_AT: usize = 12;
const SEGMENT_BYTES_AT: usize = 16;
const LOG_ID_AT: usize = 24;
const SEGMENT_ID_AT: usize = 40;
const BASE_LSN_AT: usize = 48;
const PREVIOUS_FRAME_AT: usize = 56;
const PREVIOUS_CHAIN_AT: usize = 64;
const CORE_AT: usize = 68;
const SHARD_COUNT_AT: usize = 72;
const METHOD_AT: usize = 76;
const NAME_LENGTH_AT: usize = 77;
const NAME_AT: usize = 78;
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;

const _: () = assert!(NAME_AT + SYSTEM_NAME_BYTES < CHECKSUM_AT);

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            system: "orders".into(),
            log_id: 0x0123_4567_89AB_CDEF_0011_2233_4455_6677,
            core: 3,
            shard_count: 1024,
            segment_id: 7,
            base_lsn: 1 << 30,
            previous_chain: 0xAABB_CCDD,
            previous_frame: 99,
            segment_bytes: 64 << 20,
            commit_method: CommitMethod::WriteThenSync,
        }
    }

    /// The block with one field changed and the checksum right again.
    fn changed(offset: usize, bytes: &[u8]) -> Result<SegmentHeader, SegmentHeaderError> {
        let mut block = header().encode();
        put(block.as_mut_slice(), offset, bytes);
        let sum = checksum(&block[..CHECKSUM_AT]);
        put(block.as_mut_slice(), CHECKSUM_AT, &sum.to_le_bytes());
        SegmentHeader::decode(block.as_slice())
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(SegmentHeader::decode(header().encode().as_slice()), Ok(header()));
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let block = header().encode();
        for bit in 0..BLOCK_BYTES * 8 {
            let mut torn = block.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(torn.as_slice()).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_this_program_cannot_read_is_refused_by_name() {
        assert_eq!(
            changed(VERSION_AT, &[2, 0]),
            Err(SegmentHeaderError::NewerVersion { found: 2 })
        );
        assert_eq!(
            changed(LAYOUT_AT, &[3, 0]),
            Err(SegmentHeaderError::ArchiveLayout { found: 3 })
        );
        assert_eq!(
            changed(MAGIC_AT, &MAGIC.to_be_bytes()),
            Err(SegmentHeaderError::ForeignEndianness)
        );
        assert!(matches!(changed(MAGIC_AT, b"SQLite f"), Err(SegmentHeaderError::Magic { .. })));
        assert_eq!(changed(METHOD_AT, &[9]), Err(SegmentHeaderError::Field("commit method")));
        let odd = changed(SEGMENT_BYTES_AT, &4097u64.to_le_bytes());
        assert_eq!(odd, Err(SegmentHeaderError::Field("segment bytes")));
        let short = SegmentHeader::decode(&[0; 100]);
        assert_eq!(short, Err(SegmentHeaderError::TooShort { bytes: 100 }));
    }
}
