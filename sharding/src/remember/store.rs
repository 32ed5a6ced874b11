//! What is written of which shard, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::events::RunningChanged;
use super::list::List;
use super::recall::Recall;

/// Entities that have ended are gathered for so long, one millisecond, before the journal is told.
pub const GATHER_NS: u64 = 1_000_000;

/// From the first refusal of the journal to the second try; it doubles with each further one.
const FIRST_BACKOFF_NS: u64 = 1_000_000;
const LONGEST_BACKOFF_NS: u64 = 1_000_000_000;

/// How much is kept, and written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberLimits {
    /// Bytes in memory of all lists of a core.
    pub bytes: usize,
    /// Bytes of the list of one shard: it is written as one record.
    pub list_bytes: usize,
    /// Bytes of one event.
    pub batch_bytes: usize,
    /// A list is written whole after so many changes, or as many as it has entities if these are more.
    pub snapshot_after: u64,
}

/// What is known of the record of an entity that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The log says already that it runs.
    Recorded,
    /// It is in the next [`Batch`] of its shard.
    Waits,
    /// It is not recorded: there is no room, the shard's records cannot be written, or a later owner of the shard was
    /// heard of.
    LeftOut,
}

/// An event of a shard's list that the journal is to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The shard.
    pub shard: u32,
    /// The number of the event before it.
    pub after: u64,
    /// What happened.
    pub changed: RunningChanged,
}

/// The whole list of a shard, as it is behind an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The shard.
    pub shard: u32,
    /// The number of the event.
    pub sequence: u64,
    /// Who runs.
    pub ids: Vec<Vec<u8>>,
}

/// The lists that a core's log has of one type of entities; see the [module](super).
#[derive(Debug)]
pub struct RememberStore {
    limits: RememberLimits,
    lists: BTreeMap<u32, List>,
    /// Of all lists.
    bytes: usize,
    /// Shards with something to write.
    unwritten: BTreeSet<u32>,
    /// Shards whose lists may have to be written whole.
    long: BTreeSet<u32>,
    /// When the next batch may be written.
    due_ns: u64,
    /// How long the journal is left alone after it has refused.
    backoff_ns: u64,
    refused_until_ns: u64,
    is_closed: bool,
}

impl Default for RememberLimits {
    /// 128 MiB of lists, 896 KiB for one, 64 KiB for an event; 256 changes.
    fn default() -> Self {
        RememberLimits {
            bytes: 128 << 20,
            list_bytes: 896 << 10,
            batch_bytes: 64 << 10,
            snapshot_after: 256,
        }
    }
}

impl RememberStore {
    /// Nothing runs, and nothing is to be read.
    pub fn new(limits: RememberLimits) -> Self {
        RememberStore {
            limits,
            lists: BTreeMap::new(),
            bytes: 0,
            unwritten: BTreeSet::new(),
            long: BTreeSet::new(),
            due_ns: u64::MAX,
            backoff_ns: FIRST_BACKOFF_NS,
            refused_until_ns: 0,
            is_closed: false,
        }
    }

    /// The log has so many events of a shard's list: they are to be read. Said before anything else of the shard.
    pub fn expect(&mut self, shard: u32, sequence: u64) {
        self.lists.insert(shard, List::new(sequence));
    }

    /// An entity starts, under an epoch of its shard.
    pub fn started(&mut self, now_ns: u64, shard: u32, id: &[u8], epoch: u64) -> Noted {
        let RememberLimits { bytes: limit_bytes, list_bytes, .. } = self.limits;
        let is_full = self.bytes + 2 * List::cost_bytes(id) > limit_bytes;
        let list = self.lists.entry(shard).or_insert_with(|| List::new(0));
        let is_new = !list.has(id);
        if list.is_closed || self.is_closed {
            return Noted::LeftOut;
        }
        if is_new && (is_full || !list.has_room(id, list_bytes)) {
            return Noted::LeftOut;
        }
        let noted = measured(&mut self.bytes, list, |list| list.started(id, epoch));
        if noted == Noted::Waits {
            self.unwritten.insert(shard);
            self.due_ns = self.due_ns.min(now_ns);
        }
        noted
    }

    /// An entity has ended, under an epoch of its shard, and is not to be started again by itself.
    pub fn ended(&mut self, now_ns: u64, shard: u32, id: &[u8], epoch: u64) {
        let is_full = self.bytes + 2 * List::cost_bytes(id) > self.limits.bytes;
        let Some(list) = self.lists.get_mut(&shard) else { return };
        if list.is_closed || (is_full && !list.is_known()) {
            return;
        }
        if measured(&mut self.bytes, list, |list| list.ended(id, epoch)) {
            self.unwritten.insert(shard);
            self.due_ns = self.due_ns.min(now_ns.saturating_add(GATHER_NS));
        }
    }

