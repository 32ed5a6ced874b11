//! Derived files as blocks: each of 4,096 bytes, with a checksum of its own, and sure of its place.
//!
//! A block says what it holds, which block of the file it is and whose file that is, all under its checksum: a
//! block that was damaged, moved, or left over from another file is refused before any of it is used. Rows are of
//! one length and never cross a block; text is a stream that does.

use std::io::{self, Read, Write};

use crate::format::fields::{put, u8_at, u16_at, u32_at};
use crate::format::{BLOCK_BYTES, checksum};

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// The last record of each shard.
    Shards = 1,
    /// The first hash of each block of entities.
    FirstHashes = 2,
    /// A footer's entities.
    Entities = 3,
    /// Places of records.
    Postings = 4,
    /// The segment's dictionary of layouts.
    Layouts = 5,
    /// A checkpoint's entities.
    Table = 6,
    /// The end of a checkpoint.
    End = 7,
}

/// A block that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file ends before it, or it cannot be read.
    #[error("block {block} cannot be read: {source}")]
    Read {
        /// Its number in the file.
        block: u32,
        /// What the source said.
        source: io::Error,
    },
    /// It does not add up.
    #[error("the checksum of block {block} is wrong")]
    Checksum {
        /// Its number in the file.
        block: u32,
    },
    /// It is a block of another place, of another file, or holds something else.
    #[error("another block stands in the place of block {block}")]
    Misplaced {
        /// Its number in the file.
        block: u32,
    },
    /// What it holds is not possible, although the checksum is right.
    #[error("block {block}: {what}")]
    Content {
        /// Its number in the file.
        block: u32,
        /// What is wrong.
        what: &'static str,
    },
}

/// Whose file a block is of: a checksum of the log's id, the kind of file and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// The owner of the blocks of one file.
    pub fn new(magic: u64, log_id: u128, number: u64) -> Self {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, &magic.to_le_bytes());
        put(&mut bytes, 8, &number.to_le_bytes());
        put(&mut bytes, 16, &log_id.to_le_bytes());
        Owner(checksum(&bytes))
    }
}

/// Bytes of a block that hold rows or text.
const ROOM_BYTES: usize = BLOCK_BYTES - HEAD_BYTES;

/// Something of a fixed length.
pub trait Row: Sized {
    /// Which blocks hold it.
    const KIND: BlockKind;
    /// Its length.
    const BYTES: usize;
    /// How many a block holds.
    const PER_BLOCK: usize = ROOM_BYTES / Self::BYTES;

    /// Writes it; `bytes` has its length and is zero.
    fn put(&self, bytes: &mut [u8]);

    /// Reads it; `bytes` has its length. None when it is not possible.
    fn get(bytes: &[u8]) -> Option<Self>;
}

/// How many blocks so many rows take.
pub fn blocks_of_rows<R: Row>(rows: u64) -> u64 {
    rows.div_ceil(R::PER_BLOCK as u64)
}

/// How many blocks so many bytes of text take.
pub fn blocks_of_text(bytes: u64) -> u64 {
    bytes.div_ceil(ROOM_BYTES as u64)
}

/// Writes the blocks of a file, one after the other.
pub struct BlockSink<'a> {
    out: &'a mut dyn Write,
    owner: Owner,
    number: u32,
    block: Box<[u8; BLOCK_BYTES]>,
    count: u16,
    used: usize,
    sum: u32,
}

impl<'a> BlockSink<'a> {
    /// Goes on behind the file's header block, which is block 0.
    pub fn new(out: &'a mut dyn Write, owner: Owner) -> Self {
        BlockSink {
            out,
            owner,
            number: 1,
            block: Box::new([0; BLOCK_BYTES]),
            count: 0,
            used: 0,
            sum: 0,
        }
    }

    /// Adds a row; [`BlockSink::close`] ends the rows of this kind.
    pub fn push<R: Row>(&mut self, row: &R) -> io::Result<()> {
        if usize::from(self.count) == R::PER_BLOCK {
            self.close(R::KIND)?;
        }
        let from = HEAD_BYTES + self.used;
        row.put(&mut self.block[from..from + R::BYTES]);
        self.used += R::BYTES;
        self.count += 1;
        Ok(())
    }

    /// Writes all of `rows` and closes the last block.
    pub fn rows<R: Row>(&mut self, rows: &[R]) -> io::Result<()> {
        rows.iter().try_for_each(|row| self.push(row))?;
        self.close(R::KIND)
    }

    /// Writes text: as many blocks as it takes. A block's count is that of its bytes.
    pub fn text(&mut self, kind: BlockKind, text: &[u8]) -> io::Result<()> {
        for part in text.chunks(ROOM_BYTES) {
            self.block[HEAD_BYTES..HEAD_BYTES + part.len()].copy_from_slice(part);
            (self.used, self.count) = (part.len(), part.len() as u16);
            self.close(kind)?;
        }
        Ok(())
    }

    /// Writes the block that is being filled, if anything is in it.
    pub fn close(&mut self, kind: BlockKind) -> io::Result<()> {
        if self.used == 0 {
            return Ok(());
        }
        let bytes = self.block.as_mut_slice();
        put(bytes, KIND_AT, &[kind as u8]);
        put(bytes, COUNT_AT, &self.count.to_le_bytes());
        put(bytes, NUMBER_AT, &self.number.to_le_bytes());
        put(bytes, OWNER_AT, &self.owner.0.to_le_bytes());
        let sum = checksum(&bytes[CHECKED_FROM..]);
        put(bytes, CHECKSUM_AT, &sum.to_le_bytes());
        self.out.write_all(bytes)?;
        bytes.fill(0);
        self.sum = crc32c::crc32c_append(self.sum, &sum.to_le_bytes());
        self.number += 1;
        (self.count, self.used) = (0, 0);
        Ok(())
    }

