//! The readings of a core by their ids, and which of them is late first.
//!
//! Every reading of a core may take equally long, so they are late in the order in which they were begun. Entries of
//! readings that are over are dropped when they come first, and all at once when they are more than half.

use std::collections::VecDeque;

use super::reading::Reading;

/// A reading that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadingId {
    /// Counts the readings of a core from 1.
    number: u64,
    slot: u32,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct ReadingTable {
    slots: Vec<Option<Reading>>,
    free: Vec<u32>,
    last_number: u64,
    deadlines: VecDeque<(u64, ReadingId)>,
}

impl ReadingTable {
    /// A new reading.
    pub fn insert(
        &mut self,
        deadline_ns: u64,
        make: impl FnOnce(ReadingId) -> Reading,
    ) -> ReadingId {
        self.last_number += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        let id = ReadingId { number: self.last_number, slot };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(make(id));
        }
        self.deadlines.push_back((deadline_ns, id));
        id
    }

    pub fn get(&self, id: ReadingId) -> Option<&Reading> {
        self.slots.get(id.slot as usize)?.as_ref().filter(|reading| reading.id == id)
    }

    pub fn get_mut(&mut self, id: ReadingId) -> Option<&mut Reading> {
        self.slots.get_mut(id.slot as usize)?.as_mut().filter(|reading| reading.id == id)
    }

    /// The reading is over.
    pub fn remove(&mut self, id: ReadingId) -> Option<Reading> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let removed = slot.take_if(|reading| reading.id == id)?;
        self.free.push(id.slot);
        while self.deadlines.front().is_some_and(|(_, first)| self.get(*first).is_none()) {
            self.deadlines.pop_front();
        }
        if self.deadlines.len() > 2 * self.len() + FEW {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            deadlines.retain(|(_, id)| self.get(*id).is_some());
            self.deadlines = deadlines;
        }
        Some(removed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The number of the last one that was begun, 0 before the first.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The number of the oldest one.
    pub fn oldest_number(&self) -> Option<u64> {
        self.deadlines.front().map(|(_, id)| id.number)
    }

    /// When the first one is late.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines.front().map(|(deadline_ns, _)| *deadline_ns)
    }

    /// One that is late.
    pub fn first_late(&self, now_ns: u64) -> Option<ReadingId> {
        let (deadline_ns, id) = self.deadlines.front()?;
        (*deadline_ns <= now_ns).then_some(*id)
    }

    /// Takes all of them.
    pub fn drain(&mut self) -> impl Iterator<Item = Reading> {
        (self.free, self.deadlines) = Default::default();
        // In the order in which they were begun, whatever slots they had.
        let mut all: Vec<_> = self.slots.drain(..).flatten().collect();
        all.sort_unstable_by_key(|reading| reading.id);
        all.into_iter()
    }
}

/// So many entries are not worth a walk.
const FEW: usize = 64;
