//! What is kept in memory of a footer, so that an entity is found with one read, and its records with one more.

use std::io::Read;
use std::ops::Range;
use std::vec;

use super::block::{
    BlockError, BlockKind, BlockSource, Row, blocks_of_rows, blocks_of_text, read_rows,
};
use super::footer::{FooterError, FooterHeader, decoded_layouts};
use super::row::{EntityRow, FirstHash, Posting, ShardRow};
use crate::format::dictionary::SchemaEntry;
use crate::format::{BLOCK_BYTES, SegmentHeader};

/// The header of a footer, its shards, and the first hash of each of its blocks of entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FooterSummary {
    header: FooterHeader,
    shards: Vec<ShardRow>,
    first_hashes: Vec<u64>,
}

/// The blocks of one footer that were decoded last, so that neighbours need not decode them again.
#[derive(Clone, Debug, Default)]
pub struct DecodedBlocks {
    entities: Option<(u32, Vec<EntityRow>)>,
    postings: Option<(u32, Vec<Posting>)>,
}

impl FooterSummary {
    pub(super) fn new(header: FooterHeader, shards: Vec<ShardRow>, first_hashes: Vec<u64>) -> Self {
        FooterSummary { header, shards, first_hashes }
    }

    /// Reads the beginning of a footer's file; what stands behind is left alone.
    pub fn decode(bytes: &[u8]) -> Result<FooterSummary, FooterError> {
        let mut rest = bytes;
        FooterSummary::read(&mut rest)
    }

    /// Reads the beginning of a footer's file.
    pub fn read(input: &mut dyn Read) -> Result<FooterSummary, FooterError> {
        let header = FooterHeader::read(input)?;
        FooterSummary::read_behind(header, &mut BlockSource::new(input, header.owner()))
    }

    /// Reads the beginning of a footer's file and gives its entities to `take`, in the order of their hashes.
    pub fn read_with_entities(
        input: &mut dyn Read,
        mut take: impl FnMut(&EntityRow),
    ) -> Result<FooterSummary, FooterError> {
        let header = FooterHeader::read(input)?;
        let mut source = BlockSource::new(input, header.owner());
        let summary = FooterSummary::read_behind(header, &mut source)?;
        let mut cursor = EntityCursor::default();
        while let Some(row) = cursor.next(&summary, &mut source)? {
            take(&row);
        }
        Ok(summary)
    }

    /// The footer's first block.
    pub fn header(&self) -> &FooterHeader {
        &self.header
    }

    /// The segment's shards in the order of their numbers.
    pub fn shards(&self) -> &[ShardRow] {
        &self.shards
    }

    /// Whether `next` is the header of the segment behind the one that this footer is about: the proof that the
    /// footer speaks of what that segment holds.
    pub fn is_followed_by(&self, next: &SegmentHeader) -> bool {
        let end = &self.header.end;
        next.log_id == self.header.log_id
            && next.segment_id == self.header.segment_id + 1
            && (next.previous_frame, next.previous_chain) == (end.last_frame, end.last_chain)
    }

    /// Where the block stands in the file that holds the entity, if the segment has it.
    pub fn block_of(&self, entity: u64) -> Option<u64> {
        let behind = self.first_hashes.partition_point(|first| *first <= entity);
        let place = behind.checked_sub(1)? as u64;
        Some((self.first_entity_block() + place) * BLOCK_BYTES as u64)
    }

    /// Looks for an entity in the block that [`FooterSummary::block_of`] names for it.
    pub fn find(&self, block: &[u8], entity: u64) -> Result<Option<EntityRow>, FooterError> {
        self.find_in(block, entity, &mut DecodedBlocks::default())
    }

    /// The same, in a block that may be decoded already.
    pub(super) fn find_in(
        &self,
        block: &[u8],
        entity: u64,
        decoded: &mut DecodedBlocks,
    ) -> Result<Option<EntityRow>, FooterError> {
        let Some(place) =
            self.first_hashes.partition_point(|first| *first <= entity).checked_sub(1)
        else {
            return Ok(None);
        };
        let number = (self.first_entity_block() + place as u64) as u32;
        let rows = known(&mut decoded.entities, number, || self.entities_in(block, place))?;
        let found = rows.binary_search_by_key(&entity, |row| row.entity);
        Ok(found.ok().and_then(|at| rows.get(at).copied()))
    }

    /// How many blocks of entities there are.
    pub fn entity_blocks(&self) -> usize {
        self.first_hashes.len()
    }

    /// Where some blocks of entities stand in the file.
    pub fn entities_place(&self, blocks: Range<usize>) -> Range<u64> {
        let offset_of =
            |block: usize| (self.first_entity_block() + block as u64) * BLOCK_BYTES as u64;
        offset_of(blocks.start)..offset_of(blocks.end)
    }

