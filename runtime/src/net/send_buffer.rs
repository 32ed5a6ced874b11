//! Bytes on their way out.

use std::fmt;

use rkyv::util::AlignedVec;

use super::STREAM_ALIGN;

/// Bytes that are to be sent: growable memory whose start is aligned to [`STREAM_ALIGN`], of which all from
/// [`start`](Self::start) on are sent. It comes back with its memory, to be filled again.
#[derive(Default)]
pub struct SendBuffer {
    bytes: AlignedVec<STREAM_ALIGN>,
    start: usize,
}

impl SendBuffer {
    /// Nothing to send, and room for so many bytes.
    pub fn with_capacity(bytes: usize) -> SendBuffer {
        SendBuffer::from(AlignedVec::with_capacity(bytes))
    }

    /// Sends only what is behind the first `start` bytes; beyond the end, nothing.
    pub fn starting_at(mut self, start: usize) -> SendBuffer {
        self.start = start.min(self.bytes.len());
        self
    }

    /// How many bytes at the front are not sent.
    pub fn start(&self) -> usize {
        self.start
    }

    /// What is sent.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many bytes are sent.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory with all its bytes, those before [`start`](Self::start) included.
    pub fn into_bytes(self) -> AlignedVec<STREAM_ALIGN> {
        self.bytes
    }
}

impl From<AlignedVec<STREAM_ALIGN>> for SendBuffer {
    /// All of these bytes are sent.
    fn from(bytes: AlignedVec<STREAM_ALIGN>) -> SendBuffer {
        SendBuffer { bytes, start: 0 }
    }
}

impl From<&[u8]> for SendBuffer {
    /// A copy of these bytes is sent.
    fn from(bytes: &[u8]) -> SendBuffer {
        let mut copy = AlignedVec::with_capacity(bytes.len());
        copy.extend_from_slice(bytes);
        SendBuffer::from(copy)
    }
}

// Not the bytes: there may be a million of them.
impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuffer")
            .field("buffer_bytes", &self.bytes.len())
            .field("start", &self.start)
            .finish()
    }
}
