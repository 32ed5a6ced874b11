//! What a message is serialised with: one type for messages that may go to any node, another for those that stay
//! here.
//!
//! The type is the capability: a [`Local`](super::local::Local) can be serialised with the second only, so a message
//! that holds one can never be written for another node. Both write into memory that somebody else owns, without
//! growing.
//!
//! Invariants: nothing is written behind the room; what is written is not moved; gaps are zero.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rkyv::rancor::Fallible;
use rkyv::ser::{Allocator, Positional, Writer};
use rkyv::{Archive, Place};

use super::FRAME_ALIGN;
use super::archive::{LocalRefusal, Overflow};
use super::local::{self, LOCALS_PER_MESSAGE_LIMIT};
use super::scratch::Scratch;

/// Serialises a [`Message`](crate::message::Message).
pub struct WireSerializer<'a> {
    pub(super) room: Room<'a>,
    scratch: Scratch<'a>,
}

/// Serialises a [`LocalMessage`](crate::message::LocalMessage), and collects the handles of its `Local` payloads.
pub struct LocalSerializer<'a> {
    pub(super) room: Room<'a>,
    scratch: Scratch<'a>,
    handles: Vec<u64>,
}

impl<'a> WireSerializer<'a> {
    #[inline(always)]
    pub(super) fn new(room: Room<'a>, scratch: Scratch<'a>) -> Self {
        WireSerializer { room, scratch }
    }
}

impl<'a> LocalSerializer<'a> {
    #[inline(always)]
    pub(super) fn new(room: Room<'a>, scratch: Scratch<'a>) -> Self {
        LocalSerializer { room, scratch, handles: Vec::new() }
    }

    /// The handles that the frame will own.
    #[inline(always)]
    pub(super) fn handles(&self) -> &[u64] {
        &self.handles
    }

    /// Notes that the frame will own `handle`.
    pub(super) fn carry(&mut self, handle: u64) -> Result<(), LocalRefusal> {
        if self.handles.len() == LOCALS_PER_MESSAGE_LIMIT {
            return Err(LocalRefusal::TooManyLocals);
        }
        self.handles.push(handle);
        Ok(())
    }

    /// Writes the handles, if there are any, behind the data out of line, and where they are into the prefix.
    pub(super) fn write_handles(&mut self) -> Result<(), Overflow> {
        if self.handles.is_empty() {
            return Ok(());
        }
        self.room.align(align_of::<u64>())?;
        let offset = self.room.written;
        for handle in &self.handles {
            self.room.write(&handle.to_le_bytes())?;
        }
        self.room.overwrite_start(&local::prefix(offset, self.handles.len()));
        Ok(())
    }
}

macro_rules! serializer {
    ($name:ident, $error:ty) => {
        impl Fallible for $name<'_> {
            type Error = $error;
        }

        impl Positional for $name<'_> {
            #[inline(always)]
            fn pos(&self) -> usize {
                self.room.written
            }
        }

        impl Writer<$error> for $name<'_> {
            #[inline(always)]
            fn write(&mut self, bytes: &[u8]) -> Result<(), $error> {
                self.room.write(bytes).map_err(Into::into)
            }
        }

        // SAFETY: the scratch memory hands out memory that fits the layout and that nobody else has.
        unsafe impl Allocator<$error> for $name<'_> {
            #[inline]
            unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, $error> {
                // SAFETY: the caller's promise is the same.
                unsafe { self.scratch.push(layout) }.ok_or(Overflow.into())
            }

            #[inline]
            unsafe fn pop_alloc(
                &mut self,
                memory: NonNull<u8>,
                layout: Layout,
            ) -> Result<(), $error> {
                // SAFETY: the caller's promise is the same.
                unsafe { self.scratch.pop(memory, layout) };
                Ok(())
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("room", &self.room).finish_non_exhaustive()
            }
        }
    };
}

serializer!(WireSerializer, Overflow);
serializer!(LocalSerializer, LocalRefusal);

