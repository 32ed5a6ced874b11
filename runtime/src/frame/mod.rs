//! The frame: 16 bytes before every payload, the same in a ring, in the local queue, in a stash and on the wire.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–3 | `len` | exact payload bytes; an empty archive is sent as one zero byte, so `len` is never 0 |
//! | 4–5 | `port` | which protocol of the receiver; 0 is the actor's own message type |
//! | 6 | `kind` | what the frame is; 0 is a user's message |
//! | 7 | `flags` | what else to know before reading it |
//! | 8–11 | `slot` | where the receiver lives on its core |
//! | 12–15 | `generation` | which life of that slot is meant |
//!
//! Invariants: a frame starts at a multiple of 16 and its payload follows at once, so an archive is read where it
//! lies. A header's first word is never 0; 0 means "nothing here yet" in every queue. In the common frame port, kind
//! and flags are all 0, so one compare of the upper half of the first word finds everything unusual. A header is
//! written and read as two whole words: reading a word that was written in parts stalls the processor.

pub mod any_ref;
pub mod archive;
#[cfg(test)]
mod archive_tests;
mod buffer;
pub mod enclosed;
pub mod foreign;
mod handles;
#[cfg(test)]
mod handles_tests;
pub mod local;
#[cfg(test)]
mod local_tests;
mod plain;
pub mod schema;
mod scratch;
pub mod serializer;
pub mod tagged;
pub mod validation;
#[cfg(test)]
mod validation_tests;

pub use self::buffer::AlignedBuffer;
pub use self::foreign::{FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, ForeignPrefix};

/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 16;

/// Every frame and every payload starts at a multiple of this.
pub const FRAME_ALIGN: usize = 16;

/// In a header's flags: the payload owns the handles of [`Local`](local::Local) payloads and lists them.
pub const FLAG_LOCAL: u8 = 0x40;

/// The 16 bytes before a payload, as two little-endian words.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(16))]
pub struct Header {
    /// `len`, `port`, `kind` and `flags`. Never 0 in a frame.
    pub word0: u64,
    /// `slot` and `generation`.
    pub word1: u64,
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES);

impl Header {
    /// A header from its fields. `len` is the exact number of payload bytes and must not be 0.
    #[inline]
    pub const fn new(len: u32, port: u16, kind: u8, flags: u8, slot: u32, generation: u32) -> Self {
        Header {
            word0: len as u64 | (port as u64) << 32 | (kind as u64) << 48 | (flags as u64) << 56,
            word1: slot as u64 | (generation as u64) << 32,
        }
    }

    /// Exact payload bytes.
    #[inline]
    pub const fn len(self) -> u32 {
        self.word0 as u32
    }

    /// Whether this is no frame at all.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.word0 == 0
    }

    /// Which protocol of the receiver.
    #[inline]
    pub const fn port(self) -> u16 {
        (self.word0 >> 32) as u16
    }

    /// What the frame is.
    #[inline]
    pub const fn kind(self) -> u8 {
        (self.word0 >> 48) as u8
    }

    /// What else to know before reading it.
    #[inline]
    pub const fn flags(self) -> u8 {
        (self.word0 >> 56) as u8
    }

    /// Where the receiver lives on its core.
    #[inline]
    pub const fn slot(self) -> u32 {
        self.word1 as u32
    }

    /// Which life of the slot is meant.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.word1 >> 32) as u32
    }

    /// Bytes from this frame's start to the next one's.
    #[inline]
    pub const fn stride(self) -> usize {
        stride(self.len() as usize)
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("len", &self.len())
            .field("port", &self.port())
            .field("kind", &self.kind())
            .field("flags", &self.flags())
            .field("slot", &self.slot())
            .field("generation", &self.generation())
            .finish()
    }
}

/// Bytes that a frame with `payload_bytes` of payload takes: header, payload, and padding to [`FRAME_ALIGN`].
#[inline]
pub const fn stride(payload_bytes: usize) -> usize {
    HEADER_BYTES + ((payload_bytes + FRAME_ALIGN - 1) & !(FRAME_ALIGN - 1))
}
