//! The bytes of a connection between two nodes, once its handshake is over.
//!
//! A connection is a sequence of frames: the runtime's 16-byte [`Header`](mainspring::frame::Header), a payload, and
//! zeroes up to the next multiple of 16. There are two sorts. A [`UserFrame`] is a message on its way to an actor: the
//! frame of the runtime with a [`ForeignPrefix`](mainspring::frame::ForeignPrefix) before the archive. A [`LinkFrame`]
//! is what the two ends of the connection tell each other. `docs/wire.md` has every byte.
//!
//! Promised: whatever bytes come in, [`Decoder`] gives a frame, the number of bytes it waits for, or a
//! [`WireError`]; it never panics, never allocates and never waits for more bytes than its lane may carry. What may
//! come in is a closed list: frames of the runtime's own kinds, pointers of this process and unknown bits are refused
//! before anything is read of them.
//!
//! Not here: whether an archive is valid (that is checked before an actor reads it), and everything with state
//! beyond one frame: credit, acknowledgement, reassembly.

mod control;
mod decoder;
#[cfg(test)]
mod decoder_tests;
mod error;
pub(crate) mod fields;
mod goodbye;
mod lane;
mod link_frame;
#[cfg(test)]
mod link_frame_tests;
mod user_frame;
#[cfg(test)]
mod user_frame_tests;

pub use self::control::ControlBody;
pub use self::decoder::{Decoder, Frame, Step};
pub use self::error::{EncodeError, WireError};
pub use self::goodbye::{GOODBYE_TEXT_LIMIT_BYTES, GoodbyeReason};
pub use self::lane::{CONTROL_LIMIT_BYTES, Lane, ORDINARY_LIMIT_BYTES};
pub use self::link_frame::{
    CHUNK_FIRST_BYTES, CHUNK_LIMIT_BYTES, ChunkFirst, KIND_BULK_WANTED, KIND_CHUNK,
    KIND_CHUNK_FIRST, KIND_CONTROL, KIND_CONTROL_ACK, KIND_CREDIT, KIND_GOODBYE, KIND_HEARTBEAT,
    KIND_HEARTBEAT_ECHO, LinkFrame,
};
pub use self::user_frame::{
    FLAG_CHECKSUM, OutgoingFrame, UserFrame, checksum_of, seal, verify_checksum,
};

/// Kind of a message to an actor.
pub const KIND_USER: u8 = 0;

/// Kinds from this one on belong to the connection. Those between it and [`KIND_USER`] are the runtime's own and
/// never leave a node.
pub const FIRST_LINK_KIND: u8 = 0x80;
