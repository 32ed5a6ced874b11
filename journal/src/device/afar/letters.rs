//! What cores send each other: values that own all they hold.

use super::owned_found::OwnedFound;
use crate::device::{CommitFailed, Committed, GroupRecord, ReadFailed, Refused, ShardClaim};
use crate::format::RecordHeader;
use crate::format::record::{Record, read_at, record_bytes};
use crate::log::{BlockBuffer, DeclaredEntity};
use crate::schema::Layout;

/// What a core wants of another one's journal. Each letter but one for a cancelled reading is replied to once.
#[derive(Debug)]
pub(super) struct Letter {
    /// The core that asks.
    pub from: u16,
    /// Its own number of what it asks for; all letters about one reading have the same.
    pub number: u64,
    pub request: Request,
}

#[derive(Debug)]
pub(super) enum Request {
    /// Writes a group.
    Append(Box<CarriedGroup>),
    /// Takes the claim of a shard and begins to read an entity of it.
    Read { entity: u64, shard: u32, below: u64 },
    /// Goes on reading.
    ReadOn,
    /// Nobody reads any more.
    Cancel,
}

/// What has become of a letter.
#[derive(Debug)]
pub(super) struct Reply {
    /// That of the letter.
    pub number: u64,
    pub answer: Answer,
}

#[derive(Debug)]
pub(super) enum Answer {
    Settled {
        group: Box<CarriedGroup>,
        outcome: Result<(), NotKept>,
    },
    /// What was read, and what the log said at the beginning of a reading that is known.
    Found(Box<(Result<OwnedFound, ReadFailed>, Option<Begun>)>),
    Cancelled,
}

/// What the log said of an entity when it began to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Its last sequence number.
    pub sequence: u64,
    /// When its latest state was written, at the latest, in milliseconds since 1970.
    pub state_written_at_ms: u64,
    /// Its shard, and the epoch under which it may be written for.
    pub shard: ShardClaim,
}

/// A group on its way to its log and back.
#[derive(Debug)]
pub(crate) struct CarriedGroup {
    /// The entity's name, as dictionaries hold it.
    pub(super) name: Box<[u8]>,
    pub(super) shard: ShardClaim,
    pub(super) after: u64,
    /// Behind each other, in the form that they have in the log.
    pub(super) records: BlockBuffer,
    /// The layout of each record that has one.
    pub(super) layouts: Vec<Option<Layout>>,
}

/// Why a group is not known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// It was surely not written.
    Refused(Refused),
    /// Nobody knows.
    Unknown(CommitFailed),
}

/// What has become of a group.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Its records.
    pub records: Committed,
    pub outcome: Result<(), NotKept>,
}

impl CarriedGroup {
    /// Packs a group. The layouts of its records are those that `layout_of` knows by their numbers.
    pub fn pack(
        entity: &DeclaredEntity,
        shard: ShardClaim,
        after: u64,
        records: &[GroupRecord<'_>],
        layout_of: impl Fn(usize) -> Option<Layout>,
    ) -> Self {
        let bytes = records.iter().map(|record| record_bytes(record.payload.len())).sum();
        let mut packed = BlockBuffer::with_capacity(bytes);
        packed.resize(bytes, 0);
        let mut start = 0;
        for GroupRecord { kind, sequence, payload, .. } in records {
            let header = RecordHeader {
                kind: *kind,
                schema: 0,
                shard: shard.number,
                entity: entity.hash(),
                entity_sequence: *sequence,
                shard_sequence: 0,
                epoch: shard.epoch,
            };
            let written = packed.get_mut(start..).and_then(|place| header.write(payload, place));
            // The memory was made to measure.
            debug_assert!(written.is_some(), "a record has its place");
            start += record_bytes(payload.len());
        }
        let layouts = records.iter().map(|record| record.layout.and_then(&layout_of)).collect();
        let name = entity.payload().into();
        CarriedGroup { name, shard, after, records: packed, layouts }
    }

    /// Its records, with the numbers that `number_of` gives their layouts.
    pub(super) fn unpack(
        &self,
        number_of: impl Fn(Layout) -> Option<usize>,
    ) -> Vec<GroupRecord<'_>> {
        let mut start = 0;
        let record = |layout: &Option<Layout>| {
            // They were packed from whole records.
            let Record { header, payload, .. } = read_at(&self.records, start).ok()?;
            start += record_bytes(payload.len());
            let layout = layout.and_then(&number_of);
            let (kind, sequence) = (header.kind, header.entity_sequence);
            Some(GroupRecord { kind, layout, sequence, payload })
        };
        self.layouts.iter().map_while(record).collect()
    }

    /// Its records, for who has sent them.
    pub(super) fn settle(self, outcome: Result<(), NotKept>) -> Settled {
        Settled { records: Committed::of_records(self.records), outcome }
    }
}

impl Settled {
    /// What nobody can say anything of any more.
    pub(super) fn lost() -> Self {
        let records = Committed::of_records(BlockBuffer::new());
        Settled { records, outcome: Err(NotKept::Unknown(CommitFailed)) }
    }
}
