//! Scratch memory for serialising collections whose elements have data of their own.
//!
//! Small requests are served from bytes on the writer's stack, larger ones from the heap. Messages without such
//! collections ask for nothing and pay nothing.
//!
//! Invariant: requests end in the reverse order of their beginning, as the trait demands; so the inner bytes are a
//! stack.

use std::alloc::{Layout, alloc, dealloc};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Bytes that a serializer has without asking the heap.
const INNER_BYTES: usize = 256;

/// The bytes on the writer's stack. They lie outside the serializer, since it is borrowed anew while they are in use.
#[repr(align(16))]
pub(super) struct Inner(MaybeUninit<[u8; INNER_BYTES]>);

impl Inner {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Inner(MaybeUninit::uninit())
    }
}

/// A stack of small requests, with the heap behind it.
pub(super) struct Scratch<'a> {
    start: *mut u8,
    used: usize,
    borrowed: PhantomData<&'a mut Inner>,
}

impl<'a> Scratch<'a> {
    #[inline(always)]
    pub(super) fn new(inner: &'a mut Inner) -> Self {
        Scratch { start: inner.0.as_mut_ptr().cast(), used: 0, borrowed: PhantomData }
    }

    /// Memory for `layout`, or `None` if the heap has none.
    ///
    /// # Safety
    ///
    /// `layout` must not be empty.
    #[inline]
    pub(super) unsafe fn push(&mut self, layout: Layout) -> Option<NonNull<[u8]>> {
        let start = self.used.next_multiple_of(layout.align());
        let fits = layout.align() <= align_of::<Inner>()
            && start.checked_add(layout.size()).is_some_and(|end| end <= INNER_BYTES);
        let memory = if fits {
            self.used = start + layout.size();
            // SAFETY: `start + size <= INNER_BYTES`.
            unsafe { self.start.add(start) }
        } else {
            // SAFETY: the caller promises that the layout is not empty.
            unsafe { alloc(layout) }
        };
        Some(NonNull::slice_from_raw_parts(NonNull::new(memory)?, layout.size()))
    }

    /// Gives memory back.
    ///
    /// # Safety
    ///
    /// `memory` must be the youngest live result of [`push`](Self::push), for the same `layout`.
    #[inline]
    pub(super) unsafe fn pop(&mut self, memory: NonNull<u8>, layout: Layout) {
        match memory.addr().get().checked_sub(self.start.addr()) {
            Some(offset) if offset < INNER_BYTES => self.used = offset,
            // SAFETY: it does not lie in the inner bytes, so `alloc` returned it for this layout.
            _ => unsafe { dealloc(memory.as_ptr(), layout) },
        }
    }
}
