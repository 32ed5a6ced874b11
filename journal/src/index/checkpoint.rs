//! The table of all entities of the sealed segments up to one, as a file.
//!
//! It is derived and safe to lose: without it the footers are read, without those the log is scanned. Two files are
//! written in turn ([`CheckpointHeader::file_number`]), so that a crash while one is written leaves the other.
//!
//! A checkpoint is made without the table: the one before and the footers since are all sorted by hash, so they are
//! merged block by block ([`merge`]), in the background, with one block of each in memory.
//!
//! Nothing is believed: a checkpoint counts only as a whole, and only for a log whose segment behind the last one
//! included names the same last frame ([`CheckpointHeader::is_followed_by`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::vec;

use CheckpointError::Content;

use super::block::{BlockError, BlockKind, BlockSink, BlockSource, Owner, Row};
use super::footer::{FooterError, FooterHeader};
use super::footer_summary::{EntityCursor, FooterSummary};
use super::row::{EntityRow, ShardRow};
use super::shard_table::{MOST_SHARDS, ShardTable, TooManyShards};
use super::slots::MOST_ROWS;
use super::{Entity, EntityTable, TooManyEntities};
use crate::format::fields::{put, u16_at, u32_at, u64_at, u128_at};
use crate::format::{BLOCK_BYTES, SegmentHeader, checksum};

/// The first block of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// The log's id.
    pub log_id: u128,
    /// Counts the checkpoints of the log; the highest valid one counts.
    pub generation: u64,
    /// The first segment that the log had: an entity without records from there on is left out.
    pub first_segment: u64,
    /// The last segment that is included.
    pub last_segment: u64,
    /// The number of that segment's last frame.
    pub last_frame: u64,
    /// That frame's chain value.
    pub last_chain: u32,
    /// That frame's time, in milliseconds since 1970.
    pub written_at_ms: u64,
    /// How many shards it holds.
    pub shards: u32,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its first block.
    pub header: CheckpointHeader,
    /// Its entities.
    pub entities: EntityTable,
    /// Its shards.
    pub shards: ShardTable,
}

/// Which checkpoint is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCheckpoint {
    /// The log's id.
    pub log_id: u128,
    /// One more than the highest that either file has.
    pub generation: u64,
    /// The first segment that the log has.
    pub first_segment: u64,
}

