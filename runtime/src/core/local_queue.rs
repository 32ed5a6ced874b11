//! The local queue: frames from a core to itself.
//!
//! A list of 16 KiB chunks with a write pointer that runs ahead of the published mark: what a turn sends becomes
//! visible when the turn ends, or never. The limit is a number of chunks, tested when one is taken, so no account
//! is kept per frame. Chunks are reused; after warm-up the queue allocates nothing.
//!
//! Invariants: `read <= published <= write` in queue order; every frame between them has a header word that is not
//! 0; a chunk that is left ends with a zero word; a frame's bytes stay as they are until the next call of `next`.

use std::collections::VecDeque;
use std::ptr::NonNull;

use crate::frame::{HEADER_BYTES, Header, stride};

/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// The largest payload that is stored in a chunk; larger ones travel boxed.
pub(crate) const LARGEST_PAYLOAD_BYTES: usize = CHUNK_BYTES / 4;

#[repr(C, align(64))]
struct Chunk([u8; CHUNK_BYTES]);

/// A frame that lies somewhere in memory of this core: header words, payload address and length.
#[derive(Clone, Copy)]
pub(crate) struct RawFrame {
    pub header: Header,
    pub payload: *const u8,
}

/// Why a frame was not taken. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushError {
    /// All chunks are in use.
    Full,
    /// The payload did not fit the room that was asked for.
    Overflow,
}

/// See the module's header.
pub(crate) struct LocalQueue {
    read: *const u64,
    published: *mut u8,
    write: *mut u8,
    /// Payload and header bytes left in the writing chunk, with room for the end mark already taken off.
    left: usize,
    published_left: usize,
    published_chunks: usize,
    chunks: VecDeque<NonNull<Chunk>>,
    spare: Vec<NonNull<Chunk>>,
    limit_chunks: usize,
}

impl LocalQueue {
    pub fn new(limit_chunks: usize) -> Self {
        let limit_chunks = limit_chunks.max(2);
        let first = new_chunk();
        let start = first.as_ptr().cast::<u8>();
        LocalQueue {
            read: start.cast(),
            published: start,
            write: start,
            left: CHUNK_BYTES - HEADER_BYTES,
            published_left: CHUNK_BYTES - HEADER_BYTES,
            published_chunks: 1,
            chunks: VecDeque::from([first]),
            spare: Vec::new(),
            limit_chunks,
        }
    }

