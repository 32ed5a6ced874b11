//! What the two ends of a connection tell each other.
//!
//! In the header of a link frame only length and kind are used; port, flags, slot and generation are zero. The
//! payloads, little-endian:
//!
//! | kind | frame | payload |
//! |---|---|---|
//! | 0x80 | credit | bytes consumed u64 · frames consumed u64; since the connection began |
//! | 0x81 | control | sequence u64 · body of 40 bytes, see [`ControlBody`] |
//! | 0x82 | control ack | sequence u64: this one and all before it have come |
//! | 0x83 | heartbeat | sent at u64, in nanoseconds of the sender's clock |
//! | 0x84 | heartbeat echo | the same number, sent back |
//! | 0x85 | first chunk | the message's header (16) · its prefix (16) · total u32 · 12 zeroes · first bytes |
//! | 0x86 | chunk | further bytes |
//! | 0x87 | goodbye | reason u8 · text, up to 256 bytes of UTF-8 |
//! | 0x88 | bulk wanted | bytes that wait u64 |
//!
//! A first chunk's total counts the archive's bytes; the header inside says the same plus the prefix.

use mainspring::frame::{FOREIGN_PREFIX_BYTES, ForeignPrefix, HEADER_BYTES, Header, stride};

use super::KIND_USER;
use super::control::{BODY_BYTES, ControlBody};
use super::error::{EncodeError, WireError};
use super::fields::{header_at, header_bytes, is_zero, prefix_at, put, u32_at, u64_at};
use super::goodbye::{GOODBYE_TEXT_LIMIT_BYTES, GoodbyeReason};
use super::user_frame::{FLAG_CHECKSUM, may_have};

/// What was consumed of what the receiver of this frame has sent.
pub const KIND_CREDIT: u8 = 0x80;
/// Something about actors, in order and acknowledged.
pub const KIND_CONTROL: u8 = 0x81;
/// Which control frames have come.
pub const KIND_CONTROL_ACK: u8 = 0x82;
/// A sign of life.
pub const KIND_HEARTBEAT: u8 = 0x83;
/// A sign of life, sent back.
pub const KIND_HEARTBEAT_ECHO: u8 = 0x84;
/// The beginning of a large message.
pub const KIND_CHUNK_FIRST: u8 = 0x85;
/// More of a large message.
pub const KIND_CHUNK: u8 = 0x86;
/// Why the connection ends.
pub const KIND_GOODBYE: u8 = 0x87;
/// Large messages wait for a connection that the receiver of this frame has to make.
pub const KIND_BULK_WANTED: u8 = 0x88;

/// The most bytes of a message in one chunk.
pub const CHUNK_LIMIT_BYTES: usize = 64 * 1024;

/// Bytes before the message's own in a first chunk.
pub const CHUNK_FIRST_BYTES: usize = 48;

const TOTAL_OFFSET: usize = HEADER_BYTES + FOREIGN_PREFIX_BYTES;
const CREDIT_BYTES: usize = 16;
const CONTROL_BYTES: usize = 8 + BODY_BYTES;

/// A frame of the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFrame<'a> {
    /// How much of what was sent on this connection its receiver has consumed since the connection began.
    Credit {
        /// Bytes of whole frames, padding included.
        consumed_bytes: u64,
        /// Frames.
        consumed_frames: u64,
    },
    /// Something about actors.
    Control {
        /// Counts the control frames of the sender's incarnation from 1.
        sequence: u64,
        /// What it says.
        body: ControlBody,
    },
    /// Control frames have come.
    ControlAck {
        /// The last one that has come; so have all before it.
        sequence: u64,
    },
    /// A sign of life.
    Heartbeat {
        /// When it was sent, by the sender's clock.
        sent_at_ns: u64,
    },
    /// A sign of life, sent back.
    HeartbeatEcho {
        /// What the heartbeat said.
        sent_at_ns: u64,
    },
    /// The beginning of a large message.
    ChunkFirst(ChunkFirst<'a>),
    /// The next bytes of the message whose first chunk came last.
    Chunk {
        /// From 1 to [`CHUNK_LIMIT_BYTES`].
        bytes: &'a [u8],
    },
    /// The last frame of a connection.
    Goodbye {
        /// Why it ends.
        reason: GoodbyeReason,
        /// Details for a log. It is the peer's word: show it as data.
        text: &'a str,
    },
    /// Large messages wait for the bulk connection, and only the receiver of this frame knows where to connect to.
    BulkWanted {
        /// Bytes of them, for a log.
        waiting_bytes: u64,
    },
}

