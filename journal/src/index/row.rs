//! The rows of derived files, and what each of their bytes means.

use super::block::{BlockKind, Row};
use crate::format::fields::{put, u8_at, u32_at, u64_at};
use crate::format::{RECORD_ALIGNMENT, RecordKind};

/// The longest file of a segment whose records an index can tell the places of.
pub const MOST_SEGMENT_BYTES: u64 = RECORD_ALIGNMENT as u64 * (1 << 32);

/// Where a record of an entity stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The offset of the record's first byte in the segment's file.
    pub offset: u64,
    /// Bytes of the whole record: header, payload and the zeroes at its end.
    pub bytes: u32,
    /// What the record is.
    pub kind: RecordKind,
    /// Its place in the entity's sequence; of a state its revision.
    pub entity_sequence: u64,
}

/// Where a record stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The offset of the record's first byte in the segment's file.
    pub offset: u64,
    /// Bytes of the whole record.
    pub bytes: u32,
}

/// What a segment says of whether an entity is to be started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    #[default]
    Unsaid,
    /// It runs and is to be started again.
    Remembered,
    /// It is not to be started again.
    Forgotten,
}

/// What one segment holds of one entity.
///
/// What every event changes stands together, so that it is in one cache line or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct EntityRow {
    /// The hash of its name.
    pub entity: u64,
    /// The highest place in its sequence that a record of the segment has or deletes.
    pub last_sequence: u64,
    /// The highest place in the shard's sequence that one of its records here has.
    pub last_shard_sequence: u64,
    /// Its shard.
    pub shard: u32,
    /// How many postings it has.
    pub postings: u32,
    /// Where they begin, counted in postings.
    pub first_posting: u32,
    /// Whether it is to be started again.
    pub restart: Restart,
    /// The highest revision of its states in the segment; 0 without one.
    pub state_sequence: u64,
    /// The second highest one.
    pub older_state_sequence: u64,
    /// The place of its latest state in the shard's sequence; 0 when one of its records before that state in the
    /// segment has a higher one, so that the state is a copy.
    pub state_shard_sequence: u64,
    /// Its events up to this place are deleted, as far as the segment says so.
    pub deleted_to: u64,
    /// A segment before this one: none between the two holds a record of the entity. 0 when there is none.
    pub previous_segment: u64,
    /// The state with the highest revision; the later one of two with the same.
    pub state: Option<RecordPlace>,
    /// Its dictionary record: the payload is its name.
    pub name: Option<RecordPlace>,
}

/// The last record of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRow {
    /// The shard.
    pub shard: u32,
    /// The highest place in the shard's sequence.
    pub last_sequence: u64,
    /// The highest epoch.
    pub epoch: u64,
    /// The segment of the record with the highest place; the later one of two with the same.
    pub segment_id: u64,
    /// That record.
    pub last: RecordPlace,
}

/// The first hash of a block of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstHash(pub u64);

impl RecordPlace {
    /// What fits the 32 bits and the 24 bits of a row.
    pub fn is_storable(&self) -> bool {
        let unit = RECORD_ALIGNMENT as u64;
        self.offset.is_multiple_of(unit)
            && self.offset / unit <= u64::from(u32::MAX)
            && self.bytes > 0
            && u64::from(self.bytes).is_multiple_of(unit)
            && u64::from(self.bytes) / unit < 1 << 24
    }

    /// The two fields of a row: the offset in units of 16 bytes; the length in the same units above a byte of `low`.
    pub fn packed(&self, low: u8) -> (u32, u32) {
        let unit = RECORD_ALIGNMENT as u32;
        ((self.offset / u64::from(unit)) as u32, (self.bytes / unit) << 8 | u32::from(low))
    }

    /// The place, and the low byte.
    pub fn unpacked(offset_units: u32, size: u32) -> (RecordPlace, u8) {
        let unit = RECORD_ALIGNMENT as u32;
        let offset = u64::from(offset_units) * u64::from(unit);
        (RecordPlace { offset, bytes: (size >> 8) * unit }, size as u8)
    }

    /// Whether the record lies between two offsets.
    pub fn is_within(&self, from: u64, end: u64) -> bool {
        self.offset >= from && self.bytes > 0 && self.offset + u64::from(self.bytes) <= end
    }
}

impl Posting {
    /// Where the record stands.
    pub fn place(&self) -> RecordPlace {
        RecordPlace { offset: self.offset, bytes: self.bytes }
    }
}

impl Row for Posting {
    const KIND: BlockKind = BlockKind::Postings;
    const BYTES: usize = 16;

