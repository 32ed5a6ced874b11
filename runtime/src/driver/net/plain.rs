//! Received bytes in memory of one's own: one receive at a time, behind what was not taken.
//!
//! Begins with no memory at all; gets a little when it is to receive, and more when a receive has filled all that was
//! offered or when the handler wants more at once.
//!
//! Invariants: byte k of the stream lies at an offset congruent to k modulo 16 of memory that is aligned to that.
//! Nothing moves while the kernel may write (between `room` and `filled` or `unused`).

use super::memory::{Memory, View};
use crate::net::STREAM_ALIGN;

/// What a socket gets first.
pub(super) const FIRST_BYTES: usize = 1024;

pub(super) struct Plain {
    memory: Option<Memory>,
    start: usize,
    end: usize,
    /// Room that the kernel has.
    offered_bytes: usize,
    /// The last receive took all that was offered: there was more.
    was_full: bool,
}

/// What making room has cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoomCost {
    pub moved_bytes: usize,
    pub new_memory_bytes: usize,
}

impl Plain {
    pub(super) fn new() -> Plain {
        Plain { memory: None, start: 0, end: 0, offered_bytes: 0, was_full: false }
    }

    /// With bytes of a stream from byte `position` on.
    pub(super) fn holding(unread: &[u8], position: u64) -> Plain {
        if unread.is_empty() {
            return Plain::new();
        }
        let start = residue(position);
        let mut memory = Memory::zeroed(start + unread.len(), STREAM_ALIGN);
        memory.copy_in(start, View::of(unread));
        let end = start + unread.len();
        Plain { memory: Some(memory), start, end, ..Plain::new() }
    }

    pub(super) fn held(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, Memory::bytes)
    }

    /// A receive has filled all that was offered.
    pub(super) fn was_full(&self) -> bool {
        self.was_full
    }

    pub(super) fn view(&self) -> View {
        match &self.memory {
            Some(memory) => memory.view(self.start, self.held()),
            None => View::of(&[]),
        }
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.start += bytes.min(self.held());
    }

    /// Where the kernel may write, and what it took to make that room; nothing if there is none to be had.
    /// `position` is the first held byte's place in the stream, `needed` how many bytes must fit together, at most
    /// `most`; new memory may have `allowance_bytes`.
    pub(super) fn room(
        &mut self,
        position: u64,
        needed: usize,
        most: usize,
        allowance_bytes: usize,
    ) -> Option<(*mut u8, u32, RoomCost)> {
        let mut cost = RoomCost::default();
        let (front, held, capacity) = (residue(position), self.held(), self.memory_bytes());
        if held == 0 {
            (self.start, self.end) = (front, front);
        }
        let together = needed.max(held + 1);
        if together > most {
            return None;
        }
        let least = front + together;
        let doubled = if self.was_full { capacity * 2 } else { capacity };
        let desired = doubled.max(FIRST_BYTES).min(most + STREAM_ALIGN).max(least);
        if desired > capacity && (desired <= allowance_bytes || capacity == 0) {
            self.move_to(front, Memory::zeroed(desired, STREAM_ALIGN));
            cost = RoomCost { moved_bytes: held, new_memory_bytes: desired };
        } else if least > capacity {
            return None;
        } else if self.start > front
            && (self.start + together > capacity || capacity - self.end < capacity / 2)
        {
            self.move_to_front(front);
            cost.moved_bytes = held;
        }
        let memory = self.memory.as_ref()?;
        self.offered_bytes = memory.bytes() - self.end;
        Some((memory.at(self.end), self.offered_bytes.min(1 << 30) as u32, cost))
    }

    /// The kernel has written so many bytes where there was room; `false` if there was none for so many.
    pub(super) fn filled(&mut self, bytes: usize) -> bool {
        if bytes > self.offered_bytes {
            return false;
        }
        self.was_full = bytes == self.offered_bytes;
        self.end += bytes;
        self.offered_bytes = 0;
        true
    }

    /// The kernel has written nothing and will not.
    pub(super) fn unused(&mut self) {
        self.offered_bytes = 0;
    }

    fn move_to(&mut self, front: usize, mut memory: Memory) {
        memory.copy_in(front, self.view());
        (self.start, self.end) = (front, front + self.held());
        self.memory = Some(memory);
    }

    fn move_to_front(&mut self, front: usize) {
        let view = self.view();
        if let Some(memory) = &mut self.memory {
            memory.copy_in(front, view);
            (self.start, self.end) = (front, front + view.bytes);
        }
    }
}

/// Where in memory a byte of the stream may lie, modulo 16.
pub(super) fn residue(position: u64) -> usize {
    (position % STREAM_ALIGN as u64) as usize
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