    /// Whether nothing published is left to read.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        std::ptr::eq(self.read.cast(), self.published.cast_const())
    }

    /// Writes a frame: `fill` gets at least `room_bytes` of zeroed-or-old bytes, aligned to 16, and says how many it
    /// used. The frame becomes readable with the next [`LocalQueue::publish`].
    #[inline(always)]
    pub fn push_with<E>(
        &mut self,
        upper: u64,
        word1: u64,
        room_bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), PushError> {
        if self.left < stride(room_bytes) {
            self.next_writing_chunk(room_bytes)?;
        }
        // SAFETY: `left` bytes behind `write` belong to the writing chunk, are initialised, and no frame lies there.
        let room = unsafe {
            std::slice::from_raw_parts_mut(self.write.add(HEADER_BYTES), self.left - HEADER_BYTES)
        };
        let Ok(len) = fill(room) else { return Err(PushError::Overflow) };
        let bytes = stride(len);
        debug_assert!(len > 0 && bytes <= self.left);
        let frame = self.write.cast::<u64>();
        // SAFETY: the header's 16 bytes lie before the room that was filled, aligned to 16.
        unsafe {
            frame.write(len as u64 | upper);
            frame.add(1).write(word1);
        }
        // SAFETY: `bytes <= left`, and 16 bytes for the end mark lie behind the last frame of a chunk.
        self.write = unsafe { self.write.add(bytes) };
        self.left -= bytes;
        Ok(())
    }

    /// Makes everything written so far readable.
    #[inline(always)]
    pub fn publish(&mut self) {
        self.published = self.write;
        self.published_left = self.left;
        self.published_chunks = self.chunks.len();
    }

    /// Drops everything written since the last [`LocalQueue::publish`].
    #[cold]
    pub fn rollback(&mut self) {
        while self.chunks.len() > self.published_chunks {
            if let Some(chunk) = self.chunks.pop_back() {
                self.spare.push(chunk);
            }
        }
        self.write = self.published;
        self.left = self.published_left;
    }

    /// The frames written since the last publish, in order.
    pub fn unpublished(&self) -> Vec<RawFrame> {
        let mut frames = Vec::new();
        let mut at = self.published.cast_const().cast::<u64>();
        let mut chunk = self.published_chunks;
        while !std::ptr::eq(at.cast(), self.write.cast_const()) {
            // SAFETY: `at` lies between the published mark and the write pointer, where whole headers stand, or on
            // the end mark of a chunk that was left.
            let header = unsafe { at.cast::<Header>().read() };
            if header.is_empty() {
                let Some(next) = self.chunks.get(chunk) else { break };
                at = next.as_ptr().cast::<u64>().cast_const();
                chunk += 1;
                continue;
            }
            // SAFETY: the payload follows its header, and the next frame or mark follows the payload.
            unsafe {
                frames.push(RawFrame { header, payload: at.add(2).cast() });
                at = at.cast::<u8>().add(header.stride()).cast();
            }
        }
        frames
    }

    /// The next published frame. Its bytes stay valid until the next call.
    #[inline(always)]
    pub fn next(&mut self) -> Option<RawFrame> {
        loop {
            if self.is_empty() {
                return None;
            }
            let at = self.read;
            // SAFETY: `read` stands before the published mark, so on a header or on the end mark of a left chunk.
            let header = unsafe { Header { word0: at.read(), word1: at.add(1).read() } };
            if header.word0 != 0 {
                // SAFETY: payload and next frame follow the header inside the chunk.
                unsafe {
                    self.read = at.cast::<u8>().add(header.stride()).cast();
                    return Some(RawFrame { header, payload: at.add(2).cast() });
                }
            }
            self.next_reading_chunk();
        }
    }

    /// Address of up to `count` slots' words ahead of the reader in the current chunk, for prefetching.
    #[inline]
    pub fn peek_slots(&self, out: &mut [u32]) -> usize {
        let mut at = self.read;
        let mut found = 0;
        while found < out.len() && !std::ptr::eq(at.cast(), self.published.cast_const()) {
            // SAFETY: as in `next`.
            let header = unsafe { Header { word0: at.read(), word1: at.add(1).read() } };
            if header.word0 == 0 {
                break;
            }
            out[found] = header.slot();
            found += 1;
            // SAFETY: as in `next`.
            at = unsafe { at.cast::<u8>().add(header.stride()).cast() };
        }
        found
    }

    #[cold]
    #[inline(never)]
    fn next_reading_chunk(&mut self) {
        if let Some(done) = self.chunks.pop_front() {
            self.spare.push(done);
            self.published_chunks -= 1;
        }
        if let Some(chunk) = self.chunks.front() {
            self.read = chunk.as_ptr().cast::<u64>().cast_const();
        }
    }

    #[cold]
    #[inline(never)]
    fn next_writing_chunk(&mut self, room_bytes: usize) -> Result<(), PushError> {
        if stride(room_bytes) > CHUNK_BYTES - HEADER_BYTES {
            return Err(PushError::Overflow);
        }
        if self.chunks.len() >= self.limit_chunks {
            return Err(PushError::Full);
        }
        let chunk = self.spare.pop().unwrap_or_else(new_chunk);
        // SAFETY: 16 bytes for the end mark are kept behind the last frame of every chunk.
        unsafe { self.write.cast::<u64>().write(0) };
        self.chunks.push_back(chunk);
        self.write = chunk.as_ptr().cast();
        self.left = CHUNK_BYTES - HEADER_BYTES;
        Ok(())
    }
}

impl Drop for LocalQueue {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..).chain(self.spare.drain(..)) {
            // SAFETY: every chunk came from `new_chunk` and is dropped once.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

fn new_chunk() -> NonNull<Chunk> {
    NonNull::from(Box::leak(Box::new(Chunk([0; CHUNK_BYTES]))))
}

#[cfg(test)]
#[path = "local_queue_tests.rs"]
mod tests;
