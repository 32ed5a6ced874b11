//! The list of one shard: who runs, and what of it the log does not say yet.
//!
//! Invariant, once everything is [known](Earlier::Known): the log says of an id what [`List::running`] says, but for
//! the ids in [`List::unwritten`], of which it says the opposite. Before, the log may say anything of an id that it was
//! not told of in this life, and every change is written.

use std::collections::{BTreeMap, BTreeSet};

use super::recall::Recall;
use super::store::Noted;

/// What an id takes in memory beside its own bytes: its place in a map, and its allocation.
const BESIDE_BYTES: usize = 64;

/// What an id takes in an archived list beside its own bytes.
const IN_SNAPSHOT_BYTES: usize = 8;

/// See the module's header.
#[derive(Debug)]
pub(super) struct List {
    /// Who runs, and the epoch under which it was started last; 0 for those of an earlier life of the node.
    running: BTreeMap<Box<[u8]>, u64>,
    /// Who has started (`true`) or ended since the log was told.
    unwritten: BTreeMap<Box<[u8]>, bool>,
    earlier: Earlier,
    /// The highest epoch under which anything was said.
    epoch: u64,
    /// The number of the last event.
    pub sequence: u64,
    /// Changes since the last snapshot.
    changes: u64,
    /// The events that the last two snapshots stand for; 0 for none.
    snapshots: [u64; 2],
    /// A snapshot is being written.
    is_snapshot_under_way: bool,
    /// Nothing is written any more.
    pub is_closed: bool,
    /// Of the ids of those who run, as a snapshot has them.
    snapshot_bytes: usize,
    /// In memory, of the ids that are not told and of those that have ended meanwhile.
    aside_bytes: usize,
}

/// What is known of earlier lives of the node.
#[derive(Debug)]
enum Earlier {
    /// Everything is in the list.
    Known,
    /// It is still to be read; these have ended meanwhile.
    Unread(BTreeSet<Box<[u8]>>),
    /// It was read, and the log is still to be told of what has changed meanwhile.
    Settling,
    /// It could not be read.
    Unreadable,
}

impl List {
    /// A list with so many events in the log, which are to be read if there are any.
    pub fn new(sequence: u64) -> Self {
        let earlier = if sequence == 0 { Earlier::Known } else { Earlier::Unread(BTreeSet::new()) };
        List {
            running: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            earlier,
            epoch: 0,
            sequence,
            changes: 0,
            snapshots: [0; 2],
            is_snapshot_under_way: false,
            is_closed: false,
            snapshot_bytes: 0,
            aside_bytes: 0,
        }
    }

    /// What one more id takes in memory.
    pub fn cost_bytes(id: &[u8]) -> usize {
        id.len() + BESIDE_BYTES
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        let beside_snapshot = BESIDE_BYTES - IN_SNAPSHOT_BYTES;
        self.snapshot_bytes + self.running.len() * beside_snapshot + self.aside_bytes
    }

    /// Whether one more entity may be in it.
    pub fn has_room(&self, id: &[u8], limit_bytes: usize) -> bool {
        self.snapshot_bytes + id.len() + IN_SNAPSHOT_BYTES <= limit_bytes
    }

    /// Whether an entity is in it.
    pub fn has(&self, id: &[u8]) -> bool {
        self.running.contains_key(id)
    }

    /// Whether the log has what stands here of an entity.
    pub fn is_recorded(&self, id: &[u8]) -> bool {
        !self.unwritten.contains_key(id)
    }

