//! The footer of a sealed segment: which entities it holds, and where their records stand.
//!
//! It is derived: written beside the segment as a file of its own, and safe to lose; without it the segment is
//! scanned. To find one entity takes what is kept in memory of each footer ([`FooterSummary`]), one block of
//! entities, and the blocks of that entity's postings.
//!
//! Nothing is believed: a footer counts only when all of it adds up, and only for a segment whose successor names
//! the same last frame ([`FooterSummary::is_followed_by`]).

use std::io::{Read, Write};

use FooterError::Content;

use super::block::{BlockError, BlockKind, BlockSink, BlockSource, Owner, blocks_of_rows};
use super::footer_summary::{EntityCursor, FooterSummary};
use super::row::{EntityRow, FirstHash, Posting, ShardRow};
use super::segment_index::FrameEnd;
use super::shard_table::MOST_SHARDS;
use crate::format::dictionary::SchemaEntry;
use crate::format::fields::{put, u16_at, u32_at, u64_at, u128_at};
use crate::format::record::RECORD_HEADER_BYTES;
use crate::format::{BLOCK_BYTES, checksum};

/// The first block of a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterHeader {
    /// The log's id.
    pub log_id: u128,
    /// The segment's number.
    pub segment_id: u64,
    /// The length of the segment's file.
    pub segment_bytes: u64,
    /// Where its frames end, and when they were written.
    pub end: FrameEnd,
    /// Bytes of all records, without those of the dictionaries.
    pub record_bytes: u64,
    /// Bytes of those that nothing within the segment has made superfluous.
    pub live_bytes: u64,
    /// The lowest shard that has a record; 0 without records.
    pub first_shard: u32,
    /// The highest one.
    pub last_shard: u32,
    /// How many shards have records.
    pub shards: u32,
    /// How many entities have records.
    pub entities: u32,
    /// How many records there are.
    pub postings: u32,
    /// Bytes of the dictionary of layouts.
    pub layout_bytes: u32,
}

/// Everything that a footer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    header: FooterHeader,
    shards: Vec<ShardRow>,
    entities: Vec<EntityRow>,
    postings: Vec<Posting>,
    layouts: Vec<SchemaEntry>,
}

/// Bytes that are no footer, or not this segment's. The segment can be scanned instead.
#[derive(Debug, thiserror::Error)]
pub enum FooterError {
    /// It starts with something else.
    #[error("this is no footer of a segment")]
    Magic,
    /// It was written by newer code.
    #[error("the footer has version {found}, this program reads up to {FOOTER_VERSION}")]
    NewerVersion {
        /// Its version.
        found: u16,
    },
    /// A block cannot be used.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The parts do not fit together, although the checksums are right.
    #[error("{0}")]
    Content(&'static str),
}

/// The version of footers that this code writes.
pub const FOOTER_VERSION: u16 = 1;

impl Footer {
    /// The length of the layouts is filled in here.
    pub(super) fn new(
        header: FooterHeader,
        shards: Vec<ShardRow>,
        entities: Vec<EntityRow>,
        postings: Vec<Posting>,
        layouts: Vec<SchemaEntry>,
    ) -> Self {
        let layout_bytes = encoded_layouts(&layouts).len() as u32;
        let header = FooterHeader { layout_bytes, ..header };
        Footer { header, shards, entities, postings, layouts }
    }

    /// What its first block says.
    pub fn header(&self) -> &FooterHeader {
        &self.header
    }

    /// Its entities in the order of their hashes.
    pub fn entities(&self) -> &[EntityRow] {
        &self.entities
    }

    /// Its shards in the order of their numbers.
    pub fn shards(&self) -> &[ShardRow] {
        &self.shards
    }

    /// The segment's layouts in the order of their numbers.
    pub fn layouts(&self) -> &[SchemaEntry] {
        &self.layouts
    }

    /// The records of an entity of this footer, in the order in which they stand.
    pub fn postings_of(&self, row: &EntityRow) -> &[Posting] {
        let from = row.first_posting as usize;
        self.postings.get(from..from + row.postings as usize).unwrap_or_default()
    }

    /// What it holds of an entity.
    pub fn find(&self, entity: u64) -> Option<&EntityRow> {
        let place = self.entities.binary_search_by_key(&entity, |row| row.entity).ok()?;
        self.entities.get(place)
    }

    /// What is kept of it in memory.
    pub fn summary(&self) -> FooterSummary {
        FooterSummary::new(self.header, self.shards.clone(), self.first_hashes())
    }

