//! Which records are still needed, and which segments at the front of a log hold none of them.
//!
//! Nothing is counted while records are appended: what is live follows from the tables of entities and shards, and
//! only the segments at the front can be given back. So their footers are assessed in the background, oldest first.
//!
//! A record is **live** when
//!
//! - it is an event that is not deleted, or a tag of one;
//! - it is a state with one of the entity's two highest revisions;
//! - it is a command's id, and no later one than the second latest state knows it;
//! - it is a deletion, and no other record says how far the entity's sequence has come;
//! - it says that the entity is to be started again, and that still holds.
//!
//! A record that is needed is never counted as dead; a dead one may be counted as live. A dead record stays dead,
//! because sequences, revisions and deletions only rise; so an assessment never has to be taken back. Two kinds of
//! records are not needed once everything before them is gone, and segments are only ever given back from the
//! front: a deletion, for what it deletes, and a word that an entity is not to be started again.
//!
//! A live record of the oldest segment is **copied forward**: appended once more, with its places in the sequences
//! and its epoch as they were. So an entity's records may stand twice and out of the order of their places, and
//! whoever reads them sorts by place. Just before each is appended, [`is_live`] has to be asked again: a dead record
//! that is copied behind its deletion would come back to life when the deletion is given back.
//!
//! When the last record of a shard is in the segment, the shard's sequence and epoch are stated anew, by a record of
//! kind [`RecordKind::ShardEpoch`]: that record itself may be dead.

use std::collections::VecDeque;

use super::footer::Footer;
use super::row::{Posting, ShardRow};
use super::{Entity, EntityTable, ShardTable};
use crate::format::RecordKind;
use crate::format::record::record_bytes;

/// Whether a record is still needed.
pub fn is_live(posting: &Posting, entity: &Entity) -> bool {
    let sequence = posting.entity_sequence;
    match posting.kind {
        RecordKind::Event | RecordKind::Tag => {
            entity.deleted_to == 0 || sequence > entity.deleted_to
        }
        RecordKind::State | RecordKind::Command => sequence >= entity.older_state_sequence,
        RecordKind::Deletion => {
            let has_state = entity.history_segment > 0 && entity.state_sequence >= sequence;
            sequence == entity.deleted_to && sequence == entity.last_sequence && !has_state
        }
        RecordKind::Remembered => entity.is_remembered,
        RecordKind::ShardEpoch
        | RecordKind::Forgotten
        | RecordKind::Schema
        | RecordKind::Entity => false,
    }
}

/// Whether a live record may be copied forward. Events of an entity that has given none up stay where they are: whoever
/// reads the log from its beginning is promised them, in the order in which they were written.
pub fn may_move(posting: &Posting, entity: &Entity) -> bool {
    !matches!(posting.kind, RecordKind::Event | RecordKind::Tag) || entity.deleted_to > 0
}

/// What has to be written anew before a segment can be given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The segment.
    pub segment_id: u64,
    /// Its live records with their entities, in the order in which they stand: to be copied forward.
    pub live: Vec<(u64, Posting)>,
    /// The shards whose last record it holds: to be stated anew.
    pub shards: Vec<ShardRow>,
}

/// Looks at every record of a sealed segment.
pub fn assess(footer: &Footer, entities: &EntityTable, shards: &ShardTable) -> Assessment {
    let segment_id = footer.header().segment_id;
    let mut live = Vec::new();
    for row in footer.entities() {
        // An entity that the table does not know is taken as the footer has it: nothing of it is lost.
        let entity = entities.get(row.entity).copied().unwrap_or_else(|| {
            let mut entity = Entity::default();
            entity.apply_row(row, segment_id);
            entity
        });
        let own = footer.postings_of(row).iter();
        let own = own.filter(|posting| is_live(posting, &entity));
        live.extend(own.map(|posting| (row.entity, *posting)));
    }
    live.sort_unstable_by_key(|(_, posting)| posting.offset);
    let is_last = |row: &ShardRow| row.segment_id <= segment_id;
    let known = footer.shards().iter().map(|row| *shards.get(row.shard).unwrap_or(row));
    Assessment { segment_id, live, shards: known.filter(is_last).collect() }
}

impl Assessment {
    /// Bytes of what has to be written anew, without names.
    pub fn live_bytes(&self) -> u64 {
        let records: u64 = self.live.iter().map(|(_, posting)| u64::from(posting.bytes)).sum();
        records + (self.shards.len() * record_bytes(0)) as u64
    }
}

/// How much of each sealed segment is live, as far as it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// In the order of the log, without holes.
    segments: VecDeque<(u64, u64)>,
}

/// A segment that does not follow the last one. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment_id} does not follow segment {last}, the last one that was sealed")]
pub struct NotInOrder {
    /// Its number.
    pub segment_id: u64,
    /// The number of the last one.
    pub last: u64,
}

impl Liveness {
    /// A segment has been sealed. Until it is assessed, so many bytes of it count as live, and at least one: those of
    /// its footer, for example.
    pub fn sealed(&mut self, segment_id: u64, live_bytes: u64) -> Result<(), NotInOrder> {
        if let Some((last, _)) = self.segments.back().filter(|(last, _)| last + 1 != segment_id) {
            return Err(NotInOrder { segment_id, last: *last });
        }
        self.segments.push_back((segment_id, live_bytes.max(1)));
        Ok(())
    }

    /// Takes in an assessment.
    pub fn assessed(&mut self, assessment: &Assessment) {
        if let Some(live_bytes) = self.live_bytes_mut(assessment.segment_id) {
            *live_bytes = assessment.live_bytes();
        }
    }

    /// Everything live in a segment has been copied forward, and the copies are durable.
    pub fn copied_forward(&mut self, segment_id: u64) {
        if let Some(live_bytes) = self.live_bytes_mut(segment_id) {
            *live_bytes = 0;
        }
    }

    /// The segments at the front that hold nothing that is needed, oldest first. They are to be given back in this
    /// order, so that a log never has a hole.
    pub fn droppable_prefix(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().take_while(|(_, live_bytes)| *live_bytes == 0).map(|(id, _)| *id)
    }

    /// A segment at the front has been given back. Nothing happens when it is not the oldest one.
    pub fn dropped(&mut self, segment_id: u64) {
        if self.segments.front().is_some_and(|(oldest, _)| *oldest == segment_id) {
            self.segments.pop_front();
        }
    }

    /// The oldest segment with something live: the next one to be assessed, and to be copied forward.
    pub fn oldest_live(&self) -> Option<u64> {
        self.segments.iter().find(|(_, live_bytes)| *live_bytes > 0).map(|(id, _)| *id)
    }

    /// Live bytes of all sealed segments, at most.
    pub fn live_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, live_bytes)| *live_bytes).sum()
    }

    fn live_bytes_mut(&mut self, segment_id: u64) -> Option<&mut u64> {
        let (oldest, _) = self.segments.front()?;
        let place = usize::try_from(segment_id.checked_sub(*oldest)?).ok()?;
        self.segments.get_mut(place).map(|(_, live_bytes)| live_bytes)
    }
}