    fn put(&self, bytes: &mut [u8]) {
        let (offset, size) = self.place().packed(self.kind.number());
        put(bytes, 0, &offset.to_le_bytes());
        put(bytes, 4, &size.to_le_bytes());
        put(bytes, 8, &self.entity_sequence.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let (place, kind) = RecordPlace::unpacked(u32_at(bytes, 0), u32_at(bytes, 4));
        Some(Posting {
            offset: place.offset,
            bytes: place.bytes,
            kind: RecordKind::of_number(kind)?,
            entity_sequence: u64_at(bytes, 8),
        })
    }
}

impl Restart {
    /// The number that stands for it.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What a number stands for.
    pub fn of_number(number: u8) -> Option<Self> {
        [Restart::Unsaid, Restart::Remembered, Restart::Forgotten].get(usize::from(number)).copied()
    }
}

impl Row for EntityRow {
    const KIND: BlockKind = BlockKind::Entities;
    const BYTES: usize = 92;

    fn put(&self, bytes: &mut [u8]) {
        let nowhere = RecordPlace { offset: 0, bytes: 0 };
        let (offset, size) = self.state.unwrap_or(nowhere).packed(self.restart.number());
        let (name_offset, name_size) = self.name.unwrap_or(nowhere).packed(0);
        put(bytes, 0, &self.entity.to_le_bytes());
        put(bytes, 8, &self.last_sequence.to_le_bytes());
        put(bytes, 16, &self.state_sequence.to_le_bytes());
        put(bytes, 24, &self.older_state_sequence.to_le_bytes());
        put(bytes, 32, &self.deleted_to.to_le_bytes());
        put(bytes, 40, &self.previous_segment.to_le_bytes());
        put(bytes, 48, &self.shard.to_le_bytes());
        put(bytes, 52, &self.first_posting.to_le_bytes());
        put(bytes, 56, &self.postings.to_le_bytes());
        put(bytes, 60, &offset.to_le_bytes());
        put(bytes, 64, &size.to_le_bytes());
        put(bytes, 68, &name_offset.to_le_bytes());
        put(bytes, 72, &name_size.to_le_bytes());
        put(bytes, 76, &self.last_shard_sequence.to_le_bytes());
        put(bytes, 84, &self.state_shard_sequence.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let (state, restart) = RecordPlace::unpacked(u32_at(bytes, 60), u32_at(bytes, 64));
        let (name, low) = RecordPlace::unpacked(u32_at(bytes, 68), u32_at(bytes, 72));
        (low == 0).then_some(EntityRow {
            entity: u64_at(bytes, 0),
            last_sequence: u64_at(bytes, 8),
            state_sequence: u64_at(bytes, 16),
            older_state_sequence: u64_at(bytes, 24),
            last_shard_sequence: u64_at(bytes, 76),
            state_shard_sequence: u64_at(bytes, 84),
            deleted_to: u64_at(bytes, 32),
            previous_segment: u64_at(bytes, 40),
            shard: u32_at(bytes, 48),
            first_posting: u32_at(bytes, 52),
            postings: u32_at(bytes, 56),
            state: (state.bytes > 0).then_some(state),
            restart: Restart::of_number(restart)?,
            name: (name.bytes > 0).then_some(name),
        })
    }
}

impl Row for ShardRow {
    const KIND: BlockKind = BlockKind::Shards;
    const BYTES: usize = 40;

    fn put(&self, bytes: &mut [u8]) {
        let (offset, size) = self.last.packed(0);
        put(bytes, 0, &self.shard.to_le_bytes());
        put(bytes, 4, &offset.to_le_bytes());
        put(bytes, 8, &self.last_sequence.to_le_bytes());
        put(bytes, 16, &self.epoch.to_le_bytes());
        put(bytes, 24, &self.segment_id.to_le_bytes());
        put(bytes, 32, &size.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let (last, low) = RecordPlace::unpacked(u32_at(bytes, 4), u32_at(bytes, 32));
        let zeroes = (36..40).all(|at| u8_at(bytes, at) == 0);
        (zeroes && low == 0).then_some(ShardRow {
            shard: u32_at(bytes, 0),
            last_sequence: u64_at(bytes, 8),
            epoch: u64_at(bytes, 16),
            segment_id: u64_at(bytes, 24),
            last,
        })
    }
}

impl Row for FirstHash {
    const KIND: BlockKind = BlockKind::FirstHashes;
    const BYTES: usize = 8;

    fn put(&self, bytes: &mut [u8]) {
        put(bytes, 0, &self.0.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        Some(FirstHash(u64_at(bytes, 0)))
    }
}
