//! Foreign bytes become frames.
//!
//! Invariants: a frame is given only when it is whole, and borrows from the view it was found in; a length is
//! compared with the lane's limit before anyone waits or makes room for it; the same stream gives the same frames,
//! however it is cut into views. After an error nothing more is read.

use mainspring::frame::{FOREIGN_PREFIX_BYTES, HEADER_BYTES, Header};

use super::error::WireError;
use super::fields::{header_at, is_zero};
use super::lane::Lane;
use super::link_frame::{self, LinkFrame};
use super::user_frame::{FLAG_CHECKSUM, UserFrame, may_have};
use super::{FIRST_LINK_KIND, KIND_USER};

/// Reads the frames of one connection. It holds no bytes: whoever receives them gives views that begin where the last
/// frame ended.
///
/// ```
/// use mainspring_transport::wire::{Decoder, Frame, Lane, LinkFrame, Step};
///
/// let mut stream = Vec::new();
/// LinkFrame::Heartbeat { sent_at_ns: 7 }.append_to(&mut stream)?;
///
/// let mut decoder = Decoder::new(Lane::Control);
/// assert_eq!(decoder.next(&stream[..5])?, Step::Need(16));
/// assert_eq!(decoder.next(&stream[..20])?, Step::Need(32));
/// let heartbeat = Frame::Link(LinkFrame::Heartbeat { sent_at_ns: 7 });
/// assert_eq!(decoder.next(&stream)?, Step::Frame { frame: heartbeat, bytes: 32 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    lane: Lane,
    limit_bytes: u32,
    checksums: bool,
    frames: u64,
    bytes: u64,
    failed: Option<WireError>,
}

/// What a view begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame.
    Frame {
        /// What it is.
        frame: Frame<'a>,
        /// How many bytes of the view it takes, padding included. The next view begins behind them.
        bytes: usize,
    },
    /// The beginning of a frame, or nothing. Come again with a view of at least so many bytes.
    Need(usize),
}

/// A frame of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message to an actor.
    User(UserFrame<'a>),
    /// A frame of the connection itself.
    Link(LinkFrame<'a>),
}

impl Decoder {
    /// A decoder for a new connection, with the lane's own limit.
    pub const fn new(lane: Lane) -> Decoder {
        let limit_bytes = lane.limit_bytes();
        Decoder { lane, limit_bytes, checksums: false, frames: 0, bytes: 0, failed: None }
    }

    /// Takes payloads of at most so many bytes, as this node's handshake said.
    #[must_use]
    pub const fn with_limit(self, limit_bytes: u32) -> Decoder {
        Decoder { limit_bytes, ..self }
    }

    /// Refuses messages without a checksum, as the handshake agreed.
    #[must_use]
    pub const fn with_checksums(self, checksums: bool) -> Decoder {
        Decoder { checksums, ..self }
    }

    /// What `bytes` begins with.
    ///
    /// # Errors
    ///
    /// [`WireError`] if it is nothing that a peer may send on this lane. Every later call says the same.
    #[inline]
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let step = self.read(bytes);
        match &step {
            Ok(Step::Frame { bytes, .. }) => {
                self.frames += 1;
                self.bytes += *bytes as u64;
            }
            Ok(Step::Need(_)) => {}
            Err(error) => self.failed = Some(*error),
        }
        step
    }

    /// Frames given so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the frames given so far, which is where an error stands in the stream.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    #[inline]
    fn read<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>, WireError> {
        if bytes.len() < HEADER_BYTES {
            return Ok(Step::Need(HEADER_BYTES));
        }
        let header = header_at(bytes, 0);
        self.check(header)?;
        let (kind, stride) = (header.kind(), header.stride());
        let Some(whole) = bytes.get(..stride) else { return Ok(Step::Need(stride)) };
        let (content, padding) = whole.split_at(HEADER_BYTES + header.len() as usize);
        if !is_zero(padding) {
            return Err(WireError::Reserved { kind });
        }
        let frame = if kind == KIND_USER {
            Frame::User(UserFrame::read(header, whole, self.checksums)?)
        } else {
            Frame::Link(LinkFrame::decode(header, &content[HEADER_BYTES..])?)
        };
        if let Frame::Link(LinkFrame::ChunkFirst(first)) = &frame
            && self.checksums
            && first.header.flags() & FLAG_CHECKSUM == 0
        {
            return Err(WireError::ChecksumMissing);
        }
        Ok(Step::Frame { frame, bytes: stride })
    }

    /// Everything that the header alone can prove wrong.
    #[inline]
    fn check(&self, header: Header) -> Result<(), WireError> {
        let (kind, flags, declared_bytes) = (header.kind(), header.flags(), header.len());
        let (lane, limit_bytes) = (self.lane, self.limit_bytes);
        if declared_bytes == 0 {
            return Err(WireError::Empty { kind });
        }
        if !lane.carries(kind) {
            return Err(refused_kind(kind, lane));
        }
        if declared_bytes > limit_bytes {
            return Err(WireError::TooLong { declared_bytes, limit_bytes, lane });
        }
        if kind != KIND_USER {
            return link_frame::check_header(header);
        }
        if !may_have(flags) {
            return Err(WireError::Flags { kind, flags });
        }
        if declared_bytes as usize <= FOREIGN_PREFIX_BYTES {
            return Err(WireError::Length { kind, declared_bytes });
        }
        Ok(())
    }
}

#[cold]
fn refused_kind(kind: u8, lane: Lane) -> WireError {
    if kind != KIND_USER && kind < FIRST_LINK_KIND {
        WireError::InternalKind { kind }
    } else if Lane::knows(kind) {
        WireError::WrongLane { kind, lane }
    } else {
        WireError::UnknownKind { kind }
    }
}