/// Bytes that are no checkpoint, or one that cannot be made. The footers and the segments still have everything.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It starts with something else.
    #[error("this is no checkpoint")]
    Magic,
    /// It was written by newer code.
    #[error("the checkpoint has version {found}, this program reads up to {CHECKPOINT_VERSION}")]
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
    /// A footer that is to be merged cannot be used.
    #[error("the footer of segment {segment_id} cannot be merged: {source}")]
    Footer {
        /// Which one; 0 when it does not even say that.
        segment_id: u64,
        /// What is wrong with it.
        source: FooterError,
    },
    /// A footer is of another log or of another segment than the next one.
    #[error("the footer of segment {found} was given where that of segment {expected} is next")]
    NotInOrder {
        /// Whose it is.
        found: u64,
        /// Whose it should be.
        expected: u64,
    },
    /// There is nothing to make a checkpoint of.
    #[error("a checkpoint is made of at least one segment's footer")]
    Nothing,
    /// More entities than a table holds.
    #[error(transparent)]
    TooManyEntities(#[from] TooManyEntities),
    /// More shards than a table holds.
    #[error(transparent)]
    TooManyShards(#[from] TooManyShards),
    /// The new checkpoint cannot be written.
    #[error("the checkpoint cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// The version of checkpoints that this code writes.
pub const CHECKPOINT_VERSION: u16 = 1;

/// How many files take turns.
pub const CHECKPOINT_FILES: u64 = 2;

impl Checkpoint {
    /// Reads and checks a whole checkpoint; entities without a record from `first_segment` on are left out. Give it a
    /// buffered source: it reads block by block.
    pub fn load(input: &mut dyn Read, first_segment: u64) -> Result<Checkpoint, CheckpointError> {
        let header = CheckpointHeader::read(input)?;
        let mut source = BlockSource::new(input, header.owner());
        let shards = read_shards(&mut source, header.shards)?;
        let mut rows = TableRows::new(source);
        let mut entities = Vec::new();
        while let Some(entity) = rows.next()? {
            if entity.last_segment >= first_segment {
                entities.push(entity);
            }
        }
        Ok(Checkpoint { header, entities: EntityTable::of_rows(entities)?, shards })
    }

    /// Reads and checks a checkpoint in memory.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let mut rest = bytes;
        let checkpoint = Checkpoint::load(&mut rest, 0)?;
        if rest.is_empty() { Ok(checkpoint) } else { Err(Content("the checkpoint is too long")) }
    }
}

/// Writes a checkpoint of the previous one and the footers of all segments since, in their order. Without a previous
/// one the footers begin with the log's first segment.
pub fn merge(
    new: &NewCheckpoint,
    previous: Option<&mut dyn Read>,
    footers: &mut [&mut dyn Read],
    sink: &mut dyn Write,
) -> Result<CheckpointHeader, CheckpointError> {
    let mut merge = Merge::default();
    let mut header = CheckpointHeader::empty(new);
    if let Some(input) = previous {
        let known = CheckpointHeader::read(input)?;
        if known.log_id != new.log_id || known.generation >= new.generation {
            return Err(Content("the previous checkpoint is of another log, or not an older one"));
        }
        merge.add_checkpoint(&known, input)?;
        header.continue_behind(&known);
    }
    for input in footers {
        merge.add_footer(&mut header, *input)?;
    }
    if merge.inputs.is_empty() {
        return Err(CheckpointError::Nothing);
    }
    header.shards = merge.shards.len() as u32;
    sink.write_all(header.encode().as_slice())?;
    let mut blocks = BlockSink::new(sink, header.owner());
    blocks.rows(&merge.shards.sorted())?;
    let mut entities = 0;
    while let Some(entity) = merge.next()? {
        if entity.last_segment >= new.first_segment {
            blocks.push(&entity)?;
            entities += 1;
        }
    }
    blocks.close(Entity::KIND)?;
    let end = End { entities, sum: blocks.sum() };
    blocks.rows(&[end])?;
    Ok(header)
}

impl CheckpointHeader {
    /// Which of the files it belongs into.
    pub fn file_number(&self) -> u64 {
        self.generation % CHECKPOINT_FILES
    }

    /// Whether `next` is the header of the segment behind the last one that is included: the proof that the
    /// checkpoint speaks of this log's segments.
    pub fn is_followed_by(&self, next: &SegmentHeader) -> bool {
        next.log_id == self.log_id
            && next.segment_id == self.last_segment + 1
            && (next.previous_frame, next.previous_chain) == (self.last_frame, self.last_chain)
    }

    /// The block.
    pub fn encode(&self) -> Box<[u8; BLOCK_BYTES]> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let bytes = block.as_mut_slice();
        put(bytes, 0, &MAGIC.to_le_bytes());
        put(bytes, 8, &CHECKPOINT_VERSION.to_le_bytes());
        put(bytes, 16, &self.log_id.to_le_bytes());
        put(bytes, 32, &self.generation.to_le_bytes());
        put(bytes, 40, &self.first_segment.to_le_bytes());
        put(bytes, 48, &self.last_segment.to_le_bytes());
        put(bytes, 56, &self.last_frame.to_le_bytes());
        put(bytes, 64, &self.last_chain.to_le_bytes());
        put(bytes, 68, &self.shards.to_le_bytes());
        put(bytes, 72, &self.written_at_ms.to_le_bytes());
        let sum = checksum(&bytes[..CHECKSUM_AT]);
        put(bytes, CHECKSUM_AT, &sum.to_le_bytes());
        block
    }

    /// Reads and checks the block at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<CheckpointHeader, CheckpointError> {
        let mut rest = bytes;
        CheckpointHeader::read(&mut rest)
    }

    /// Reads and checks the first block.
    pub fn read(input: &mut dyn Read) -> Result<CheckpointHeader, CheckpointError> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let failed = |source| BlockError::Read { block: 0, source };
        input.read_exact(block.as_mut_slice()).map_err(failed)?;
        let bytes = block.as_slice();
        if u64_at(bytes, 0) != MAGIC {
            return Err(CheckpointError::Magic);
        }
        if u32_at(bytes, CHECKSUM_AT) != checksum(&bytes[..CHECKSUM_AT]) {
            return Err(CheckpointError::Block(BlockError::Checksum { block: 0 }));
        }
        match u16_at(bytes, 8) {
            0 => return Err(Content("the checkpoint has version 0")),
            found if found > CHECKPOINT_VERSION => {
                return Err(CheckpointError::NewerVersion { found });
            }
            _ => {}
        }
        let header = CheckpointHeader {
            log_id: u128_at(bytes, 16),
            generation: u64_at(bytes, 32),
            first_segment: u64_at(bytes, 40),
            last_segment: u64_at(bytes, 48),
            last_frame: u64_at(bytes, 56),
            last_chain: u32_at(bytes, 64),
            shards: u32_at(bytes, 68),
            written_at_ms: u64_at(bytes, 72),
        };
        let is_possible = header.last_segment > 0 && header.shards as usize <= MOST_SHARDS;
        if is_possible { Ok(header) } else { Err(Content("a field is not possible")) }
    }

    fn owner(&self) -> Owner {
        Owner::new(MAGIC, self.log_id, self.generation)
    }

    /// The header of a checkpoint that includes no segment yet.
    fn empty(new: &NewCheckpoint) -> Self {
        CheckpointHeader {
            log_id: new.log_id,
            generation: new.generation,
            first_segment: new.first_segment,
            last_segment: new.first_segment.saturating_sub(1),
            last_frame: 0,
            last_chain: 0,
            written_at_ms: 0,
            shards: 0,
        }
    }

    fn continue_behind(&mut self, known: &CheckpointHeader) {
        self.last_segment = known.last_segment;
        self.last_frame = known.last_frame;
        self.last_chain = known.last_chain;
        self.written_at_ms = known.written_at_ms;
    }

    /// Includes the next segment.
    fn include(&mut self, footer: &FooterHeader) {
        self.last_segment = footer.segment_id;
        self.last_frame = footer.end.last_frame;
        self.last_chain = footer.end.last_chain;
        self.written_at_ms = footer.end.written_at_ms;
    }
}

