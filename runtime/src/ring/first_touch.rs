//! Who writes to a ring's memory first.
//!
//! The system places a page near the CPU that first writes to it, so the consumer should be the
//! one. But the memory is the producer's to write. This is decided once: either the consumer gets
//! the memory to itself before the producer's first claim, or the producer was first and the
//! consumer leaves it alone. Neither waits for the other.

use super::memory::{PAGE_BYTES, Region};
use super::sync::{AtomicU8, Ordering};

const UNTOUCHED: u8 = 0;
const BY_CONSUMER_NOW: u8 = 1;
const DECIDED: u8 = 2;

pub(super) struct FirstTouch(AtomicU8);

impl FirstTouch {
    pub(super) fn new() -> Self {
        FirstTouch(AtomicU8::new(UNTOUCHED))
    }

    /// For the producer before its first claim: whether it may write. If not, the consumer touches
    /// the pages just now.
    pub(super) fn begin(&self) -> bool {
        self.decide(DECIDED) != BY_CONSUMER_NOW
    }

    /// For the consumer: touches all pages of the ring that this belongs to, unless the producer
    /// was first.
    pub(super) fn by_consumer(&self, region: Region) -> bool {
        if self.decide(BY_CONSUMER_NOW) != UNTOUCHED {
            return false;
        }
        for page in (0..region.capacity_bytes()).step_by(PAGE_BYTES) {
            region.note_write(page as u64, 16);
            // SAFETY: inside the ring; the producer writes nothing before it has seen `DECIDED`.
            // Volatile, because the bytes are 0 already and only the access counts.
            unsafe { region.address(page as u64).write_volatile(0) }
        }
        self.0.store(DECIDED, Ordering::Release);
        true
    }

    /// Moves from untouched to `next` and gives what was found.
    fn decide(&self, next: u8) -> u8 {
        match self.0.compare_exchange(UNTOUCHED, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(found) | Err(found) => found,
        }
    }
}
