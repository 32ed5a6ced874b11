//! The bytes of a ring, and the few ways to touch them.
//!
//! Positions count bytes since the ring was made and never wrap in practice (2^64 bytes); the place
//! of a position is its low bits. Records start at multiples of [`FRAME_ALIGN`] and never cross the
//! end, so a record's header and payload always lie in one piece.
//!
//! Two kinds of access exist, and no byte sees both at once: the first word of the record at which
//! the consumer waits is shared and atomic; everything else belongs to one side alone. It belongs
//! to the producer until the release store that publishes it, then to the consumer until the
//! release store that gives its space back. Under loom each 16 bytes have a tracked cell beside
//! them, and loom reports every access that breaks this rule.

use super::CapacityError;
use super::sync::{AtomicU64, Ordering};
use crate::frame::FRAME_ALIGN;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Bytes of a page, as far as alignment and first touch are concerned.
pub(super) const PAGE_BYTES: usize = 4096;

/// A ring smaller than a page is aligned to this, so that it shares no cache line with anything
/// else.
const LINE_BYTES: usize = 128;

/// Owns the bytes of a ring; zero when made.
pub(super) struct Memory {
    allocation: NonNull<u8>,
    layout: Layout,
    region: Region,
    /// Kept for the region, which points to it.
    #[cfg(loom)]
    _shadow: Box<Shadow>,
}

// SAFETY: `Memory` itself only hands out the region and frees it at the end; all access goes
// through `Region`, whose unsafe methods demand that no two threads touch the same bytes.
unsafe impl Send for Memory {}
// SAFETY: as above: a shared `Memory` gives away nothing but a copy of the region.
unsafe impl Sync for Memory {}

impl Memory {
    /// Zeroed memory. `capacity_bytes` is a power of two and a multiple of [`FRAME_ALIGN`].
    pub(super) fn zeroed(capacity_bytes: usize) -> Result<Self, CapacityError> {
        let out_of_memory = CapacityError::OutOfMemory { capacity_bytes };
        let align = if capacity_bytes >= PAGE_BYTES { PAGE_BYTES } else { LINE_BYTES };
        // The allocator is asked for more instead of for the alignment: asked for alignment it
        // would write the zeros itself and so place every page on this thread's memory node, asked
        // like this it gets fresh pages as they are.
        let layout = Layout::from_size_align(capacity_bytes + align - FRAME_ALIGN, FRAME_ALIGN)
            .map_err(|_| out_of_memory)?;
        // SAFETY: the layout's size is at least the capacity, which is not 0.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(out_of_memory)?;
        let skip = allocation.align_offset(align);
        // SAFETY: the allocation is 16-aligned, so `skip` is at most the `align - 16` bytes that
        // were asked for on top.
        let base = unsafe { allocation.add(skip) };
        #[cfg(loom)]
        let shadow = Shadow::new(capacity_bytes);
        let region = Region {
            base,
            mask: capacity_bytes - 1,
            #[cfg(loom)]
            shadow: NonNull::from(&*shadow),
        };
        Ok(Memory {
            allocation,
            layout,
            region,
            #[cfg(loom)]
            _shadow: shadow,
        })
    }