/// The place a payload is written to: a start, a length, and how much is written.
///
/// Invariant: `start` is a multiple of [`FRAME_ALIGN`], `room_bytes` bytes behind it are ours for `'a`, and
/// `written <= room_bytes`.
#[derive(Debug)]
pub(super) struct Room<'a> {
    start: *mut u8,
    room_bytes: usize,
    written: usize,
    borrowed: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

impl Room<'_> {
    /// # Safety
    ///
    /// As for [`write_at`](super::archive::write_at).
    #[inline(always)]
    pub(super) unsafe fn new(start: *mut u8, room_bytes: usize) -> Self {
        Room { start, room_bytes, written: 0, borrowed: PhantomData }
    }

    /// Copies `bytes` behind what is written.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        if bytes.len() > self.room_bytes - self.written {
            return Err(Overflow);
        }
        // SAFETY: `written + bytes.len() <= room_bytes`, so the target is ours; a borrowed slice cannot lie in it.
        unsafe {
            let target = self.start.add(self.written);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
        self.written += bytes.len();
        Ok(())
    }

    /// Writes zeros up to a multiple of `align`.
    #[inline(always)]
    fn align(&mut self, align: usize) -> Result<(), Overflow> {
        let aligned = self.written.next_multiple_of(align);
        if aligned > self.room_bytes {
            return Err(Overflow);
        }
        self.zero_up(self.written, align);
        self.written = aligned;
        Ok(())
    }

    /// Sets the bytes from `from` up to the next multiple of `align` to zero, but none behind the room.
    ///
    /// One store for each bit, not a call for a length that is known only at run time: that would cost more than the
    /// message.
    #[inline(always)]
    fn zero_up(&mut self, from: usize, align: usize) {
        const { assert!(FRAME_ALIGN == 16, "the stores below reach a multiple of 16") };
        let end = from.next_multiple_of(align);
        if end > self.room_bytes {
            let rest = self.room_bytes.saturating_sub(from);
            // SAFETY: `from + rest <= room_bytes`, or `rest` is 0 and nothing is written.
            unsafe { self.start.wrapping_add(from).write_bytes(0, rest) };
            return;
        }
        let mut at = from;
        for step in [1, 2, 4, 8] {
            if step < align && at & step != 0 {
                // SAFETY: `at + step <= end <= room_bytes`.
                unsafe { self.start.add(at).write_bytes(0, step) };
                at += step;
            }
        }
    }

    /// Replaces the first bytes of what is written already.
    fn overwrite_start(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.written);
        let length = bytes.len().min(self.written);
        // SAFETY: `length <= written <= room_bytes`, and a borrowed slice cannot lie in the room.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, length) };
    }

    /// Resolves the root in place behind what is written, and returns the payload length.
    #[inline(always)]
    pub(super) fn write_root<M: Archive>(
        &mut self,
        value: &M,
        resolver: M::Resolver,
    ) -> Result<usize, Overflow> {
        const { assert!(align_of::<M::Archived>() <= FRAME_ALIGN) };
        let root_bytes = size_of::<M::Archived>();
        if root_bytes == 0 && self.written == 0 {
            // The payload of an empty archive is one zero byte: a frame's length is never 0.
            self.write(&[0])?;
        }
        self.align(align_of::<M::Archived>())?;
        if root_bytes > self.room_bytes - self.written {
            return Err(Overflow);
        }
        let position = self.written;
        let payload_bytes = position + root_bytes;
        self.zero_up(payload_bytes, FRAME_ALIGN);
        // SAFETY: the root's bytes lie in the room; the start is aligned for it, and so is the position.
        let out = unsafe {
            let root = self.start.add(position).cast::<M::Archived>();
            root.write_bytes(0, 1);
            Place::new_unchecked(position, root)
        };
        value.resolve(resolver, out);
        self.written = payload_bytes;
        Ok(payload_bytes)
    }
}
