//! What a ring refuses, and why. A refusal changes nothing and hands back the value it did not
//! take.

use super::boxed::BOXED_LIMIT_BYTES;
use super::{LARGEST_CAPACITY_BYTES, SMALLEST_CAPACITY_BYTES};
use thiserror::Error;

/// Why a ring could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CapacityError {
    /// The capacity is not a power of two, or out of bounds.
    #[error(
        "no ring of {capacity_bytes} bytes: the capacity must be a power of two from \
         {SMALLEST_CAPACITY_BYTES} to {LARGEST_CAPACITY_BYTES}; nothing was allocated"
    )]
    Unsupported {
        /// The capacity that was asked for.
        capacity_bytes: usize,
    },
    /// The allocator had no memory.
    #[error("no memory for a ring of {capacity_bytes} bytes: ask for fewer; nothing was allocated")]
    OutOfMemory {
        /// The capacity that was asked for.
        capacity_bytes: usize,
    },
}

/// Why there was no room for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullReason {
    /// Too few free bytes. Passes when the consumer releases what it has read.
    NoRoom,
    /// Boxed payloads of [`BOXED_LIMIT_BYTES`](super::BOXED_LIMIT_BYTES) are on their way. Passes
    /// when the consumer has read some of them.
    BoxedLimit,
    /// The payload is larger than this ring ever carries in place. Never passes: the payload must
    /// go boxed.
    TooLarge,
}

/// A ring had no room for a frame. Nothing was written; `value` is what was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", explain(*reason, *payload_bytes))]
pub struct Full<T = ()> {
    /// Why, and with it whether trying again can help.
    pub reason: FullReason,
    /// The payload bytes that were asked for.
    pub payload_bytes: usize,
    /// What was not taken.
    pub value: T,
}

fn explain(reason: FullReason, payload_bytes: usize) -> String {
    match reason {
        FullReason::NoRoom => format!(
            "the ring is full: no room for {payload_bytes} payload bytes until its consumer \
             releases what it has read; nothing was written"
        ),
        FullReason::BoxedLimit => format!(
            "no room for {payload_bytes} boxed payload bytes: at most {BOXED_LIMIT_BYTES} may be \
             on their way in one ring; nothing was written, try again when its consumer has read \
             some"
        ),
        FullReason::TooLarge => format!(
            "{payload_bytes} payload bytes are more than this ring carries in place; nothing was \
             written, push them as a boxed payload"
        ),
    }
}

/// A header that cannot stand before the payload it was given for. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// The header says that there is no payload; a frame always has one.
    #[error(
        "the header's length is 0: send an empty payload as one zero byte; nothing was written"
    )]
    Empty,
    /// The header's length is not that of the payload, or more than was claimed.
    #[error(
        "the header's length of {len} bytes does not fit the payload's {payload_bytes}; nothing \
         was written"
    )]
    Length {
        /// The header's length.
        len: u32,
        /// The payload's, or what was claimed for it.
        payload_bytes: usize,
    },
    /// The header uses a kind or a flag that belongs to the ring.
    #[error(
        "kind {kind:#04x} with flags {flags:#04x}: kind 0xff and flags 0x80 and 0x40 belong to \
         the ring; nothing was written"
    )]
    Reserved {
        /// The header's kind.
        kind: u8,
        /// The header's flags.
        flags: u8,
    },
}

/// Why a frame was not pushed. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushError<T = ()> {
    /// There is no room.
    #[error("{0}")]
    Full(Full<T>),
    /// The header is not one that may be pushed.
    #[error("{error}")]
    Header {
        /// What is wrong with it.
        error: HeaderError,
        /// What was not taken.
        value: T,
    },
}

impl<T> PushError<T> {
    /// What was not taken.
    pub fn into_value(self) -> T {
        match self {
            PushError::Full(full) => full.value,
            PushError::Header { value, .. } => value,
        }
    }
}

impl<T> From<Full<T>> for PushError<T> {
    fn from(full: Full<T>) -> Self {
        PushError::Full(full)
    }
}

impl From<HeaderError> for PushError {
    fn from(error: HeaderError) -> Self {
        PushError::Header { error, value: () }
    }
}
