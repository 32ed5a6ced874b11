//! The three lanes of a pair of nodes. A connection belongs to one of them for life: the handshake says which.
//!
//! A message's lane follows from its destination or its type, never from its size, so that two messages to one actor
//! cannot overtake each other.

use std::fmt;

use super::link_frame::{
    CHUNK_FIRST_BYTES, CHUNK_LIMIT_BYTES, KIND_BULK_WANTED, KIND_CHUNK, KIND_CHUNK_FIRST,
    KIND_CONTROL, KIND_CONTROL_ACK, KIND_CREDIT, KIND_GOODBYE, KIND_HEARTBEAT, KIND_HEARTBEAT_ECHO,
};
use super::{FIRST_LINK_KIND, KIND_USER};

/// The longest payload of a frame on the ordinary lane, unless a node's settings say less or more.
pub const ORDINARY_LIMIT_BYTES: u32 = 256 * 1024;

/// The longest payload of a frame on the control lane.
pub const CONTROL_LIMIT_BYTES: u32 = 4 * 1024;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Messages to actors; one connection per core.
    Ordinary,
    /// What nodes tell each other about actors and about themselves; one connection per pair of nodes.
    Control,
    /// Large messages in chunks, and small ones that must stay in order with them.
    Bulk,
}

impl Lane {
    /// The lane's number in a handshake.
    pub const fn code(self) -> u8 {
        match self {
            Lane::Ordinary => 0,
            Lane::Control => 1,
            Lane::Bulk => 2,
        }
    }

    /// The lane with that number.
    pub const fn from_code(code: u8) -> Option<Lane> {
        match code {
            0 => Some(Lane::Ordinary),
            1 => Some(Lane::Control),
            2 => Some(Lane::Bulk),
            _ => None,
        }
    }

    /// The longest payload of a frame, in bytes, where no setting says otherwise. On the bulk lane it is that of a
    /// first chunk; whole messages there have the same limit.
    pub const fn limit_bytes(self) -> u32 {
        match self {
            Lane::Ordinary => ORDINARY_LIMIT_BYTES,
            Lane::Control => CONTROL_LIMIT_BYTES,
            Lane::Bulk => (CHUNK_FIRST_BYTES + CHUNK_LIMIT_BYTES) as u32,
        }
    }

    /// Whether frames of this kind may come on this lane.
    #[inline]
    pub const fn carries(self, kind: u8) -> bool {
        match kind {
            KIND_USER => !matches!(self, Lane::Control),
            KIND_CREDIT | KIND_GOODBYE => true,
            KIND_CONTROL | KIND_CONTROL_ACK | KIND_HEARTBEAT | KIND_HEARTBEAT_ECHO
            | KIND_BULK_WANTED => {
                matches!(self, Lane::Control)
            }
            KIND_CHUNK_FIRST | KIND_CHUNK => matches!(self, Lane::Bulk),
            _ => false,
        }
    }

    /// Whether a frame of this kind exists at all.
    pub(super) const fn knows(kind: u8) -> bool {
        kind == KIND_USER || kind >= FIRST_LINK_KIND && kind <= KIND_BULK_WANTED
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::Ordinary => "ordinary",
            Lane::Control => "control",
            Lane::Bulk => "bulk",
        })
    }
}
