//! What travels beside the ring: payloads too large to lie in it, and owned Rust values.
//!
//! The ring then carries a record of 32 bytes that owns the thing: a [`BoxedPayload`] or a
//! [`Parcel`]. A record's owner is its consumer once published, its producer before. Whoever
//! discards a record frees what it owns: the consumer when it moves past it, a rollback, or the
//! last side of the ring to be dropped. So nothing leaks and nothing is freed twice, however a ring
//! ends.
//!
//! A boxed payload keeps room for a header in front of its bytes. Its frame is read there, header
//! and payload in one piece as everywhere else, and shows the header that the sender gave: the
//! reader cannot tell which way it came.

use crate::frame::{FRAME_ALIGN, HEADER_BYTES, Header};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use thiserror::Error;

/// The most bytes of boxed payloads that may be on their way in one ring, and so also the largest
/// single one: 64 MiB.
pub const BOXED_LIMIT_BYTES: usize = 64 << 20;

/// Header flag of a ring's own record: it owns a [`BoxedPayload`]. No frame may be pushed with it,
/// and none that is read shows it.
pub const FLAG_BOXED: u8 = 0x80;

/// Header flag: the frame owns a [`Parcel`], to be had from
/// [`Frame::take_parcel`](super::Frame::take_parcel). Set by
/// [`Producer::push_parcel`](super::Producer::push_parcel); no frame may be pushed with it
/// otherwise.
pub const FLAG_PARCEL: u8 = 0x40;

/// A Rust value that changes its owner through a ring. It must be [`Send`]; what it is, only the
/// receiver knows.
pub type Parcel = Box<dyn Any + Send>;

/// Payload bytes of a record that owns something.
pub(super) const OWNED_BYTES: usize = 16;

/// Why a boxed payload could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BoxedPayloadError {
    /// More than a ring may ever carry.
    #[error(
        "a boxed payload of {payload_bytes} bytes is over the limit of {BOXED_LIMIT_BYTES}; send it \
         in parts; nothing was allocated"
    )]
    TooLarge {
        /// The bytes that were asked for.
        payload_bytes: usize,
    },
    /// The allocator had no memory.
    #[error("no memory for a boxed payload of {payload_bytes} bytes; nothing was allocated")]
    OutOfMemory {
        /// The bytes that were asked for.
        payload_bytes: usize,
    },
}

/// An owned buffer for one payload, aligned to [`FRAME_ALIGN`], that can be pushed into a ring
/// without being copied.
///
/// # Examples
///
/// ```
/// use mainspring::frame::Header;
/// use mainspring::ring::{BoxedPayload, ring};
///
/// let (mut producer, mut consumer) = ring(1024)?;
/// let mut large = BoxedPayload::zeroed(100_000)?;
/// large.as_mut_slice()[99_999] = 7;
/// producer.push_boxed(Header::new(100_000, 0, 0, 0, 1, 1), large)?;
/// producer.publish();
///
/// let frame = consumer.next_frame().expect("published");
/// assert_eq!(frame.payload().len(), 100_000);
/// assert_eq!(frame.payload()[99_999], 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BoxedPayload {
    /// Room for a header, then the payload.
    start: NonNull<Header>,
    payload_bytes: usize,
}

// A record's payload holds either of them in place, and is filled by it.
const _: () =
    assert!(size_of::<BoxedPayload>() == OWNED_BYTES && align_of::<BoxedPayload>() <= FRAME_ALIGN);
const _: () = assert!(size_of::<Parcel>() == OWNED_BYTES && align_of::<Parcel>() <= FRAME_ALIGN);
const _: () = assert!(align_of::<Header>() == FRAME_ALIGN);

// SAFETY: plain bytes with one owner; nothing in them belongs to a thread.
unsafe impl Send for BoxedPayload {}
// SAFETY: a shared reference only reads the bytes.
unsafe impl Sync for BoxedPayload {}

impl BoxedPayload {
    /// A payload of `payload_bytes` zeros.
    ///
    /// # Errors
    /// More than [`BOXED_LIMIT_BYTES`], or no memory.
    pub fn zeroed(payload_bytes: usize) -> Result<Self, BoxedPayloadError> {
        if payload_bytes > BOXED_LIMIT_BYTES {
            return Err(BoxedPayloadError::TooLarge { payload_bytes });
        }
        let out_of_memory = BoxedPayloadError::OutOfMemory { payload_bytes };
        let layout = Self::layout(payload_bytes).ok_or(out_of_memory)?;
        // SAFETY: the layout has room for a header at least, so its size is not 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(out_of_memory)?.cast();
        #[cfg(test)]
        tests::count_box(1);
        Ok(BoxedPayload { start, payload_bytes })
    }

    /// Payload bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty payload cannot be sent")]
    pub fn len(&self) -> usize {
        self.payload_bytes
    }

    /// The payload.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the allocation holds a header and then `payload_bytes` bytes, all initialised;
        // `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start.add(1).as_ptr().cast(), self.payload_bytes) }
    }

    /// The payload, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; `self` is borrowed mutably.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(1).as_ptr().cast(), self.payload_bytes)
        }
    }

    /// Writes the header in front of the payload.
    pub(super) fn set_header(&mut self, header: Header) {
        // SAFETY: the allocation begins with room for a header, aligned for it, and `self` is
        // borrowed mutably.
        unsafe { self.start.write(header) }
    }

    fn layout(payload_bytes: usize) -> Option<Layout> {
        Layout::from_size_align(HEADER_BYTES.checked_add(payload_bytes)?, FRAME_ALIGN).ok()
    }
}

