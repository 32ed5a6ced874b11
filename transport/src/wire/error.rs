//! What is wrong with bytes from a peer, and with frames that cannot be sent.

use thiserror::Error;

use super::lane::Lane;

/// Bytes from a peer that are no frame it may send. The connection cannot go on: where the next frame starts is no
/// longer known. Answer with a goodbye and close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// A header that declares no payload. Every frame has one.
    #[error(
        "a frame of kind {kind:#04x} declares no payload; the peer lost its place or is no mainspring node"
    )]
    Empty {
        /// What the header says.
        kind: u8,
    },
    /// A kind that stays inside a node.
    #[error(
        "a frame of the internal kind {kind:#04x}; only messages and link frames may come from a peer"
    )]
    InternalKind {
        /// What the header says.
        kind: u8,
    },
    /// A kind that the negotiated version does not have.
    #[error(
        "a frame of the unknown kind {kind:#04x}; the peer must not send what was not negotiated"
    )]
    UnknownKind {
        /// What the header says.
        kind: u8,
    },
    /// A kind that belongs on another lane.
    #[error("a frame of kind {kind:#04x} on the {lane} lane, which does not carry it")]
    WrongLane {
        /// What the header says.
        kind: u8,
        /// The connection's lane.
        lane: Lane,
    },
    /// Flags that may not come from a peer, such as those of pointers, or that are missing.
    #[error("a frame of kind {kind:#04x} has the flags {flags:#04x}, which no peer may send")]
    Flags {
        /// What the header says.
        kind: u8,
        /// What the header says.
        flags: u8,
    },
    /// A field or padding that must be zero is not.
    #[error(
        "a frame of kind {kind:#04x} uses bytes that must be zero; the peer was built for something else"
    )]
    Reserved {
        /// What the header says.
        kind: u8,
    },
    /// More payload than the lane carries. Nothing was reserved for it.
    #[error(
        "a frame declares {declared_bytes} bytes of payload, more than the {limit_bytes} that this node takes on \
         its {lane} lane; larger messages go on the bulk lane, or raise max_frame_bytes"
    )]
    TooLong {
        /// What the header says.
        declared_bytes: u32,
        /// What is allowed.
        limit_bytes: u32,
        /// The connection's lane.
        lane: Lane,
    },
    /// A length that frames of this kind do not have.
    #[error(
        "a frame of kind {kind:#04x} declares {declared_bytes} bytes of payload, which is not its length"
    )]
    Length {
        /// What the header says.
        kind: u8,
        /// What the header says.
        declared_bytes: u32,
    },
    /// The checksum of a message is wrong.
    #[error(
        "a message's checksum is {found:#010x}, its prefix says {stated:#010x}; it was damaged on its way"
    )]
    Checksum {
        /// What the prefix says.
        stated: u32,
        /// What the bytes have.
        found: u32,
    },
    /// A message without a checksum on a connection whose handshake asked for one.
    #[error("a message without the checksum that the handshake asked for")]
    ChecksumMissing,
    /// A first chunk whose lengths contradict each other.
    #[error(
        "a first chunk of {first_bytes} bytes and a header of {declared_bytes} for {total_bytes} in all"
    )]
    ChunkLengths {
        /// Bytes that came with it.
        first_bytes: u32,
        /// What the message's own header says, its prefix included.
        declared_bytes: u32,
        /// What the chunk says is to come in all.
        total_bytes: u32,
    },
    /// A control frame about something that the negotiated version does not have.
    #[error(
        "a control frame with the unknown body {body}; the peer must not send what was not negotiated"
    )]
    UnknownBody {
        /// What the frame says.
        body: u8,
    },
    /// An actor that ended in a way that the negotiated version does not have.
    #[error("an actor that ended with the unknown reason {reason}")]
    UnknownStopReason {
        /// What the frame says.
        reason: u8,
    },
    /// A goodbye whose text is not UTF-8.
    #[error("a goodbye whose text is not UTF-8")]
    Text,
}

/// A frame that cannot be put on the wire. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// An archive of no bytes. An empty one is sent as one zero byte.
    #[error("a message of no bytes; an empty archive is sent as one zero byte")]
    Empty,
    /// More bytes than a frame of this kind holds.
    #[error(
        "{bytes} bytes in a frame of kind {kind:#04x}, which holds {limit_bytes}; send them in chunks"
    )]
    TooLong {
        /// The frame's kind.
        kind: u8,
        /// What was to be sent.
        bytes: usize,
        /// What the kind allows.
        limit_bytes: usize,
    },
    /// A first chunk whose lengths contradict each other, or whose header is not that of a message.
    #[error("the header of a first chunk is not that of a message of {total_bytes} bytes")]
    ChunkHeader {
        /// What the chunk says.
        total_bytes: u32,
    },
    /// The place given for a frame is too small.
    #[error("{room_bytes} bytes of room for a frame of {frame_bytes}")]
    Room {
        /// What was given.
        room_bytes: usize,
        /// What it takes.
        frame_bytes: usize,
    },
    /// The bytes are not one whole frame of a message.
    #[error("these bytes are not one whole frame of a message with its prefix")]
    NoMessage,
}
