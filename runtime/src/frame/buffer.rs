//! Owned bytes that start at a multiple of [`FRAME_ALIGN`], for payloads outside rings and chunks.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

use super::FRAME_ALIGN;

/// Owned bytes, aligned for a payload.
///
/// Invariant: `start` points to `stride` initialised bytes that this value owns; `length <= stride`; `stride` is not
/// 0.
pub struct AlignedBuffer {
    start: NonNull<u8>,
    length: usize,
    stride: usize,
}

// SAFETY: the buffer owns its bytes and has no interior mutability.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// `length` zero bytes. Ends the process, as every collection does, if there is no memory.
    pub fn zeroed(length: usize) -> Self {
        let stride = stride_of(length);
        let layout = layout(stride);
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        AlignedBuffer { start, length, stride }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `length` initialised bytes are ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// The bytes, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `length` initialised bytes are ours, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// Forgets the bytes from `length` on. Does nothing if there are no more than that. Frees no memory.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// The same bytes in no more memory than they need.
    pub fn fitted(self) -> Self {
        if self.stride == stride_of(self.length) {
            return self;
        }
        let mut fitted = AlignedBuffer::zeroed(self.length);
        fitted.as_mut_slice().copy_from_slice(self.as_slice());
        fitted
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), layout(self.stride)) };
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Bytes of memory for so many bytes.
fn stride_of(length: usize) -> usize {
    length.max(1).next_multiple_of(FRAME_ALIGN)
}

fn layout(stride: usize) -> Layout {
    match Layout::from_size_align(stride, FRAME_ALIGN) {
        Ok(layout) => layout,
        Err(_) => handle_alloc_error(Layout::new::<u8>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_buffer_has_the_same_bytes_and_no_memory_to_spare() {
        let mut buffer = AlignedBuffer::zeroed(1_000);
        buffer.as_mut_slice()[..3].copy_from_slice(&[1, 2, 3]);
        buffer.truncate(3);
        let fitted = buffer.fitted();
        assert_eq!((fitted.as_slice(), fitted.stride), (&[1, 2, 3][..], FRAME_ALIGN));
    }
}