/// The beginning of a large message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkFirst<'a> {
    /// The header of the whole message, as if it came in one frame.
    pub header: Header,
    /// The prefix of the whole message. A checksum covers the whole archive.
    pub prefix: ForeignPrefix,
    /// Bytes of the whole archive.
    pub total_bytes: u32,
    /// The first bytes of the archive, from 1 to [`CHUNK_LIMIT_BYTES`].
    pub bytes: &'a [u8],
}

impl<'a> LinkFrame<'a> {
    /// The frame's number in the header.
    pub const fn kind(&self) -> u8 {
        match self {
            LinkFrame::Credit { .. } => KIND_CREDIT,
            LinkFrame::Control { .. } => KIND_CONTROL,
            LinkFrame::ControlAck { .. } => KIND_CONTROL_ACK,
            LinkFrame::Heartbeat { .. } => KIND_HEARTBEAT,
            LinkFrame::HeartbeatEcho { .. } => KIND_HEARTBEAT_ECHO,
            LinkFrame::ChunkFirst(_) => KIND_CHUNK_FIRST,
            LinkFrame::Chunk { .. } => KIND_CHUNK,
            LinkFrame::Goodbye { .. } => KIND_GOODBYE,
            LinkFrame::BulkWanted { .. } => KIND_BULK_WANTED,
        }
    }

    /// Bytes of the whole frame: header, payload and padding.
    pub const fn frame_bytes(&self) -> usize {
        stride(self.payload_bytes())
    }