/// Sorted sources, and the row of each that is next.
#[derive(Default)]
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    /// Hash and input: rows of one hash come in the order of the segments.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    shards: ShardTable,
}

enum Input<'a> {
    Checkpoint { rows: TableRows<'a>, next: Option<Entity> },
    Footer { rows: Box<FooterRows<'a>>, next: Option<EntityRow> },
}

impl<'a> Merge<'a> {
    fn add_checkpoint(
        &mut self,
        header: &CheckpointHeader,
        input: &'a mut dyn Read,
    ) -> Result<(), CheckpointError> {
        let mut source = BlockSource::new(input, header.owner());
        for row in read_shards(&mut source, header.shards)?.sorted() {
            self.shards.apply_row(&row)?;
        }
        self.add(Input::Checkpoint { rows: TableRows::new(source), next: None })
    }

    fn add_footer(
        &mut self,
        header: &mut CheckpointHeader,
        input: &'a mut dyn Read,
    ) -> Result<(), CheckpointError> {
        let failed = |segment_id| move |source| CheckpointError::Footer { segment_id, source };
        let footer = FooterHeader::read(input).map_err(failed(0))?;
        let (found, expected) = (footer.segment_id, header.last_segment + 1);
        if footer.log_id != header.log_id || found != expected {
            return Err(CheckpointError::NotInOrder { found, expected });
        }
        let mut source = BlockSource::new(input, footer.owner());
        let summary = FooterSummary::read_behind(footer, &mut source).map_err(failed(found))?;
        for row in summary.shards() {
            self.shards.apply_row(row)?;
        }
        header.include(&footer);
        let rows = Box::new(FooterRows::new(summary, source));
        self.add(Input::Footer { rows, next: None })
    }

    fn add(&mut self, mut input: Input<'a>) -> Result<(), CheckpointError> {
        if let Some(hash) = input.read_on()? {
            self.next.push(Reverse((hash, self.inputs.len())));
        }
        self.inputs.push(input);
        Ok(())
    }

    /// The next entity, with what all inputs say of it.
    fn next(&mut self) -> Result<Option<Entity>, CheckpointError> {
        let Some(Reverse((hash, _))) = self.next.peek().copied() else { return Ok(None) };
        let mut entity = Entity { hash, ..Entity::default() };
        while let Some(mut top) = self.next.peek_mut().filter(|top| top.0.0 == hash) {
            let Some(input) = self.inputs.get_mut(top.0.1) else { break };
            input.apply_to(&mut entity);
            match input.read_on()? {
                Some(hash) => top.0.0 = hash,
                None => _ = std::collections::binary_heap::PeekMut::pop(top),
            }
        }
        Ok(Some(entity))
    }
}

impl Input<'_> {
    /// Goes on to the next row, and gives its hash.
    fn read_on(&mut self) -> Result<Option<u64>, CheckpointError> {
        match self {
            Input::Checkpoint { rows, next } => {
                *next = rows.next()?;
                Ok(next.as_ref().map(|entity| entity.hash))
            }
            Input::Footer { rows, next } => {
                let segment_id = rows.segment_id();
                let failed = |source| CheckpointError::Footer { segment_id, source };
                *next = rows.next().map_err(failed)?;
                Ok(next.as_ref().map(|row| row.entity))
            }
        }
    }

    fn apply_to(&self, entity: &mut Entity) {
        match self {
            // A checkpoint is always the first of the inputs, so nothing is known yet.
            Input::Checkpoint { next: Some(row), .. } => *entity = *row,
            Input::Footer { rows, next: Some(row) } => entity.apply_row(row, rows.segment_id()),
            Input::Checkpoint { next: None, .. } | Input::Footer { next: None, .. } => {}
        }
    }
}

