//! Memory that the kernel writes to while we read other parts of it.
//!
//! Invariant: no reference to the whole ever exists, only views of bytes that the kernel is done with.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};

/// Zeroed bytes, aligned as asked.
pub(super) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

/// Bytes that do not change while somebody looks at them.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub start: *const u8,
    pub bytes: usize,
}

impl Memory {
    /// Ends the process, as every collection does, if there is no memory. `align` is a power of two.
    pub(super) fn zeroed(bytes: usize, align: usize) -> Memory {
        let Ok(layout) = Layout::from_size_align(bytes.max(1), align) else {
            handle_alloc_error(Layout::new::<u8>())
        };
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Memory { start, layout }
    }

    pub(super) fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// The address of a byte, or of the end.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.bytes());
        // SAFETY: the callers stay within the allocation, or at its end.
        unsafe { self.start.as_ptr().add(offset.min(self.bytes())) }
    }

    pub(super) fn view(&self, offset: usize, bytes: usize) -> View {
        let end = self.bytes();
        let offset = offset.min(end);
        View { start: self.at(offset), bytes: bytes.min(end - offset) }
    }

    /// Copies bytes of this memory to its `offset`, or bytes of anywhere else. None of it is in the kernel's hands.
    pub(super) fn copy_in(&mut self, offset: usize, from: View) {
        let bytes = from.bytes.min(self.bytes().saturating_sub(offset));
        // SAFETY: the view's bytes are readable, the target lies within the allocation, and both may overlap.
        unsafe { ptr::copy(from.start, self.at(offset), bytes) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl View {
    pub(super) fn of(bytes: &[u8]) -> View {
        View { start: bytes.as_ptr(), bytes: bytes.len() }
    }

    /// # Safety
    /// What the view is of must neither be freed nor moved nor written while the slice lives.
    pub(super) unsafe fn as_slice<'a>(self) -> &'a [u8] {
        // SAFETY: views are made of initialised bytes within one allocation; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    pub(super) fn to_vec(self) -> Vec<u8> {
        // SAFETY: the slice ends with this call, which changes nothing.
        unsafe { self.as_slice() }.to_vec()
    }
}
