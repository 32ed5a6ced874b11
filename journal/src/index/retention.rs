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

use super::Entity;
use super::row::Posting;
use crate::format::RecordKind;

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