    /// Appends the frame. `out` must end at a multiple of 16 of the stream; it does so again afterwards.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a chunk or a text has more bytes than its frame holds, if a chunk has none, or if a first
    /// chunk contradicts itself.
    pub fn append_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        let start = out.len();
        out.resize(start + self.frame_bytes(), 0);
        self.write_to(&mut out[start..]).map(|_| ())
    }

    /// Writes the frame to the beginning of `room` and says how many bytes it took.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] as for [`append_to`](Self::append_to), and if `room` is too small.
    pub fn write_to(&self, room: &mut [u8]) -> Result<usize, EncodeError> {
        self.check()?;
        let (room_bytes, frame_bytes) = (room.len(), self.frame_bytes());
        let frame = room.get_mut(..frame_bytes);
        let frame = frame.ok_or(EncodeError::Room { room_bytes, frame_bytes })?;
        let header = Header::new(self.payload_bytes() as u32, 0, self.kind(), 0, 0, 0);
        put(frame, 0, &header_bytes(header));
        let (payload, padding) = frame[HEADER_BYTES..].split_at_mut(self.payload_bytes());
        self.write_payload(payload);
        padding.fill(0);
        Ok(frame_bytes)
    }

    /// A frame from its header and its payload, which has exactly the length that the header says.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the kind is unknown, a length is not the kind's own, or bytes that must be zero are not.
    pub fn decode(header: Header, payload: &'a [u8]) -> Result<Self, WireError> {
        check_header(header)?;
        let (kind, declared_bytes) = (header.kind(), header.len());
        if payload.len() != declared_bytes as usize {
            return Err(WireError::Length { kind, declared_bytes });
        }
        match kind {
            KIND_CREDIT => Ok(LinkFrame::Credit {
                consumed_bytes: u64_at(payload, 0),
                consumed_frames: u64_at(payload, 8),
            }),
            KIND_CONTROL => {
                let body = ControlBody::read(payload.get(8..).unwrap_or_default())?;
                Ok(LinkFrame::Control { sequence: u64_at(payload, 0), body })
            }
            KIND_CONTROL_ACK => Ok(LinkFrame::ControlAck { sequence: u64_at(payload, 0) }),
            KIND_HEARTBEAT => Ok(LinkFrame::Heartbeat { sent_at_ns: u64_at(payload, 0) }),
            KIND_HEARTBEAT_ECHO => Ok(LinkFrame::HeartbeatEcho { sent_at_ns: u64_at(payload, 0) }),
            KIND_CHUNK_FIRST => ChunkFirst::read(payload).map(LinkFrame::ChunkFirst),
            KIND_CHUNK => Ok(LinkFrame::Chunk { bytes: payload }),
            KIND_GOODBYE => read_goodbye(payload),
            KIND_BULK_WANTED => Ok(LinkFrame::BulkWanted { waiting_bytes: u64_at(payload, 0) }),
            _ => Err(WireError::UnknownKind { kind }),
        }
    }

    const fn payload_bytes(&self) -> usize {
        match self {
            LinkFrame::Credit { .. } => CREDIT_BYTES,
            LinkFrame::Control { .. } => CONTROL_BYTES,
            LinkFrame::ControlAck { .. }
            | LinkFrame::Heartbeat { .. }
            | LinkFrame::HeartbeatEcho { .. }
            | LinkFrame::BulkWanted { .. } => 8,
            LinkFrame::ChunkFirst(first) => CHUNK_FIRST_BYTES + first.bytes.len(),
            LinkFrame::Chunk { bytes } => bytes.len(),
            LinkFrame::Goodbye { text, .. } => 1 + text.len(),
        }
    }

    fn write_payload(&self, payload: &mut [u8]) {
        match *self {
            LinkFrame::Credit { consumed_bytes, consumed_frames } => {
                put(payload, 0, &consumed_bytes.to_le_bytes());
                put(payload, 8, &consumed_frames.to_le_bytes());
            }
            LinkFrame::Control { sequence, body } => {
                put(payload, 0, &sequence.to_le_bytes());
                put(payload, 8, &body.encode());
            }
            LinkFrame::ControlAck { sequence } => put(payload, 0, &sequence.to_le_bytes()),
            LinkFrame::BulkWanted { waiting_bytes } => {
                put(payload, 0, &waiting_bytes.to_le_bytes());
            }
            LinkFrame::Heartbeat { sent_at_ns } | LinkFrame::HeartbeatEcho { sent_at_ns } => {
                put(payload, 0, &sent_at_ns.to_le_bytes());
            }
            LinkFrame::ChunkFirst(first) => {
                put(payload, 0, &first.head());
                put(payload, CHUNK_FIRST_BYTES, first.bytes);
            }
            LinkFrame::Chunk { bytes } => put(payload, 0, bytes),
            LinkFrame::Goodbye { reason, text } => {
                put(payload, 0, &[reason.code()]);
                put(payload, 1, text.as_bytes());
            }
        }
    }

    fn check(&self) -> Result<(), EncodeError> {
        let kind = self.kind();
        let (bytes, limit_bytes) = match self {
            LinkFrame::ChunkFirst(ChunkFirst { bytes, .. }) | LinkFrame::Chunk { bytes } => {
                (bytes.len(), CHUNK_LIMIT_BYTES)
            }
            LinkFrame::Goodbye { text, .. } => (text.len(), GOODBYE_TEXT_LIMIT_BYTES),
            _ => return Ok(()),
        };
        if bytes > limit_bytes {
            return Err(EncodeError::TooLong { kind, bytes, limit_bytes });
        }
        match self {
            LinkFrame::ChunkFirst(first) => first.check(),
            LinkFrame::Chunk { bytes: [] } => Err(EncodeError::Empty),
            _ => Ok(()),
        }
    }
}

