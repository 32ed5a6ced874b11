//! Received bytes in buffers that the kernel fills one after the other, a piece with every completion, while one
//! receive stays armed (`IOU_PBUF_RING_INC`).
//!
//! The buffers of a socket lie side by side, are all as long as each other and go back to the kernel in the order in
//! which it filled them. So the stream runs through the memory as through a circle: what lies in two buffers is
//! contiguous anyway, except where the circle closes. What straddles that place is copied together.
//!
//! Invariants: `taken <= filled <= provided`; the stream's byte at `filled` lies at `filled` modulo the circle. The
//! kernel writes between `filled` and `provided` alone. The first byte's place has the residue of its position in the
//! stream, and the circle is a multiple of 16 bytes long.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::cqueue;
use io_uring::types::BufRingEntry;
use rkyv::util::AlignedVec;

use super::memory::{Memory, View};
use super::plain::residue;
use crate::driver::uring::Uring;
use crate::net::STREAM_ALIGN;

/// Bytes of a page, to which the kernel wants the ring of buffers aligned.
const PAGE_BYTES: usize = 4096;
const LEAST_BUFFER_BYTES: usize = 4 << 10;
const MOST_BUFFER_BYTES: usize = 64 << 10;
/// Beyond what is needed, so many bytes are copied together where the circle closes.
const EXTRA_COPY_BYTES: usize = 1 << 10;

/// What is wrong with a completion.
pub(super) type Fault = &'static str;

/// The memory is given back by [`retire`](Incremental::retire) alone: until then the kernel may have it.
pub(super) struct Incremental {
    arena: ManuallyDrop<Memory>,
    entries: ManuallyDrop<Memory>,
    group: u16,
    shape: Shape,
    tail: u16,
    taken: u64,
    filled: u64,
    provided: u64,
}

/// How many buffers of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub buffer_bytes: usize,
    pub buffers: usize,
}

impl Shape {
    /// For so many bytes together. There is one buffer more than they need: one that is taken only in part is not the
    /// kernel's again.
    pub(super) fn for_bytes(bytes: usize) -> Shape {
        let quarter = bytes.div_ceil(4).next_multiple_of(PAGE_BYTES);
        let buffer_bytes = quarter.clamp(LEAST_BUFFER_BYTES, MOST_BUFFER_BYTES);
        Shape { buffer_bytes, buffers: bytes.div_ceil(buffer_bytes) + 1 }
    }

    pub(super) fn bytes(self) -> usize {
        self.buffer_bytes * self.buffers
    }

    fn entries(self) -> usize {
        self.buffers.next_power_of_two()
    }

    /// With the ring that hands them to the kernel.
    pub(super) fn memory_bytes(self) -> usize {
        self.bytes() + self.entries() * size_of::<BufRingEntry>()
    }
}

impl Incremental {
    /// Memory that the kernel has been told of, and that holds `unread` bytes of a stream from byte `position` on.
    pub(super) fn register(
        ring: &Uring,
        group: u16,
        shape: Shape,
        position: u64,
        unread: View,
    ) -> io::Result<Incremental> {
        let entries = Memory::zeroed(shape.entries() * size_of::<BufRingEntry>(), PAGE_BYTES);
        let arena = Memory::zeroed(shape.bytes(), PAGE_BYTES);
        // SAFETY: the entries are freed only after the kernel was told to forget them.
        unsafe { ring.register_incremental(entries.at(0), shape.entries() as u16, group) }?;
        let start = residue(position) as u64;
        let mut made = Incremental {
            arena: ManuallyDrop::new(arena),
            entries: ManuallyDrop::new(entries),
            group,
            shape,
            tail: 0,
            taken: start,
            filled: start + unread.bytes as u64,
            provided: 0,
        };
        made.arena.copy_in(start as usize, unread);
        made.skip_filled_buffers();
        made.provide();
        Ok(made)
    }

    /// Gives the memory back. Nothing of it is in flight any more.
    pub(super) fn retire(mut self, ring: &Uring) {
        if let Err(error) = ring.unregister_buffers(self.group) {
            tracing::warn!(%error, "the kernel keeps the receive buffers of a closed socket; their memory is lost");
            return;
        }
        // SAFETY: the kernel knows neither any more, and `self` ends here.
        unsafe {
            ManuallyDrop::drop(&mut self.entries);
            ManuallyDrop::drop(&mut self.arena);
        }
    }