    /// A checksum of the checksums of all blocks so far.
    pub fn sum(&self) -> u32 {
        self.sum
    }
}

/// Reads the blocks of a file, one after the other.
pub struct BlockSource<'a> {
    input: &'a mut dyn Read,
    owner: Owner,
    number: u32,
    block: Box<[u8; BLOCK_BYTES]>,
    /// Whether the block was read that is next.
    is_ahead: bool,
    sum: u32,
}

impl<'a> BlockSource<'a> {
    /// Goes on behind the file's header block, which is block 0.
    pub fn new(input: &'a mut dyn Read, owner: Owner) -> Self {
        BlockSource::at(input, owner, 1)
    }

    /// Begins with another block.
    pub fn at(input: &'a mut dyn Read, owner: Owner, number: u32) -> Self {
        let block = Box::new([0; BLOCK_BYTES]);
        BlockSource { input, owner, number, block, is_ahead: false, sum: 0 }
    }

    /// The next block's rows: so many as are left of `rows`, and never more than a block takes.
    pub fn rows<R: Row>(&mut self, rows_left: u64) -> Result<Vec<R>, BlockError> {
        let number = self.number;
        self.read_on()?;
        let expected = rows_left.min(R::PER_BLOCK as u64) as usize;
        read_rows(self.block.as_slice(), self.owner, number, Some(expected))
    }

    /// The next block's rows, however many it has.
    pub fn some_rows<R: Row>(&mut self) -> Result<Vec<R>, BlockError> {
        let number = self.number;
        self.read_on()?;
        read_rows(self.block.as_slice(), self.owner, number, None)
    }

    /// What the next block says that it holds; nothing of it was checked yet.
    pub fn kind_ahead(&mut self) -> Result<u8, BlockError> {
        self.read_ahead()?;
        Ok(u8_at(self.block.as_slice(), KIND_AT))
    }

    /// All `rows`, given to `take` one by one.
    pub fn all_rows<R: Row>(
        &mut self,
        rows: u64,
        mut take: impl FnMut(R) -> Result<(), &'static str>,
    ) -> Result<(), BlockError> {
        let mut left = rows;
        while left > 0 {
            let block = self.number;
            let found = self.rows::<R>(left)?;
            left -= found.len() as u64;
            for row in found {
                take(row).map_err(|what| BlockError::Content { block, what })?;
            }
        }
        Ok(())
    }

    /// Text of so many bytes.
    pub fn text(&mut self, kind: BlockKind, bytes: u64) -> Result<Vec<u8>, BlockError> {
        let mut text = Vec::new();
        while (text.len() as u64) < bytes {
            let number = self.number;
            self.read_on()?;
            let (count, room) = open(self.block.as_slice(), self.owner, kind, number)?;
            let expected = (bytes - text.len() as u64).min(ROOM_BYTES as u64) as usize;
            if count != expected {
                return Err(BlockError::Content { block: number, what: WRONG_COUNT });
            }
            text.extend_from_slice(&room[..count]);
        }
        Ok(text)
    }

    /// The number of the next block.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// A checksum of the checksums of all blocks so far.
    pub fn sum(&self) -> u32 {
        self.sum
    }

    fn read_ahead(&mut self) -> Result<(), BlockError> {
        let block = self.number;
        let failed = |source| BlockError::Read { block, source };
        if !self.is_ahead {
            self.input.read_exact(self.block.as_mut_slice()).map_err(failed)?;
        }
        self.is_ahead = true;
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), BlockError> {
        self.read_ahead()?;
        self.is_ahead = false;
        self.sum = crc32c::crc32c_append(self.sum, &self.block[CHECKSUM_AT..CHECKED_FROM]);
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

/// The rows of one block that was read by itself; with `expected`, just so many.
pub fn read_rows<R: Row>(
    bytes: &[u8],
    owner: Owner,
    number: u32,
    expected: Option<usize>,
) -> Result<Vec<R>, BlockError> {
    let (count, room) = open(bytes, owner, R::KIND, number)?;
    let content = |what| BlockError::Content { block: number, what };
    if count == 0 || count > R::PER_BLOCK || expected.is_some_and(|expected| expected != count) {
        return Err(content(WRONG_COUNT));
    }
    let rows = room.chunks_exact(R::BYTES).take(count).map(R::get);
    rows.collect::<Option<Vec<R>>>().ok_or(content("a row in it is not possible"))
}

/// Checks a block and gives its count and its content.
fn open(
    bytes: &[u8],
    owner: Owner,
    kind: BlockKind,
    number: u32,
) -> Result<(usize, &[u8]), BlockError> {
    let Some(block) = bytes.get(..BLOCK_BYTES) else {
        let source = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(BlockError::Read { block: number, source });
    };
    if u32_at(block, CHECKSUM_AT) != checksum(&block[CHECKED_FROM..]) {
        return Err(BlockError::Checksum { block: number });
    }
    let place = (u8_at(block, KIND_AT), u32_at(block, NUMBER_AT), u32_at(block, OWNER_AT));
    if place != (kind as u8, number, owner.0) {
        return Err(BlockError::Misplaced { block: number });
    }
    Ok((usize::from(u16_at(block, COUNT_AT)), &block[HEAD_BYTES..]))
}

const WRONG_COUNT: &str = "it holds another number of rows than it should";

const CHECKSUM_AT: usize = 0;
const CHECKED_FROM: usize = 4;
const KIND_AT: usize = 4;
const COUNT_AT: usize = 6;
const NUMBER_AT: usize = 8;
const OWNER_AT: usize = 12;
const HEAD_BYTES: usize = 16;