/// The entities of a checkpoint, one after the other, and at last the proof that it is whole.
struct TableRows<'a> {
    source: BlockSource<'a>,
    rows: vec::IntoIter<Entity>,
    last: Option<u64>,
    counted: u64,
    ended: bool,
}

impl<'a> TableRows<'a> {
    fn new(source: BlockSource<'a>) -> Self {
        let rows = Vec::new().into_iter();
        TableRows { source, rows, last: None, counted: 0, ended: false }
    }

    fn next(&mut self) -> Result<Option<Entity>, CheckpointError> {
        if let Some(entity) = self.rows.next() {
            return Ok(Some(entity));
        }
        if self.ended {
            return Ok(None);
        }
        let (block, sum) = (self.source.number(), self.source.sum());
        let content = |what| CheckpointError::Block(BlockError::Content { block, what });
        if self.source.kind_ahead()? == BlockKind::End as u8 {
            let end = End { entities: self.counted, sum };
            self.ended = true;
            return match self.source.rows::<End>(1)?.first() {
                Some(found) if *found == end => Ok(None),
                _ => Err(content("the checkpoint is not whole")),
            };
        }
        let rows = self.source.some_rows::<Entity>()?;
        let mut last = self.last;
        for entity in &rows {
            if last.is_some_and(|last| last >= entity.hash) {
                return Err(content("the hashes are out of order"));
            }
            last = Some(entity.hash);
        }
        self.last = last;
        self.counted += rows.len() as u64;
        if self.counted > MOST_ROWS as u64 {
            return Err(TooManyEntities.into());
        }
        self.rows = rows.into_iter();
        Ok(self.rows.next())
    }
}

/// The entities of a footer, one after the other.
struct FooterRows<'a> {
    summary: FooterSummary,
    source: BlockSource<'a>,
    cursor: EntityCursor,
}

impl<'a> FooterRows<'a> {
    fn new(summary: FooterSummary, source: BlockSource<'a>) -> Self {
        FooterRows { summary, source, cursor: EntityCursor::default() }
    }

    fn segment_id(&self) -> u64 {
        self.summary.header().segment_id
    }

    fn next(&mut self) -> Result<Option<EntityRow>, FooterError> {
        self.cursor.next(&self.summary, &mut self.source)
    }
}

/// The last block of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// How many entities came before.
    entities: u64,
    /// A checksum of the checksums of all blocks before, in their order, without that of the header.
    sum: u32,
}

impl Row for End {
    const KIND: BlockKind = BlockKind::End;
    const BYTES: usize = 16;

    fn put(&self, bytes: &mut [u8]) {
        put(bytes, 0, &self.entities.to_le_bytes());
        put(bytes, 8, &self.sum.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        Some(End { entities: u64_at(bytes, 0), sum: u32_at(bytes, 8) })
    }
}

fn read_shards(source: &mut BlockSource<'_>, shards: u32) -> Result<ShardTable, CheckpointError> {
    let mut table = ShardTable::default();
    let mut last = None;
    source.all_rows(u64::from(shards), |row: ShardRow| {
        if last.is_some_and(|last| last >= row.shard) {
            return Err("the shards are out of order");
        }
        last = Some(row.shard);
        table.apply_row(&row).map_err(|_| "there are too many shards")
    })?;
    Ok(table)
}

/// "MSPRCKPT" in the order of the bytes.
const MAGIC: u64 = u64::from_le_bytes(*b"MSPRCKPT");
const CHECKSUM_AT: usize = BLOCK_BYTES - 4;