    pub(super) fn group(&self) -> u16 {
        self.group
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.shape.memory_bytes()
    }

    pub(super) fn held(&self) -> usize {
        (self.filled - self.taken) as usize
    }

    /// Whether a receive would find a buffer.
    pub(super) fn has_room(&self) -> bool {
        self.provided > self.filled
    }

    /// The kernel has written so many bytes.
    pub(super) fn received(&mut self, bytes: usize, flags: u32) -> Result<(), Fault> {
        let Some(buffer) = cqueue::buffer_select(flags) else {
            return Err("bytes without a buffer");
        };
        let (buffer_bytes, buffers) = (self.shape.buffer_bytes as u64, self.shape.buffers as u64);
        if u64::from(buffer) != self.filled / buffer_bytes % buffers {
            return Err("another buffer than the next one");
        }
        let end = self.filled + bytes as u64;
        if end > (self.filled / buffer_bytes + 1) * buffer_bytes || end > self.provided {
            return Err("more bytes than the buffer has");
        }
        self.filled = end;
        Ok(())
    }

    /// At least `needed` of the held bytes, or all. Where the circle closes in them, they are copied to `scratch`.
    /// Also how many were copied.
    pub(super) fn view(
        &self,
        needed: usize,
        scratch: &mut AlignedVec<STREAM_ALIGN>,
    ) -> (View, usize) {
        let (held, offset) = (self.held(), self.offset(self.taken));
        let straight = held.min(self.shape.bytes() - offset);
        if straight == held || straight >= needed {
            return (self.arena.view(offset, straight), 0);
        }
        let bytes = held.min(needed.max(straight + EXTRA_COPY_BYTES));
        let front = residue(self.taken);
        scratch.clear();
        scratch.resize(front, 0);
        // SAFETY: these bytes are held: the kernel does not write to them, and nothing is freed here.
        let (first, second) = unsafe {
            let first = self.arena.view(offset, straight).as_slice();
            (first, self.arena.view(0, bytes - straight).as_slice())
        };
        scratch.extend_from_slice(first);
        scratch.extend_from_slice(second);
        (View::of(&scratch[front..]), bytes)
    }

    /// So many of the held bytes are done with; buffers that are done with go back to the kernel.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes.min(self.held()) as u64;
        self.provide();
    }

    /// All that is held.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let (held, offset) = (self.held(), self.offset(self.taken));
        let straight = held.min(self.shape.bytes() - offset);
        let mut bytes = self.arena.view(offset, straight).to_vec();
        bytes.extend_from_slice(&self.arena.view(0, held - straight).to_vec());
        bytes
    }

    fn offset(&self, place: u64) -> usize {
        (place % self.shape.bytes() as u64) as usize
    }

    /// Buffers that begin full are not the kernel's yet; it begins in the one where `filled` lies.
    fn skip_filled_buffers(&mut self) {
        let buffer_bytes = self.shape.buffer_bytes as u64;
        self.provided = self.filled / buffer_bytes * buffer_bytes;
    }

    /// Gives the kernel every buffer that holds nothing.
    fn provide(&mut self) {
        let buffer_bytes = self.shape.buffer_bytes as u64;
        let begin = self.provided;
        let end = self.taken / buffer_bytes * buffer_bytes + self.shape.bytes() as u64;
        while self.provided < end {
            // Only the very first one can hold something already.
            let from = self.provided.max(self.filled);
            let length = self.provided + buffer_bytes - from;
            self.write_entry(from, length as u32);
            self.provided += buffer_bytes;
        }
        if self.provided != begin {
            self.publish_tail();
        }
    }

    fn write_entry(&mut self, from: u64, length: u32) {
        let buffer = from / self.shape.buffer_bytes as u64 % self.shape.buffers as u64;
        let index = usize::from(self.tail) & (self.shape.entries() - 1);
        let entry = self.entries.at(index * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the index is within the ring, whose memory is aligned and initialised; the kernel reads an entry
        // only when the tail is past it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.arena.at(self.offset(from)).expose_provenance() as u64);
        entry.set_len(length);
        entry.set_bid(buffer as u16);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish_tail(&self) {
        let first = self.entries.at(0).cast::<BufRingEntry>();
        // SAFETY: the tail lies in the first entry of the ring, is aligned to its size and read by the kernel alone.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