impl Drop for BoxedPayload {
    fn drop(&mut self) {
        #[cfg(test)]
        tests::count_box(-1);
        if let Some(layout) = Self::layout(self.payload_bytes) {
            // SAFETY: allocated with this very layout, and freed only here.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) }
        }
    }
}

impl std::fmt::Debug for BoxedPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxedPayload").field("len", &self.payload_bytes).finish()
    }
}

/// What a record owns.
pub(super) enum Owned {
    Boxed(BoxedPayload),
    Parcel(Parcel),
}

impl Owned {
    /// The flag of a record that owns this.
    pub(super) fn flag(&self) -> u8 {
        match self {
            Owned::Boxed(_) => FLAG_BOXED,
            Owned::Parcel(_) => FLAG_PARCEL,
        }
    }

    /// Bytes that count against [`BOXED_LIMIT_BYTES`].
    pub(super) fn boxed_bytes(&self) -> u64 {
        match self {
            Owned::Boxed(payload) => payload.len() as u64,
            Owned::Parcel(_) => 0,
        }
    }

    /// Makes the record at `record` the owner.
    ///
    /// # Safety
    /// `record` is a record of a ring with room for [`OWNED_BYTES`] of payload, and belongs to the
    /// caller.
    pub(super) unsafe fn put(self, record: *mut u64) {
        // SAFETY: the payload is 16 bytes at a multiple of 16: the size of either, as the
        // assertions above say.
        unsafe {
            match self {
                Owned::Boxed(payload) => record.add(2).cast::<BoxedPayload>().write(payload),
                Owned::Parcel(parcel) => record.add(2).cast::<Parcel>().write(parcel),
            }
        }
    }

    /// Takes what the record owns, if it owns anything and it was not taken before.
    ///
    /// # Safety
    /// `record` is a record of a ring whose first word is `word0`, whose payload was written by
    /// [`put`](Self::put) if the flags say so, and which belongs to the caller.
    pub(super) unsafe fn take(record: *mut u64, word0: u64) -> Option<Owned> {
        let flag = flags_of_owner(word0);
        if flag != FLAG_BOXED && flag != FLAG_PARCEL {
            return None;
        }
        // Zeros say "taken": neither owner is ever all zeros, as both hold a pointer that is not
        // null.
        // SAFETY: the flags say that `put` has written an owner here, of the kind that they name;
        // it is moved out at most once, because zeros take its place. All 16 bytes stay
        // initialised.
        unsafe {
            let words = record.add(2).cast::<[u64; 2]>();
            if *words == [0, 0] {
                return None;
            }
            let owned = if flag == FLAG_BOXED {
                Owned::Boxed(words.cast::<BoxedPayload>().read())
            } else {
                Owned::Parcel(words.cast::<Parcel>().read())
            };
            words.write([0, 0]);
            Some(owned)
        }
    }

    /// Frees it. A destructor that panics is contained, so that a ring can always be cleared to its
    /// end: the panic was reported by the panic hook, and has nobody else to go to.
    pub(super) fn discard(self) {
        let freed = catch_unwind(AssertUnwindSafe(|| drop(self)));
        // What was panicked with may have such a destructor too, so it is left alone.
        std::mem::forget(freed);
    }
}

/// Where the boxed payload that this record owns has its header and payload.
///
/// # Safety
/// `record` is a record of a ring with [`FLAG_BOXED`], not taken yet.
pub(super) unsafe fn boxed_start(record: *const u64) -> *const u64 {
    // SAFETY: the flag says that `put` has written a boxed payload here.
    unsafe { (*record.add(2).cast::<BoxedPayload>()).start.as_ptr().cast() }
}

/// The ring's own two flags of a first word.
#[inline]
pub(super) fn flags_of_owner(word0: u64) -> u8 {
    (word0 >> 56) as u8 & (FLAG_BOXED | FLAG_PARCEL)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static LIVE_BOXES: Cell<isize> = const { Cell::new(0) };
    }

    /// Boxed payloads alive that this thread has made, minus those that it has freed.
    pub(in crate::ring) fn live_boxes() -> isize {
        LIVE_BOXES.get()
    }

    pub(super) fn count_box(change: isize) {
        LIVE_BOXES.set(LIVE_BOXES.get() + change);
    }

    #[test]
    fn a_boxed_payload_is_zeroed_aligned_and_freed() {
        let before = live_boxes();
        let mut payload = BoxedPayload::zeroed(100).unwrap();
        assert_eq!(payload.as_slice(), [0; 100]);
        assert_eq!(payload.as_slice().as_ptr().align_offset(FRAME_ALIGN), 0);
        payload.as_mut_slice().fill(7);
        payload.set_header(Header::new(1, 2, 3, 4, 5, 6));
        assert_eq!(payload.as_slice(), [7; 100], "the header lies in front of the payload");
        assert_eq!(live_boxes(), before + 1);
        drop(payload);
        assert_eq!(live_boxes(), before);
    }

    #[test]
    fn a_boxed_payload_over_the_limit_is_refused() {
        for payload_bytes in [BOXED_LIMIT_BYTES + 1, usize::MAX] {
            let refusal = BoxedPayload::zeroed(payload_bytes).unwrap_err();
            assert_eq!(refusal, BoxedPayloadError::TooLarge { payload_bytes });
        }
    }
}
