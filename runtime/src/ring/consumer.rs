//! The receiving side of a ring.
//!
//! The consumer waits at `head`, where the ring holds a 0 until a batch is published, and then
//! follows the records to the next 0. It never looks at anything the producer writes often: the
//! line it polls is the line the message is in.
//!
//! Invariants: `released <= head`; what lies before `released` belongs to the producer again; what
//! the last frame owned is freed before or when the consumer gives back its space.

use super::boxed::{FLAG_BOXED, FLAG_PARCEL, Owned, Parcel, boxed_start, flags_of_owner};
use super::memory::Region;
use super::producer::record_bytes;
use super::sync::{Arc, Ordering};
use super::{Shared, is_padding};
use crate::frame::Header;
use std::marker::PhantomData;

/// The receiving side of a ring. One thread at a time may hold it; it can be sent to another.
///
/// Dropping it tells the producer; frames not yet read are freed when the producer is gone too.
pub struct Consumer {
    region: Region,
    /// Where the next record begins or will begin.
    head: u64,
    /// What lies before has been given back.
    released: u64,
    /// The last frame's record if it owns something that is not freed yet.
    owner: Option<u64>,
    boxed_bytes_freed: u64,
    shared: Arc<Shared>,
}

// SAFETY: the consumer owns the published bytes from `released` on, wherever it runs, and what
// records own is `Send`. It is not `Sync`, as its region makes it so.
unsafe impl Send for Consumer {}

impl Consumer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let region = shared.memory.region();
        Consumer { region, head: 0, released: 0, owner: None, boxed_bytes_freed: 0, shared }
    }

    /// Bytes of the ring.
    pub fn capacity_bytes(&self) -> usize {
        self.region.capacity_bytes()
    }

    /// The frame at the head, if one is published; moves past it. It is read in place: its space is
    /// the consumer's until [`release`](Self::release), what it owns (a boxed payload, a parcel not
    /// taken) until this is called again.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.owner.is_some() {
            self.free_owned();
        }
        // SAFETY: the record at the head is either a 0, which only the producer's atomic store
        // ends, or published.
        let word0 = unsafe { self.region.load_word0(self.head) };
        if word0 == 0 {
            return None;
        }
        if flags_of_owner(word0) != 0 {
            return Some(self.next_unusual(word0));
        }
        Some(self.move_past(word0))
    }

    /// Gives the space of all frames read so far back to the producer. Once a sweep is enough, and
    /// cheap.
    #[inline]
    pub fn release(&mut self) {
        if self.owner.is_some() {
            self.free_owned();
        }
        if self.released != self.head {
            self.released = self.head;
            self.shared.consumer.head.store(self.head, Ordering::Release);
        }
    }

    /// Whether no published frame is left to read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: as in `next_frame`.
        unsafe { self.region.load_word0(self.head) == 0 }
    }

    /// Whether the producer is gone. If it is, and the ring is empty *after* that was asked, no
    /// frame will ever come.
    pub fn is_abandoned(&self) -> bool {
        self.shared.producer.gone.load(Ordering::Acquire)
    }

    /// Writes to every page of the ring, so that the system places them near the CPU that calls
    /// this: to be called on the consumer's thread before the ring is used. `false` if the producer
    /// was first; then nothing is done. While it runs, the producer finds the ring full.
    pub fn touch(&mut self) -> bool {
        self.shared.first_touch.by_consumer(self.region)
    }

    /// Steps over a record.
    #[inline]
    fn move_past(&mut self, word0: u64) -> Frame<'_> {
        let at = self.region.address(self.head);
        self.region.note_read(self.head, record_bytes(word0) as usize);
        self.head += record_bytes(word0);
        Frame { at, word0, ring: PhantomData }
    }

    /// A record of the ring's own: padding, behind which a frame follows, or one that owns
    /// something.
    #[cold]
    #[inline(never)]
    fn next_unusual(&mut self, mut word0: u64) -> Frame<'_> {
        if is_padding(word0) {
            self.head += record_bytes(word0);
            // SAFETY: padding and the frame behind it are published together.
            word0 = unsafe { self.region.load_word0(self.head) };
        }
        let flag = flags_of_owner(word0);
        if flag != 0 {
            self.owner = Some(self.head);
        }
        let frame = self.move_past(word0);
        if flag != FLAG_BOXED {
            return frame;
        }
        // SAFETY: the flag says that the record owns a boxed payload, which begins with the header
        // that `push_boxed` wrote. It stays until `free_owned`; that needs `self`, which the frame
        // borrows.
        unsafe {
            let at = boxed_start(frame.at);
            Frame { at, word0: *at, ..frame }
        }
    }

    /// Frees what the last frame owned and did not give away.
    #[cold]
    #[inline(never)]
    fn free_owned(&mut self) {
        if let Some(owned) = self.take_owned() {
            owned.discard();
        }
    }

    fn take_owned(&mut self) -> Option<Owned> {
        let position = self.owner.take()?;
        // SAFETY: the last record read; it is not released, so it is ours, and no frame of it is
        // borrowed any more.
        let owned = unsafe {
            Owned::take(self.region.address(position), self.region.load_word0(position))?
        };
        self.boxed_bytes_freed += owned.boxed_bytes();
        self.shared.consumer.boxed_bytes_freed.store(self.boxed_bytes_freed, Ordering::Relaxed);
        Some(owned)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.owner.is_some() {
            self.free_owned();
        }
        self.shared.consumer.head.store(self.head, Ordering::Release);
        self.shared.consumer.gone.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity_bytes", &self.capacity_bytes())
            .field("released", &self.released)
            .field("head", &self.head)
            .finish()
    }
}

/// A frame, read where it lies.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    at: *const u64,
    word0: u64,
    ring: PhantomData<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// The header that the sender gave.
    #[inline]
    pub fn header(&self) -> Header {
        // SAFETY: `at` is a whole header, readable as long as the ring is borrowed for this frame.
        let word1 = unsafe { *self.as_ptr().add(1) };
        Header { word0: self.word0, word1 }
    }

    /// The payload, aligned to 16. Empty if the frame carries a [`Parcel`].
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        if self.is_parcel() {
            return &[];
        }
        // SAFETY: `header.len()` initialised bytes follow the header; nobody writes them while the
        // frame's borrow lasts.
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().add(2).cast(), self.word0 as u32 as usize)
        }
    }

    /// Takes the value that [`Producer::push_parcel`](super::Producer::push_parcel) has sent.
    /// `None` if the frame carries none, or if it was taken already; a value that nobody takes is
    /// dropped when the consumer moves on.
    pub fn take_parcel(&self) -> Option<Parcel> {
        if !self.is_parcel() {
            return None;
        }
        // SAFETY: the record is the consumer's, whom this frame borrows; no reference to its
        // payload exists, as `payload` gives none for a parcel, and frames do not leave their
        // thread.
        match unsafe { Owned::take(self.as_ptr().cast_mut(), self.word0) } {
            Some(Owned::Parcel(parcel)) => Some(parcel),
            _ => None,
        }
    }

    /// Address of the header; the payload follows it. It can be read as plain memory: in a ring
    /// until the space is released, of a boxed payload until the consumer moves on.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *const u64 {
        self.at
    }

    #[inline]
    fn is_parcel(&self) -> bool {
        flags_of_owner(self.word0) == FLAG_PARCEL
    }
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("header", &self.header()).finish()
    }
}
