//! What a socket has received and nobody has taken, in one of two kinds of memory.
//!
//! A socket begins with plain memory, of which it has none until it is to receive. When it turns out to be used, and
//! the kernel can, it gets buffers that the kernel fills while one receive stays armed.

use std::io;

use rkyv::util::AlignedVec;

use super::incremental::{Fault, Incremental, Shape};
use super::memory::View;
use super::plain::Plain;
use crate::driver::uring::Uring;
use crate::net::STREAM_ALIGN;

pub(super) enum Receive {
    Plain(Plain),
    Incremental(Incremental),
}

impl Receive {
    pub(super) fn held(&self) -> usize {
        match self {
            Receive::Plain(plain) => plain.held(),
            Receive::Incremental(incremental) => incremental.held(),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Receive::Plain(plain) => plain.memory_bytes(),
            Receive::Incremental(incremental) => incremental.memory_bytes(),
        }
    }

    /// At least `needed` of the held bytes, or all, and how many were copied for that.
    pub(super) fn view(
        &self,
        needed: usize,
        scratch: &mut AlignedVec<STREAM_ALIGN>,
    ) -> (View, usize) {
        match self {
            Receive::Plain(plain) => (plain.view(), 0),
            Receive::Incremental(incremental) => incremental.view(needed, scratch),
        }
    }

    pub(super) fn take(&mut self, bytes: usize) {
        match self {
            Receive::Plain(plain) => plain.take(bytes),
            Receive::Incremental(incremental) => incremental.take(bytes),
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        match self {
            Receive::Plain(plain) => plain.view().to_vec(),
            Receive::Incremental(incremental) => incremental.to_vec(),
        }
    }

    /// A receive has brought so many bytes.
    pub(super) fn filled(&mut self, bytes: usize, flags: u32) -> Result<(), Fault> {
        match self {
            Receive::Plain(plain) => {
                plain.filled(bytes).then_some(()).ok_or("more bytes than there was room for")
            }
            Receive::Incremental(incremental) => incremental.received(bytes, flags),
        }
    }

    /// A receive has ended without bytes.
    pub(super) fn unused(&mut self) {
        if let Receive::Plain(plain) = self {
            plain.unused();
        }
    }

    /// Goes over to buffers that the kernel fills. Nothing is armed. How many bytes were copied.
    pub(super) fn become_incremental(
        &mut self,
        ring: &Uring,
        group: u16,
        shape: Shape,
        position: u64,
    ) -> io::Result<usize> {
        let Receive::Plain(plain) = self else { return Ok(0) };
        let moved_bytes = plain.held();
        let made = Incremental::register(ring, group, shape, position, plain.view())?;
        *self = Receive::Incremental(made);
        Ok(moved_bytes)
    }

    /// The end: nothing is in flight.
    pub(super) fn retire(self, ring: &Uring) {
        if let Receive::Incremental(incremental) = self {
            incremental.retire(ring);
        }
    }
}