    /// The file's bytes: whole blocks.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = self.write_to(&mut bytes);
        // Memory takes everything.
        debug_assert!(written.is_ok());
        bytes
    }

    /// Writes the file's bytes.
    pub fn write_to(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(self.header.encode().as_slice())?;
        let mut sink = BlockSink::new(out, self.header.owner());
        sink.rows(&self.shards)?;
        let first: Vec<FirstHash> = self.first_hashes().into_iter().map(FirstHash).collect();
        sink.rows(&first)?;
        sink.rows(&self.entities)?;
        sink.rows(&self.postings)?;
        sink.text(BlockKind::Layouts, &encoded_layouts(&self.layouts))
    }

    /// Reads and checks a whole file.
    pub fn decode(bytes: &[u8]) -> Result<Footer, FooterError> {
        let mut rest = bytes;
        let footer = Footer::read(&mut rest)?;
        if rest.is_empty() { Ok(footer) } else { Err(Content("the footer is too long")) }
    }

    /// Reads and checks a whole file from its beginning.
    pub fn read(input: &mut dyn Read) -> Result<Footer, FooterError> {
        let header = FooterHeader::read(input)?;
        let mut source = BlockSource::new(input, header.owner());
        let summary = FooterSummary::read_behind(header, &mut source)?;
        let (mut entities, mut cursor) = (Vec::new(), EntityCursor::default());
        while let Some(row) = cursor.next(&summary, &mut source)? {
            entities.push(row);
        }
        let mut postings = Vec::new();
        source.all_rows(u64::from(header.postings), |posting: Posting| {
            header.check_posting(&posting)?;
            postings.push(posting);
            Ok(())
        })?;
        let text = source.text(BlockKind::Layouts, u64::from(header.layout_bytes))?;
        let layouts = decoded_layouts(&text)?;
        let shards = summary.shards().to_vec();
        let footer = Footer { header, shards, entities, postings, layouts };
        footer.check()?;
        Ok(footer)
    }

    fn first_hashes(&self) -> Vec<u64> {
        let per_block = <EntityRow as super::block::Row>::PER_BLOCK;
        self.entities.iter().step_by(per_block).map(|row| row.entity).collect()
    }

    fn check(&self) -> Result<(), FooterError> {
        for row in &self.entities {
            let postings = self.postings_of(row);
            if !postings.is_sorted_by(|one, next| one.place_end() <= next.offset) {
                return Err(Content("the records of an entity overlap or are out of order"));
            }
        }
        let bytes: u64 = self.postings.iter().map(|posting| u64::from(posting.bytes)).sum();
        let is_right = bytes == self.header.record_bytes && self.header.live_bytes <= bytes;
        if is_right { Ok(()) } else { Err(Content("the records do not have the length stated")) }
    }
}

impl Posting {
    fn place_end(&self) -> u64 {
        self.offset + u64::from(self.bytes)
    }
}

