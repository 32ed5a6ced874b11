//! Records that are found together or not at all, and why a journal does not take them.

use crate::format::RecordKind;
use crate::log::{AppendError, DeclaredEntity};

/// One more record of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupRecord<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// The layout of its payload, as [`CoreJournal::declare`](super::CoreJournal::declare) numbered it; none for
    /// records of a fixed form.
    pub layout: Option<usize>,
    /// Its place in the entity's sequence.
    pub sequence: u64,
    /// Its payload.
    pub payload: &'a [u8],
}

impl GroupRecord<'static> {
    /// Records of the entity up to this place are not needed; of a state that is kept whole it may be the very revision
    /// that deletes it.
    pub(crate) fn deletion(sequence: u64) -> Self {
        GroupRecord { kind: RecordKind::Deletion, layout: None, sequence, payload: &[] }
    }
}

/// A shard, and the epoch under which somebody writes for it. Whoever writes takes it first, and then reads: what he
/// has read is true for as long as his groups are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardClaim {
    /// The shard.
    pub number: u32,
    /// The epoch.
    pub epoch: u64,
}

/// Records of one entity that are found together or not at all.
#[derive(Debug)]
pub struct Group<'a> {
    /// The entity.
    pub entity: &'a mut DeclaredEntity,
    /// Its shard, and the epoch under which it is written for.
    pub shard: ShardClaim,
    /// The entity's sequence before this group.
    pub after: u64,
    /// The records.
    pub records: &'a [GroupRecord<'a>],
}

/// Why a group was not taken. Nothing of it will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// A segment is being made for it. It passes.
    #[error("the next segment of the journal is being made; nothing was written, try again")]
    NotReady,
    /// The entity has gone on meanwhile: somebody else writes for it.
    #[error(
        "the entity is at {actual}, not at {expected}: somebody else has written; nothing was written"
    )]
    Sequence {
        /// Where the writer believed it to be.
        expected: u64,
        /// Where it is.
        actual: u64,
    },
    /// The entity is new, and the core has as many as it may have.
    #[error(
        "the journal of this core has {limit} entities, as many as it may; nothing was written: raise \
         `entities_limit`, or use more cores"
    )]
    TooManyEntities {
        /// How many it may have.
        limit: usize,
    },
    /// Somebody else writes for the shard by now. What was known of its entities is not true any more.
    #[error(
        "shard {shard} has epoch {by}, and this is of epoch {epoch}: somebody else writes for it; nothing was written"
    )]
    Fenced {
        /// The shard.
        shard: u32,
        /// Under which epoch it was tried.
        epoch: u64,
        /// The shard's epoch.
        by: u64,
    },
    /// The system has no such shard.
    #[error("there is no shard {shard}; the system has {count}; nothing was written")]
    Shard {
        /// The shard.
        shard: u32,
        /// How many there are.
        count: u32,
    },
    /// The log is another core's, and as much is on its way there as may be. It passes.
    #[error(
        "as much as may be is on its way to the log of core {core}; nothing was written, try again"
    )]
    UnderWay {
        /// The core.
        core: u16,
    },
    /// The core of the log has ended.
    #[error(
        "core {core}, whose log has the entity, has ended; nothing was written; start the node again"
    )]
    Closed {
        /// The core.
        core: u16,
    },
}

impl ShardClaim {
    /// It is refused, because the shard has another epoch.
    pub(super) fn fenced(self, by: u64) -> Refused {
        Refused::Fenced { shard: self.number, epoch: self.epoch, by }
    }
}