    /// The entities of the blocks that [`FooterSummary::entities_place`] names, in the order of their hashes.
    pub fn entities(
        &self,
        bytes: &[u8],
        blocks: Range<usize>,
    ) -> Result<Vec<EntityRow>, FooterError> {
        let mut rows = Vec::new();
        for (place, block) in blocks.enumerate() {
            let bytes = bytes.get(place * BLOCK_BYTES..).unwrap_or_default();
            rows.append(&mut self.entities_in(bytes, block)?);
        }
        Ok(rows)
    }

    /// Where the blocks stand in the file that hold an entity's postings.
    pub fn postings_place(&self, row: &EntityRow) -> Range<u64> {
        let per_block = Posting::PER_BLOCK as u64;
        let from = u64::from(row.first_posting);
        let end = from + u64::from(row.postings);
        let first = self.first_posting_block();
        let block = BLOCK_BYTES as u64;
        (first + from / per_block) * block..(first + end.div_ceil(per_block)) * block
    }

    /// The records of an entity, from the blocks that [`FooterSummary::postings_place`] names.
    pub fn postings(&self, bytes: &[u8], row: &EntityRow) -> Result<Vec<Posting>, FooterError> {
        self.postings_in(bytes, row, &mut DecodedBlocks::default())
    }

    /// The same, from blocks that may be decoded already.
    pub(super) fn postings_in(
        &self,
        bytes: &[u8],
        row: &EntityRow,
        decoded: &mut DecodedBlocks,
    ) -> Result<Vec<Posting>, FooterError> {
        let from = u64::from(row.first_posting);
        let end = from + u64::from(row.postings);
        if !self.has_postings_of(row) {
            return Err(FooterError::Content("the entity has more records than the segment"));
        }
        let per_block = Posting::PER_BLOCK as u64;
        let mut postings = Vec::with_capacity(row.postings as usize);
        let blocks = from / per_block..end.div_ceil(per_block);
        for (place, index) in blocks.enumerate() {
            let block = bytes.get(place * BLOCK_BYTES..).unwrap_or_default();
            let number = (self.first_posting_block() + index) as u32;
            let left = (u64::from(self.header.postings) - index * per_block).min(per_block);
            let rows = known(&mut decoded.postings, number, || {
                Ok(read_rows(block, self.header.owner(), number, Some(left as usize))?)
            })?;
            let first = from.saturating_sub(index * per_block) as usize;
            let last = (end - index * per_block).min(per_block) as usize;
            for posting in rows.get(first..last).unwrap_or_default() {
                let checked = self.header.check_posting(posting);
                checked.map_err(|what| BlockError::Content { block: number, what })?;
                postings.push(*posting);
            }
        }
        Ok(postings)
    }

    /// Where the blocks stand in the file that hold the segment's layouts.
    pub fn layouts_place(&self) -> Range<u64> {
        let first = self.first_layout_block();
        let end = first + blocks_of_text(u64::from(self.header.layout_bytes));
        first * BLOCK_BYTES as u64..end * BLOCK_BYTES as u64
    }

    /// The segment's layouts in the order of their numbers, from the blocks that [`FooterSummary::layouts_place`]
    /// names.
    pub fn layouts(&self, bytes: &[u8]) -> Result<Vec<SchemaEntry>, FooterError> {
        let mut rest = bytes;
        let first = self.first_layout_block() as u32;
        let mut source = BlockSource::at(&mut rest, self.header.owner(), first);
        let text = source.text(BlockKind::Layouts, u64::from(self.header.layout_bytes))?;
        decoded_layouts(&text)
    }

    pub(super) fn read_behind(
        header: FooterHeader,
        source: &mut BlockSource<'_>,
    ) -> Result<FooterSummary, FooterError> {
        let mut summary = FooterSummary { header, shards: Vec::new(), first_hashes: Vec::new() };
        source.all_rows(u64::from(header.shards), |row: ShardRow| {
            summary.check_shard(&row)?;
            summary.shards.push(row);
            Ok(())
        })?;
        source.all_rows(header.entity_blocks(), |FirstHash(hash)| {
            if summary.first_hashes.last().is_some_and(|last| *last >= hash) {
                return Err("the hashes are out of order");
            }
            summary.first_hashes.push(hash);
            Ok(())
        })?;
        Ok(summary)
    }

    fn entities_in(&self, block: &[u8], place: usize) -> Result<Vec<EntityRow>, FooterError> {
        let number = (self.first_entity_block() + place as u64) as u32;
        let left = u64::from(self.header.entities) - (place * EntityRow::PER_BLOCK) as u64;
        let expected = left.min(EntityRow::PER_BLOCK as u64) as usize;
        let rows = read_rows(block, self.header.owner(), number, Some(expected))?;
        self.check_entities(&rows, place, number)?;
        Ok(rows)
    }

