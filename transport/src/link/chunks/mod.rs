//! The bulk lane: a large message goes in pieces, into memory that was reserved when its first piece came.
//!
//! Which messages take this lane follows from their type or their destination, never from their length: otherwise a
//! small message could overtake a large one. One message goes after the other; its first piece declares the whole
//! length. A receiver has a budget for each peer; a message that does not fit is refused alone: its pieces are thrown
//! away and counted, the connection and the next message live.
//!
//! A message is sent at most once: of a connection that ends, the message that was under way is dropped on both sides.

mod outgoing;
mod reassembly;
#[cfg(test)]
mod tests;

pub use outgoing::{Outgoing, OutgoingError, OutgoingRefusal, Piece};
pub use reassembly::{ChunkError, ChunkRefusal, Progress, Reassembly, Whole};

use crate::wire::CHUNK_LIMIT_BYTES;

/// Limits of the bulk lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSettings {
    /// The largest message.
    pub message_limit_bytes: usize,
    /// The largest piece of one; at most [`CHUNK_LIMIT_BYTES`].
    pub piece_limit_bytes: usize,
    /// What messages of one peer may take that are not whole, or whole and not released. Sending: what may wait.
    pub budget_bytes: usize,
}

impl Default for ChunkSettings {
    /// Messages of 16 MiB in pieces of 64 KiB; 32 MiB for a peer.
    fn default() -> ChunkSettings {
        ChunkSettings {
            message_limit_bytes: 16 << 20,
            piece_limit_bytes: CHUNK_LIMIT_BYTES,
            budget_bytes: 32 << 20,
        }
    }
}