    pub(super) fn region(&self) -> Region {
        self.region
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout and freed only here.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

/// A view of a ring's bytes, kept by each side so that a message costs no detour through shared
/// structures.
///
/// All its methods demand that the `Memory` it came from still lives, and that `position` is a
/// multiple of [`FRAME_ALIGN`].
#[derive(Clone, Copy)]
pub(super) struct Region {
    base: NonNull<u8>,
    mask: usize,
    #[cfg(loom)]
    shadow: NonNull<Shadow>,
}

impl Region {
    #[inline]
    pub(super) fn capacity_bytes(self) -> usize {
        self.mask + 1
    }

    /// Bytes from `position` to the end of the lap it lies in: 1 lap if it lies at a start.
    #[inline]
    pub(super) fn bytes_to_end(self, position: u64) -> usize {
        self.capacity_bytes() - (position as usize & self.mask)
    }

    /// Address of the record at `position`. Calculating it is harmless; the methods below say when
    /// it may be used.
    #[inline]
    pub(super) fn address(self, position: u64) -> *mut u64 {
        self.base.as_ptr().wrapping_add(position as usize & self.mask).cast()
    }

    /// Reads a record's first word; if it is not 0, everything that the producer wrote before
    /// publishing it is visible.
    ///
    /// # Safety
    /// The memory lives, and `position` is a multiple of 16 to which nobody writes without atomics
    /// now.
    #[inline]
    pub(super) unsafe fn load_word0(self, position: u64) -> u64 {
        // SAFETY: passed on to the caller.
        unsafe { self.word0(position) }.load(Ordering::Acquire)
    }

    /// Writes a record's first word.
    ///
    /// # Safety
    /// The memory lives, and `position` is a multiple of 16 that belongs to the producer, who calls
    /// this.
    #[inline]
    pub(super) unsafe fn store_word0(self, position: u64, word0: u64, ordering: Ordering) {
        // SAFETY: passed on to the caller.
        unsafe { self.word0(position) }.store(word0, ordering);
    }

    /// Writes a record's second word.
    ///
    /// # Safety
    /// As for [`store_word0`](Self::store_word0).
    #[inline]
    pub(super) unsafe fn write_word1(self, position: u64, word1: u64) {
        // SAFETY: the caller owns these bytes; a record's first 16 bytes lie within the ring.
        unsafe { self.address(position).add(1).write(word1) }
    }

    /// The first word of a record as an atomic.
    ///
    /// # Safety
    /// The memory lives, and `position` is a multiple of 16 that nobody touches without atomics
    /// now.
    #[inline]
    #[cfg(not(loom))]
    unsafe fn word0<'a>(self, position: u64) -> &'a AtomicU64 {
        // SAFETY: 16-aligned, inside the ring, initialised, and only touched by atomics as the
        // caller says.
        unsafe { AtomicU64::from_ptr(self.address(position)) }
    }

    /// Tells loom that one side writes these bytes now.
    #[inline]
    #[cfg(not(loom))]
    pub(super) fn note_write(self, _position: u64, _bytes: usize) {}

    /// Tells loom that one side reads these bytes now.
    #[inline]
    #[cfg(not(loom))]
    pub(super) fn note_read(self, _position: u64, _bytes: usize) {}
}

/// What loom sees of the memory: an atomic for the first word of each 16 bytes, a tracked cell for
/// the rest.
#[cfg(loom)]
struct Shadow {
    words: Vec<AtomicU64>,
    cells: Vec<loom::cell::UnsafeCell<()>>,
}

#[cfg(loom)]
impl Shadow {
    fn new(capacity_bytes: usize) -> Box<Self> {
        let granules = capacity_bytes / FRAME_ALIGN;
        Box::new(Shadow {
            words: (0..granules).map(|_| AtomicU64::new(0)).collect(),
            cells: (0..granules).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        })
    }
}

#[cfg(loom)]
impl Region {
    /// # Safety
    /// The memory lives.
    unsafe fn word0<'a>(self, position: u64) -> &'a AtomicU64 {
        // SAFETY: the shadow lives in a box as long as the memory.
        &unsafe { self.shadow.as_ref() }.words[self.granule(position)]
    }

    pub(super) fn note_write(self, position: u64, bytes: usize) {
        self.cells(position, bytes).for_each(|cell| cell.with_mut(|_| ()));
    }

    pub(super) fn note_read(self, position: u64, bytes: usize) {
        self.cells(position, bytes).for_each(|cell| cell.with(|_| ()));
    }

    fn cells<'a>(
        self,
        position: u64,
        bytes: usize,
    ) -> impl Iterator<Item = &'a loom::cell::UnsafeCell<()>> {
        // SAFETY: both sides of the ring keep the memory alive while they hold the region.
        let cells = &unsafe { self.shadow.as_ref() }.cells;
        (0..bytes / FRAME_ALIGN)
            .map(move |n| &cells[self.granule(position + (n * FRAME_ALIGN) as u64)])
    }

    fn granule(self, position: u64) -> usize {
        (position as usize & self.mask) / FRAME_ALIGN
    }
}
