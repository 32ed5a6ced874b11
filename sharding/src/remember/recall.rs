//! A list as it is read: the last snapshot, and what happened behind it.

use std::collections::BTreeSet;

/// What is known so far of who ran.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    running: BTreeSet<Box<[u8]>>,
    /// The number of the last event that was taken in.
    sequence: u64,
    snapshot: u64,
    changes: u64,
    damaged: u64,
}

impl Recall {
    /// Nothing was read yet.
    pub fn new() -> Self {
        Recall::default()
    }

    /// A snapshot cannot be used: it is read anew from the one before it.
    pub fn without_snapshot(self) -> Self {
        Recall { damaged: self.damaged, ..Recall::default() }
    }

    /// The list as it was behind an event.
    pub fn snapshot_read<'i>(&mut self, sequence: u64, ids: impl Iterator<Item = &'i [u8]>) {
        self.running = ids.map(Box::from).collect();
        (self.sequence, self.snapshot) = (sequence, sequence);
    }

    /// What an event says. One that was taken in before changes nothing.
    pub fn event_read<'i>(
        &mut self,
        sequence: u64,
        started: impl Iterator<Item = &'i [u8]>,
        ended: impl Iterator<Item = &'i [u8]>,
    ) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        for id in ended {
            self.running.remove(id);
            self.changes += 1;
        }
        for id in started {
            self.running.insert(id.into());
            self.changes += 1;
        }
    }

    /// A record could not be used. What it said is not known; the others count.
    pub fn record_damaged(&mut self) {
        self.damaged += 1;
    }

    /// How many records could not be used.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged > 0
    }

    pub(super) fn snapshot(&self) -> u64 {
        self.snapshot
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn into_ids(self) -> impl Iterator<Item = Box<[u8]>> {
        self.running.into_iter()
    }
}
