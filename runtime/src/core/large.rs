//! Messages that do not lie in a queue: too large for a chunk, or with payloads that must be freed.
//!
//! The queue carries the number of an entry here. Entries made by a turn are dropped with it when it fails.

use super::Core;
use super::stash::StoredFrame;
use crate::frame::Header;

/// Flag of a queue frame whose payload is the number of an entry of this table.
pub(crate) const FLAG_LARGE: u8 = 0x20;

/// Frames of the local queue that are kept outside of it.
pub(crate) struct Large {
    table: Vec<Option<StoredFrame>>,
    free: Vec<u32>,
    /// Made by the running turn.
    unkept: Vec<u32>,
    bytes: usize,
    limit_bytes: usize,
}

impl Large {
    pub fn new(limit_bytes: usize) -> Self {
        Large { table: Vec::new(), free: Vec::new(), unkept: Vec::new(), bytes: 0, limit_bytes }
    }

    /// Keeps a frame; gives it back when the limit of bytes is reached.
    pub fn insert(&mut self, frame: StoredFrame) -> Result<u32, StoredFrame> {
        let size = frame.kept_bytes();
        if self.bytes + size > self.limit_bytes {
            return Err(frame);
        }
        self.bytes += size;
        let number = match self.free.pop() {
            Some(number) => {
                self.table[number as usize] = Some(frame);
                number
            }
            None => {
                self.table.push(Some(frame));
                self.table.len() as u32 - 1
            }
        };
        self.unkept.push(number);
        Ok(number)
    }

    pub fn take(&mut self, number: u32) -> Option<StoredFrame> {
        let frame = self.table.get_mut(number as usize)?.take()?;
        self.bytes -= frame.kept_bytes();
        self.free.push(number);
        Some(frame)
    }

    /// The entry with this number.
    pub fn get(&self, number: u32) -> Option<&StoredFrame> {
        self.table.get(number as usize)?.as_ref()
    }

    /// Drops the newest entry, whose number found no room in the queue.
    pub fn take_back(&mut self, number: u32) {
        self.unkept.retain(|unkept| *unkept != number);
        self.take(number);
    }

    /// The turn that made the newest entries has returned.
    pub fn keep(&mut self) {
        self.unkept.clear();
    }

    /// The turn that made the newest entries has failed.
    pub fn drop_unkept(&mut self) {
        for number in std::mem::take(&mut self.unkept) {
            self.take(number);
        }
    }
}

impl Core {
    /// A look at the frame whose number a queue frame carries.
    pub(crate) fn large_frame(&self, payload: &[u8]) -> Option<&StoredFrame> {
        let number = payload.get(..4)?.try_into().ok()?;
        self.large.get(u32::from_le_bytes(number))
    }

    /// The frame whose number a queue frame carries.
    pub(crate) fn take_large(&mut self, header: Header, payload: &[u8]) -> Option<StoredFrame> {
        debug_assert!(header.flags() & FLAG_LARGE != 0);
        let number = payload.get(..4)?.try_into().ok()?;
        self.large.take(u32::from_le_bytes(number))
    }
}