impl FooterHeader {
    /// The block.
    pub fn encode(&self) -> Box<[u8; BLOCK_BYTES]> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let bytes = block.as_mut_slice();
        put(bytes, 0, &MAGIC.to_le_bytes());
        put(bytes, 8, &FOOTER_VERSION.to_le_bytes());
        put(bytes, 16, &self.log_id.to_le_bytes());
        put(bytes, 32, &self.segment_id.to_le_bytes());
        put(bytes, 40, &self.segment_bytes.to_le_bytes());
        put(bytes, 48, &self.end.end_offset.to_le_bytes());
        put(bytes, 56, &self.end.last_frame.to_le_bytes());
        put(bytes, 64, &self.end.last_chain.to_le_bytes());
        put(bytes, 68, &self.first_shard.to_le_bytes());
        put(bytes, 72, &self.last_shard.to_le_bytes());
        put(bytes, 76, &self.shards.to_le_bytes());
        put(bytes, 80, &self.end.began_at_ms.to_le_bytes());
        put(bytes, 88, &self.end.written_at_ms.to_le_bytes());
        put(bytes, 96, &self.entities.to_le_bytes());
        put(bytes, 100, &self.postings.to_le_bytes());
        put(bytes, 104, &self.layout_bytes.to_le_bytes());
        put(bytes, 108, &self.record_bytes.to_le_bytes());
        put(bytes, 116, &self.live_bytes.to_le_bytes());
        let sum = checksum(&bytes[..CHECKSUM_AT]);
        put(bytes, CHECKSUM_AT, &sum.to_le_bytes());
        block
    }

    /// Reads and checks the block at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<FooterHeader, FooterError> {
        let mut rest = bytes;
        FooterHeader::read(&mut rest)
    }

    pub(crate) fn read(input: &mut dyn Read) -> Result<FooterHeader, FooterError> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let failed = |source| BlockError::Read { block: 0, source };
        input.read_exact(block.as_mut_slice()).map_err(failed)?;
        let bytes = block.as_slice();
        if u64_at(bytes, 0) != MAGIC {
            return Err(FooterError::Magic);
        }
        if u32_at(bytes, CHECKSUM_AT) != checksum(&bytes[..CHECKSUM_AT]) {
            return Err(FooterError::Block(BlockError::Checksum { block: 0 }));
        }
        match u16_at(bytes, 8) {
            0 => return Err(Content("the footer has version 0")),
            found if found > FOOTER_VERSION => return Err(FooterError::NewerVersion { found }),
            _ => {}
        }
        let header = FooterHeader {
            log_id: u128_at(bytes, 16),
            segment_id: u64_at(bytes, 32),
            segment_bytes: u64_at(bytes, 40),
            end: FrameEnd {
                end_offset: u64_at(bytes, 48),
                last_frame: u64_at(bytes, 56),
                last_chain: u32_at(bytes, 64),
                began_at_ms: u64_at(bytes, 80),
                written_at_ms: u64_at(bytes, 88),
            },
            first_shard: u32_at(bytes, 68),
            last_shard: u32_at(bytes, 72),
            shards: u32_at(bytes, 76),
            entities: u32_at(bytes, 96),
            postings: u32_at(bytes, 100),
            layout_bytes: u32_at(bytes, 104),
            record_bytes: u64_at(bytes, 108),
            live_bytes: u64_at(bytes, 116),
        };
        if header.is_possible() { Ok(header) } else { Err(Content("a field is not possible")) }
    }

    /// Whose the blocks behind it are.
    pub(super) fn owner(&self) -> Owner {
        Owner::new(MAGIC, self.log_id, self.segment_id)
    }

    /// How many blocks of entities there are.
    pub(super) fn entity_blocks(&self) -> u64 {
        blocks_of_rows::<EntityRow>(u64::from(self.entities))
    }

    fn is_possible(&self) -> bool {
        let within = BLOCK_BYTES as u64..=self.segment_bytes;
        let least_bytes = u64::from(self.postings) * RECORD_HEADER_BYTES as u64;
        self.segment_id > 0
            && within.contains(&self.end.end_offset)
            && self.end.end_offset.is_multiple_of(BLOCK_BYTES as u64)
            && self.end.began_at_ms <= self.end.written_at_ms
            && least_bytes <= self.record_bytes
            && self.record_bytes.max(self.layout_bytes.into()) <= self.segment_bytes
            && self.entities <= self.postings
            && self.shards <= self.postings
            && self.shards as usize <= MOST_SHARDS
            && self.first_shard <= self.last_shard
    }

    pub(super) fn check_posting(&self, posting: &Posting) -> Result<(), &'static str> {
        let is_within = posting.place().is_within(BLOCK_BYTES as u64, self.end.end_offset);
        if is_within { Ok(()) } else { Err("a record lies outside the segment") }
    }
}

/// Each layout: bytes of its entry (2), the entry.
fn encoded_layouts(layouts: &[SchemaEntry]) -> Vec<u8> {
    let mut text = Vec::new();
    for layout in layouts {
        let entry = layout.encode();
        text.extend_from_slice(&(entry.len() as u16).to_le_bytes());
        text.extend_from_slice(&entry);
    }
    text
}

pub(super) fn decoded_layouts(text: &[u8]) -> Result<Vec<SchemaEntry>, FooterError> {
    const BROKEN: FooterError = Content("a layout cannot be read");
    let mut layouts: Vec<SchemaEntry> = Vec::new();
    let mut rest = text;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (entry, behind) =
            behind.split_at_checked(u16::from_le_bytes(*length).into()).ok_or(BROKEN)?;
        layouts.push(SchemaEntry::decode(entry).map_err(|_| BROKEN)?);
        rest = behind;
    }
    let is_sorted = layouts.is_sorted_by(|one, next| one.number < next.number);
    if rest.is_empty() && is_sorted { Ok(layouts) } else { Err(BROKEN) }
}

/// "MSPRFOOT" in the order of the bytes.
const MAGIC: u64 = u64::from_le_bytes(*b"MSPRFOOT");
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;
