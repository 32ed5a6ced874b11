//! What lies in memory for all readings of a core, and which of them may have something to give out.

use std::collections::VecDeque;
use std::rc::Rc;

use super::reading::Reading;
use super::reading_table::ReadingId;
use super::storage::Storage;
use crate::log::BlockBuffer;

/// Bytes of records that lie in memory before they are given out; what was fetched and not taken apart is besides.
const HELD_LIMIT_BYTES: usize = 64 << 20;
/// Memory that is kept to be read into again.
const BUFFERS_KEPT: usize = 32;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held_bytes: usize,
    /// What readings that are given out as a whole may come to hold.
    reserved_bytes: usize,
    /// Those that may have something to give out.
    listed: VecDeque<ReadingId>,
    /// Fetched blocks that readers have.
    lent: VecDeque<Rc<BlockBuffer>>,
    free: Vec<BlockBuffer>,
}

impl Memory {
    /// Whether more may be taken in.
    pub fn has_room(&self) -> bool {
        self.held_bytes < HELD_LIMIT_BYTES
    }

    /// So many bytes more lie in memory.
    pub fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
    }

    /// So many bytes lie there no more.
    pub fn let_go(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// Room that is needed until its reading is over; false when half of all room is reserved so already.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let has_room = self.reserved_bytes + bytes <= HELD_LIMIT_BYTES / 2;
        self.reserved_bytes += if has_room { bytes } else { 0 };
        has_room
    }

    /// That room is needed no more.
    pub fn unreserve(&mut self, bytes: usize) {
        self.reserved_bytes = self.reserved_bytes.saturating_sub(bytes);
    }

    /// The reading is looked at when batches are given out.
    pub fn list(&mut self, reading: &mut Reading) {
        if !reading.is_listed {
            reading.is_listed = true;
            self.listed.push_back(reading.id);
        }
    }

    /// Whether nothing is known to be given out.
    pub fn has_nothing_listed(&self) -> bool {
        self.listed.is_empty()
    }

    /// The next one to look at.
    pub fn next_listed(&mut self) -> Option<ReadingId> {
        self.listed.pop_front()
    }

    /// These blocks are read again into when a reader has let go of them.
    pub fn lend(&mut self, blocks: Rc<BlockBuffer>) -> Rc<BlockBuffer> {
        if self.lent.len() < BUFFERS_KEPT {
            self.lent.push_back(Rc::clone(&blocks));
        }
        blocks
    }

    /// These blocks can be read into again.
    pub fn free(&mut self, blocks: BlockBuffer) {
        if self.free.len() < BUFFERS_KEPT {
            self.free.push(blocks);
        }
    }

    /// Hands back to the storage what can be read into again.
    pub fn give_back(&mut self, storage: &mut dyn Storage) {
        while let Some(blocks) = self.lent.pop_front() {
            match Rc::try_unwrap(blocks) {
                Ok(blocks) => storage.recycle(blocks),
                Err(lent) => {
                    self.lent.push_front(lent);
                    break;
                }
            }
        }
        self.free.drain(..).for_each(|blocks| storage.recycle(blocks));
    }
}