    /// The rows of one block: in order, between their block's first hash and the next one's, and possible.
    fn check_entities(
        &self,
        rows: &[EntityRow],
        place: usize,
        block: u32,
    ) -> Result<(), FooterError> {
        let content = |what| Err(BlockError::Content { block, what }.into());
        let next = self.first_hashes.get(place + 1);
        let is_first = rows.first().map(|row| row.entity) == self.first_hashes.get(place).copied();
        let is_before_next =
            next.is_none_or(|next| rows.last().is_some_and(|row| row.entity < *next));
        let is_sorted = rows.is_sorted_by(|one, next| one.entity < next.entity);
        if !is_first || !is_before_next || !is_sorted {
            return content("the hashes are out of order");
        }
        let end = self.header.end.end_offset;
        let is_possible = |row: &EntityRow| {
            row.postings > 0
                && self.has_postings_of(row)
                && row.previous_segment < self.header.segment_id
                && row.state.is_none_or(|state| state.is_within(BLOCK_BYTES as u64, end))
                && row.older_state_sequence <= row.state_sequence
                && row.state_shard_sequence <= row.last_shard_sequence
                && row.state_sequence.max(row.deleted_to) <= row.last_sequence
                && row.name.is_none_or(|name| name.is_within(BLOCK_BYTES as u64, end))
        };
        if rows.iter().all(is_possible) { Ok(()) } else { content("an entity is not possible") }
    }

    /// Whether the places that a row names are there: whoever reads them asks for so many bytes.
    fn has_postings_of(&self, row: &EntityRow) -> bool {
        let end = u64::from(row.first_posting) + u64::from(row.postings);
        end <= u64::from(self.header.postings)
    }

    fn check_shard(&self, row: &ShardRow) -> Result<(), &'static str> {
        let header = &self.header;
        let is_next = self.shards.last().is_none_or(|last| last.shard < row.shard);
        let is_in_range = (header.first_shard..=header.last_shard).contains(&row.shard);
        let is_here = row.segment_id == header.segment_id
            && row.last.is_within(BLOCK_BYTES as u64, header.end.end_offset);
        if is_next && is_in_range && is_here { Ok(()) } else { Err("a shard is not possible") }
    }

    fn first_entity_block(&self) -> u64 {
        1 + blocks_of_rows::<ShardRow>(u64::from(self.header.shards))
            + blocks_of_rows::<FirstHash>(self.header.entity_blocks())
    }

    fn first_posting_block(&self) -> u64 {
        self.first_entity_block() + self.header.entity_blocks()
    }

    fn first_layout_block(&self) -> u64 {
        self.first_posting_block() + blocks_of_rows::<Posting>(u64::from(self.header.postings))
    }
}

/// The rows of a block: those that are known, if they are of this block.
fn known<R>(
    decoded: &mut Option<(u32, Vec<R>)>,
    number: u32,
    decode: impl FnOnce() -> Result<Vec<R>, FooterError>,
) -> Result<&[R], FooterError> {
    if decoded.as_ref().is_none_or(|(known, _)| *known != number) {
        *decoded = Some((number, decode()?));
    }
    Ok(decoded.as_ref().map_or(&[], |(_, rows)| rows))
}

/// Where the reader of a footer's entities stands.
#[derive(Default)]
pub(super) struct EntityCursor {
    rows: vec::IntoIter<EntityRow>,
    /// Blocks that were read.
    blocks: usize,
    /// Postings of the entities that were read.
    postings: u64,
}

impl EntityCursor {
    /// The next entity; after the last one it was checked that all together have the records stated.
    pub fn next(
        &mut self,
        summary: &FooterSummary,
        source: &mut BlockSource<'_>,
    ) -> Result<Option<EntityRow>, FooterError> {
        if self.rows.as_slice().is_empty() && self.blocks < summary.first_hashes.len() {
            let read = self.blocks * EntityRow::PER_BLOCK;
            let block = source.number();
            let rows = source.rows(u64::from(summary.header.entities) - read as u64)?;
            summary.check_entities(&rows, self.blocks, block)?;
            self.rows = rows.into_iter();
            self.blocks += 1;
        }
        let next = self.rows.next();
        let stated = next.as_ref().map_or(summary.header.postings, |row| row.first_posting);
        if self.postings != u64::from(stated) {
            return Err(FooterError::Content("the postings of two entities overlap"));
        }
        self.postings += next.as_ref().map_or(0, |row| u64::from(row.postings));
        Ok(next)
    }
}