    pub fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty() && !self.is_closed
    }

    /// Whether nothing of earlier lives is unknown.
    pub fn is_known(&self) -> bool {
        matches!(self.earlier, Earlier::Known)
    }

    /// An entity starts.
    pub fn started(&mut self, id: &[u8], epoch: u64) -> Noted {
        self.epoch = self.epoch.max(epoch);
        if let Some(known) = self.running.get_mut(id) {
            *known = epoch.max(*known);
            return if self.is_recorded(id) { Noted::Recorded } else { Noted::Waits };
        }
        if epoch < self.epoch {
            // An earlier owner wanted to start it, and has given the shard away meanwhile.
            return Noted::LeftOut;
        }
        self.insert(id.into(), epoch);
        if let Earlier::Unread(ended) = &mut self.earlier
            && ended.remove(id)
        {
            self.aside_bytes -= Self::cost_bytes(id);
        }
        if self.take_unwritten(id) == Some(false) && self.is_known() {
            return Noted::Recorded;
        }
        self.put_unwritten(id, true);
        Noted::Waits
    }

    /// An entity has ended under an epoch. Whether there is something to write.
    pub fn ended(&mut self, id: &[u8], epoch: u64) -> bool {
        self.epoch = self.epoch.max(epoch);
        match self.running.get(id) {
            // A later owner has started it again.
            Some(known) if *known > epoch => return false,
            Some(_) => self.remove(id),
            None if self.is_known() => return false,
            None => {}
        }
        if self.take_unwritten(id) == Some(true) && self.is_known() {
            return false;
        }
        if let Earlier::Unread(ended) = &mut self.earlier
            && ended.insert(id.into())
        {
            self.aside_bytes += Self::cost_bytes(id);
        }
        self.put_unwritten(id, false);
        true
    }

    /// What the log is to be told next: who has started, and who has ended.
    pub fn unwritten(&self, limit_bytes: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut started, mut ended, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (id, runs) in &self.unwritten {
            bytes += id.len() + IN_SNAPSHOT_BYTES;
            if bytes > limit_bytes && bytes > id.len() + IN_SNAPSHOT_BYTES {
                break;
            }
            if *runs { &mut started } else { &mut ended }.push(id.to_vec());
        }
        (started, ended)
    }

    /// The log has taken an event with these changes.
    pub fn written<'i>(&mut self, ids: impl Iterator<Item = &'i Vec<u8>>) {
        self.sequence += 1;
        for id in ids {
            self.changes += 1;
            self.take_unwritten(id);
        }
        self.settle();
    }

    /// Nothing is written any more, and who runs is not kept.
    pub fn close(&mut self) {
        *self = List { is_closed: true, ..List::new(0) };
    }

    /// The whole list, if it is time to write it: after so many changes, or as many as it has entities.
    pub fn snapshot(&self, after: u64) -> Option<Vec<Vec<u8>>> {
        let is_due = self.changes >= after.max(self.running.len() as u64);
        let may = self.is_known() && !self.is_snapshot_under_way && !self.is_closed;
        let is_exact = self.unwritten.is_empty();
        (is_due && may && is_exact).then(|| self.running.keys().map(|id| id.to_vec()).collect())
    }

    /// The log has taken a snapshot.
    pub fn snapshot_taken(&mut self) {
        (self.changes, self.is_snapshot_under_way) = (0, true);
    }

    /// The log did not take a snapshot: it is offered again after as many changes.
    pub fn snapshot_refused(&mut self) {
        self.changes = 0;
    }

    /// The snapshot of an event is durable: up to which event all are given up.
    pub fn snapshot_durable(&mut self, sequence: u64) -> Option<u64> {
        self.is_snapshot_under_way = false;
        let [_, last] = self.snapshots;
        self.snapshots = [last, sequence];
        (last > 0).then_some(last)
    }

    /// What earlier lives have left is known now: who ran at their end, and has neither started nor ended since. With
    /// how many found no room.
    pub fn recalled(&mut self, recall: Recall, limit_bytes: usize) -> (Vec<Box<[u8]>>, u64) {
        let Earlier::Unread(ended) = std::mem::replace(&mut self.earlier, Earlier::Settling) else {
            return (Vec::new(), 0);
        };
        self.aside_bytes -= ended.iter().map(|id| Self::cost_bytes(id)).sum::<usize>();
        self.settle();
        let (mut found, mut left_out) = (Vec::new(), 0);
        self.snapshots = [0, recall.snapshot()];
        self.changes = if recall.is_damaged() { u64::MAX / 2 } else { recall.changes() };
        for id in recall.into_ids() {
            if self.has(&id) || ended.contains(&id) {
                continue;
            }
            if !self.has_room(&id, limit_bytes) {
                left_out += 1;
                continue;
            }
            self.insert(id.clone(), 0);
            found.push(id);
        }
        (found, left_out)
    }

    /// What earlier lives have left cannot be read. It stays in the log, for a later life.
    pub fn is_unreadable(&mut self) {
        if let Earlier::Unread(ended) = std::mem::replace(&mut self.earlier, Earlier::Unreadable) {
            self.aside_bytes -= ended.iter().map(|id| Self::cost_bytes(id)).sum::<usize>();
        }
    }

    fn settle(&mut self) {
        if matches!(self.earlier, Earlier::Settling) && self.unwritten.is_empty() {
            self.earlier = Earlier::Known;
        }
    }

    fn put_unwritten(&mut self, id: &[u8], runs: bool) {
        if self.unwritten.insert(id.into(), runs).is_none() {
            self.aside_bytes += Self::cost_bytes(id);
        }
    }

    fn take_unwritten(&mut self, id: &[u8]) -> Option<bool> {
        let taken = self.unwritten.remove(id)?;
        self.aside_bytes -= Self::cost_bytes(id);
        Some(taken)
    }

    fn insert(&mut self, id: Box<[u8]>, epoch: u64) {
        self.snapshot_bytes += id.len() + IN_SNAPSHOT_BYTES;
        self.running.insert(id, epoch);
    }

    fn remove(&mut self, id: &[u8]) {
        if self.running.remove(id).is_some() {
            self.snapshot_bytes -= id.len() + IN_SNAPSHOT_BYTES;
        }
    }
}