    /// Whether the log says of an entity what is said here.
    pub fn is_recorded(&self, shard: u32, id: &[u8]) -> bool {
        self.lists.get(&shard).is_none_or(|list| list.is_recorded(id))
    }

    /// What the journal is to take now; it is asked for again until it is [written](Self::written), or
    /// [refused](Self::refused).
    pub fn next_batch(&mut self, now_ns: u64) -> Option<Batch> {
        if self.next_deadline_ns()? > now_ns {
            return None;
        }
        self.any_batch()
    }

    /// As [`next_batch`](Self::next_batch), whether something is due or not: for the end.
    pub fn any_batch(&mut self) -> Option<Batch> {
        while let Some(shard) = self.unwritten.first().copied() {
            let list = self.lists.get(&shard).filter(|list| list.has_unwritten());
            let Some(list) = list else {
                self.unwritten.pop_first();
                continue;
            };
            let (started, ended) = list.unwritten(self.limits.batch_bytes);
            let changed = RunningChanged { started, ended };
            return Some(Batch { shard, after: list.sequence, changed });
        }
        self.due_ns = u64::MAX;
        None
    }

    /// The journal has taken a batch.
    pub fn written(&mut self, batch: &Batch) {
        (self.backoff_ns, self.refused_until_ns) = (FIRST_BACKOFF_NS, 0);
        if let Some(list) = self.lists.get_mut(&batch.shard) {
            let RunningChanged { started, ended } = &batch.changed;
            measured(&mut self.bytes, list, |list| list.written(started.iter().chain(ended)));
            self.long.insert(batch.shard);
        }
    }

    /// The journal takes nothing now: it is asked again after a pause that doubles.
    pub fn refused(&mut self, now_ns: u64) {
        self.refused_until_ns = now_ns.saturating_add(self.backoff_ns);
        self.backoff_ns = (self.backoff_ns * 2).min(LONGEST_BACKOFF_NS);
    }

    /// The records of a shard cannot be written any more, or of all shards.
    pub fn close(&mut self, shard: Option<u32>) {
        match shard {
            Some(shard) => {
                let list = self.lists.entry(shard).or_insert_with(|| List::new(0));
                measured(&mut self.bytes, list, List::close);
            }
            None => {
                (self.bytes, self.is_closed) = (0, true);
                self.lists.clear();
            }
        }
    }

    /// When [`next_batch`](Self::next_batch) has something.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        (!self.unwritten.is_empty()).then(|| self.due_ns.max(self.refused_until_ns))
    }

    /// A list that it is time to write whole. What becomes of it is to be [said](Self::snapshot_offered).
    pub fn next_snapshot(&mut self) -> Option<Snapshot> {
        while let Some(shard) = self.long.pop_first() {
            let Some(list) = self.lists.get(&shard) else { continue };
            if let Some(ids) = list.snapshot(self.limits.snapshot_after) {
                return Some(Snapshot { shard, sequence: list.sequence, ids });
            }
        }
        None
    }

    /// The journal has taken a snapshot, or has not.
    pub fn snapshot_offered(&mut self, shard: u32, is_taken: bool) {
        match self.lists.get_mut(&shard) {
            Some(list) if is_taken => list.snapshot_taken(),
            Some(list) => list.snapshot_refused(),
            None => {}
        }
    }

    /// The snapshot behind an event is durable: up to which event all are given up, and the number of the last one.
    pub fn snapshot_durable(&mut self, shard: u32, sequence: u64) -> Option<(u64, u64)> {
        let list = self.lists.get_mut(&shard).filter(|list| !list.is_closed)?;
        let given_up = list.snapshot_durable(sequence)?;
        Some((given_up, list.sequence))
    }

    /// A shard's list was read: who ran, and has neither started nor ended since; and how many found no room.
    pub fn recalled(&mut self, shard: u32, recall: Recall) -> (Vec<Box<[u8]>>, u64) {
        let Some(list) = self.lists.get_mut(&shard).filter(|list| !list.is_closed) else {
            return (Vec::new(), 0);
        };
        let limit_bytes = self.limits.list_bytes;
        self.long.insert(shard);
        measured(&mut self.bytes, list, |list| list.recalled(recall, limit_bytes))
    }

    /// A shard's list cannot be read. It stays in the log as it is, and is written on.
    pub fn unreadable(&mut self, shard: u32) {
        if let Some(list) = self.lists.get_mut(&shard) {
            measured(&mut self.bytes, list, List::is_unreadable);
        }
    }
}

/// Changes a list, and how much all of them take.
fn measured<R>(bytes: &mut usize, list: &mut List, change: impl FnOnce(&mut List) -> R) -> R {
    *bytes -= list.bytes();
    let result = change(list);
    *bytes += list.bytes();
    result
}

#[cfg(test)]
#[path = "oracle.rs"]
mod oracle;