/// What the header alone says about a link frame: whether it exists, and whether its length can be right.
pub(super) fn check_header(header: Header) -> Result<(), WireError> {
    let (kind, flags, declared_bytes) = (header.kind(), header.flags(), header.len());
    let bytes = declared_bytes as usize;
    let fits = match kind {
        KIND_CREDIT => bytes == CREDIT_BYTES,
        KIND_CONTROL => bytes == CONTROL_BYTES,
        KIND_CONTROL_ACK | KIND_HEARTBEAT | KIND_HEARTBEAT_ECHO | KIND_BULK_WANTED => bytes == 8,
        KIND_CHUNK_FIRST => {
            bytes > CHUNK_FIRST_BYTES && bytes <= CHUNK_FIRST_BYTES + CHUNK_LIMIT_BYTES
        }
        KIND_CHUNK => bytes > 0 && bytes <= CHUNK_LIMIT_BYTES,
        KIND_GOODBYE => bytes > 0 && bytes <= 1 + GOODBYE_TEXT_LIMIT_BYTES,
        _ => return Err(WireError::UnknownKind { kind }),
    };
    if flags != 0 {
        return Err(WireError::Flags { kind, flags });
    }
    if header.port() != 0 || header.word1 != 0 {
        return Err(WireError::Reserved { kind });
    }
    if fits { Ok(()) } else { Err(WireError::Length { kind, declared_bytes }) }
}

impl<'a> ChunkFirst<'a> {
    fn head(&self) -> [u8; CHUNK_FIRST_BYTES] {
        let mut head = [0; CHUNK_FIRST_BYTES];
        put(&mut head, 0, &header_bytes(self.header));
        put(&mut head, HEADER_BYTES, &self.prefix.to_bytes());
        put(&mut head, TOTAL_OFFSET, &self.total_bytes.to_le_bytes());
        head
    }

    fn read(payload: &'a [u8]) -> Result<Self, WireError> {
        let (head, bytes) = payload.split_at_checked(CHUNK_FIRST_BYTES).unwrap_or_default();
        let first = ChunkFirst {
            header: header_at(head, 0),
            prefix: prefix_at(head, HEADER_BYTES),
            total_bytes: u32_at(head, TOTAL_OFFSET),
            bytes,
        };
        let (kind, flags) = (first.header.kind(), first.header.flags());
        if kind != KIND_USER || !may_have(flags) {
            return Err(WireError::Flags { kind, flags });
        }
        let unsummed = flags & FLAG_CHECKSUM == 0 && first.prefix.word != 0;
        if unsummed || !is_zero(head.get(TOTAL_OFFSET + 4..).unwrap_or_default()) {
            return Err(WireError::Reserved { kind: KIND_CHUNK_FIRST });
        }
        if !first.adds_up() {
            return Err(WireError::ChunkLengths {
                first_bytes: bytes.len() as u32,
                declared_bytes: first.header.len(),
                total_bytes: first.total_bytes,
            });
        }
        Ok(first)
    }

    fn check(&self) -> Result<(), EncodeError> {
        let is_message = self.header.kind() == KIND_USER && may_have(self.header.flags());
        if is_message && self.adds_up() {
            Ok(())
        } else {
            Err(EncodeError::ChunkHeader { total_bytes: self.total_bytes })
        }
    }

    fn adds_up(&self) -> bool {
        let (first, total) = (self.bytes.len(), self.total_bytes as usize);
        (1..=total).contains(&first) && self.header.len() as usize == FOREIGN_PREFIX_BYTES + total
    }
}

fn read_goodbye(payload: &[u8]) -> Result<LinkFrame<'_>, WireError> {
    let (code, text) = payload.split_first().ok_or(WireError::Text)?;
    let text = std::str::from_utf8(text).map_err(|_| WireError::Text)?;
    Ok(LinkFrame::Goodbye { reason: GoodbyeReason::from_code(*code), text })
}
