//! Footers, checkpoints and their tables held against a model that keeps every record in a list.

mod checkpoints;
mod damage;
mod footers;
mod opening;
mod retention;
mod searching;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    EntityTable, Footer, FrameEnd, IndexedSegment, Posting, RecordPlace, SegmentIndex, ShardTable,
};
use crate::format::dictionary::EntityEntry;
use crate::format::record::record_bytes;
use crate::format::{BLOCK_BYTES, RecordHeader, RecordKind};
use crate::log::SegmentFile;

pub const LOG_ID: u128 = 9;
pub const SEGMENT_BYTES: u64 = 64 << 20;

const KINDS: [RecordKind; 7] = [
    RecordKind::Event,
    RecordKind::State,
    RecordKind::Deletion,
    RecordKind::Command,
    RecordKind::ShardEpoch,
    RecordKind::Remembered,
    RecordKind::Forgotten,
];

/// A record and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub header: RecordHeader,
    pub place: RecordPlace,
}

/// The payload of the dictionary record of the entity with this number.
pub fn name(number: u64) -> Vec<u8> {
    EntityEntry { entity_type: "account".into(), id: number.to_le_bytes().to_vec() }.encode()
}

/// Random records of up to so many entities, one behind the other, each entity's name before its first.
pub fn records(random: &mut fastrand::Rng, count: usize, entities: u64) -> Vec<Placed> {
    let mut offset = BLOCK_BYTES as u64 + 64;
    let (mut placed, mut named) = (Vec::new(), BTreeSet::new());
    for shard_sequence in 1..=count as u64 {
        let number = random.u64(0..entities);
        let header = RecordHeader {
            // Events are the most common.
            kind: KINDS[random.usize(0..13).saturating_sub(6)],
            schema: 0,
            shard: (number % 5) as u32,
            entity: EntityEntry::hash_of(&name(number)),
            entity_sequence: random.u64(1..40),
            shard_sequence: random.u64(1..=shard_sequence),
            epoch: random.u64(0..4),
        };
        let is_new = named.insert(number);
        let entry = RecordHeader { kind: RecordKind::Entity, ..header };
        for header in is_new.then_some(entry).into_iter().chain([header]) {
            let bytes = record_bytes(random.usize(0..300)) as u32;
            placed.push(Placed { header, place: RecordPlace { offset, bytes } });
            offset += u64::from(bytes);
        }
    }
    placed
}

/// The index of a segment with these records; the tables take them in.
pub fn index_of(
    segment_id: u64,
    placed: &[Placed],
    tables: &mut (EntityTable, ShardTable),
) -> SegmentIndex {
    let (log_id, file, segment_bytes) = (LOG_ID, SegmentFile(segment_id), SEGMENT_BYTES);
    let mut index = SegmentIndex::new(IndexedSegment { log_id, segment_id, file, segment_bytes });
    for Placed { header, place } in placed {
        let previous = tables.0.apply(header, segment_id).expect("room");
        tables.1.apply(header, segment_id, *place).expect("room");
        index.add(header, place.offset, place.bytes, previous).expect("inside");
    }
    index
}

pub fn footer_of(
    segment_id: u64,
    placed: &[Placed],
    tables: &mut (EntityTable, ShardTable),
) -> Footer {
    let end = placed.last().map_or(0, |last| last.place.offset + u64::from(last.place.bytes));
    index_of(segment_id, placed, tables).finish(FrameEnd {
        last_frame: segment_id * 10,
        last_chain: segment_id as u32 * 7,
        began_at_ms: segment_id * 1_000,
        written_at_ms: segment_id * 1_000 + 999,
        end_offset: end.next_multiple_of(BLOCK_BYTES as u64).max(BLOCK_BYTES as u64),
    })
}

/// Footers of so many segments from 1 on, and the tables of all their records.
pub fn log_of(
    random: &mut fastrand::Rng,
    segments: u64,
    count: usize,
    entities: u64,
) -> (Vec<Footer>, (EntityTable, ShardTable)) {
    let mut tables = (EntityTable::default(), ShardTable::default());
    let footers = (1..=segments)
        .map(|id| footer_of(id, &records(random, count, entities), &mut tables))
        .collect();
    (footers, tables)
}

/// The postings of every entity, in the order of the records.
pub fn model(placed: &[Placed]) -> BTreeMap<u64, Vec<Posting>> {
    let mut model: BTreeMap<u64, Vec<Posting>> = BTreeMap::new();
    for Placed { header, place } in placed {
        if header.kind == RecordKind::Entity {
            continue;
        }
        let (RecordPlace { offset, bytes }, kind) = (*place, header.kind);
        let entity_sequence = header.entity_sequence;
        let posting = Posting { offset, bytes, kind, entity_sequence };
        model.entry(header.entity).or_default().push(posting);
    }
    model
}
