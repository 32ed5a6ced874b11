//! A message on its way between two nodes: the runtime's frame with a prefix of 16 bytes before the archive.
//!
//! [`ForeignPrefix`] has its fields. Its word is a checksum on the wire if [`FLAG_CHECKSUM`] is set, and 0 if not.
//!
//! Prefix and header are both 16 bytes, so the archive of a frame at a multiple of 16 lies at a multiple of 16 and is
//! read where it was received.

use mainspring::Address;
use mainspring::frame::{
    FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, ForeignPrefix, HEADER_BYTES, Header, stride,
};

use super::KIND_USER;
use super::error::{EncodeError, WireError};
use super::fields::{header_at, header_bytes, pad, prefix_at, put};

/// In a header's flags: the prefix holds a checksum.
pub const FLAG_CHECKSUM: u8 = 0x08;

const CHECKSUM_OFFSET: usize = 12;

/// The checksum of a message: CRC-32C over its prefix, the place of the checksum taken as 0, and its archive.
pub fn checksum_of(prefix: ForeignPrefix, archive: &[u8]) -> u32 {
    let prefix = ForeignPrefix { word: 0, ..prefix }.to_bytes();
    crc32c::crc32c_append(crc32c::crc32c(&prefix), archive)
}

/// Whether an archive is the one that was sent, as far as the flags of the message's header promise a checksum. Also
/// for a message that came in chunks.
///
/// # Errors
///
/// [`WireError::Checksum`] if it is not; [`WireError::Reserved`] if there is a checksum that the flags do not promise.
#[inline]
pub fn verify_checksum(flags: u8, prefix: ForeignPrefix, archive: &[u8]) -> Result<(), WireError> {
    let stated = prefix.word;
    if flags & FLAG_CHECKSUM == 0 {
        return if stated == 0 { Ok(()) } else { Err(WireError::Reserved { kind: KIND_USER }) };
    }
    let found = checksum_of(prefix, archive);
    if stated == found { Ok(()) } else { Err(WireError::Checksum { stated, found }) }
}

/// A message as it came in, still in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFrame<'a> {
    /// The frame's header. Its length counts the prefix.
    pub header: Header,
    /// What stands before the archive.
    pub prefix: ForeignPrefix,
    /// The archive, not yet validated.
    pub archive: &'a [u8],
    /// The whole frame as it lies there: header, prefix, archive and padding.
    pub bytes: &'a [u8],
}

impl<'a> UserFrame<'a> {
    /// The frame whose header and length were found to be right. `bytes` is its whole stride.
    #[inline]
    pub(super) fn read(
        header: Header,
        bytes: &'a [u8],
        checksums: bool,
    ) -> Result<Self, WireError> {
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + header.len() as usize);
        let payload = payload.unwrap_or_default();
        let archive = payload.get(FOREIGN_PREFIX_BYTES..).unwrap_or_default();
        let prefix = prefix_at(payload, 0);
        if checksums && header.flags() & FLAG_CHECKSUM == 0 {
            return Err(WireError::ChecksumMissing);
        }
        verify_checksum(header.flags(), prefix, archive)?;
        Ok(UserFrame { header, prefix, archive, bytes })
    }
}

/// A message about to be put on the wire.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingFrame<'a> {
    /// Which actor, and which of its ports.
    pub to: Address,
    /// The core that sends it.
    pub from_core: u16,
    /// The schema of the archive.
    pub fingerprint: u64,
    /// The message; an empty archive is one zero byte.
    pub archive: &'a [u8],
}

impl OutgoingFrame<'_> {
    /// The frame's header.
    pub fn header(&self, checksum: bool) -> Header {
        let flags = FLAG_FOREIGN | if checksum { FLAG_CHECKSUM } else { 0 };
        let bytes = (FOREIGN_PREFIX_BYTES + self.archive.len()) as u32;
        Header::new(bytes, self.to.port(), KIND_USER, flags, self.to.slot(), self.to.generation())
    }

    /// The frame's prefix.
    pub fn prefix(&self, checksum: bool) -> ForeignPrefix {
        let (fingerprint, core, sender) = (self.fingerprint, self.to.core(), self.from_core);
        let prefix = ForeignPrefix { fingerprint, core, sender, word: 0 };
        let word = if checksum { checksum_of(prefix, self.archive) } else { 0 };
        ForeignPrefix { word, ..prefix }
    }

    /// Appends the frame. `out` must end at a multiple of 16 of the stream; it does so again afterwards. The peer
    /// takes payloads, prefix included, of at most `limit_bytes`: its handshake and the lane say how many.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the archive has no bytes or more than the peer takes.
    pub fn append_to(
        &self,
        out: &mut Vec<u8>,
        limit_bytes: u32,
        checksum: bool,
    ) -> Result<(), EncodeError> {
        let (bytes, limit_bytes) = (self.archive.len(), limit_bytes as usize);
        if bytes == 0 {
            return Err(EncodeError::Empty);
        }
        if FOREIGN_PREFIX_BYTES + bytes > limit_bytes {
            let limit_bytes = limit_bytes.saturating_sub(FOREIGN_PREFIX_BYTES);
            return Err(EncodeError::TooLong { kind: KIND_USER, bytes, limit_bytes });
        }
        let start = out.len();
        out.reserve(stride(FOREIGN_PREFIX_BYTES + bytes));
        out.extend_from_slice(&header_bytes(self.header(checksum)));
        out.extend_from_slice(&self.prefix(checksum).to_bytes());
        out.extend_from_slice(self.archive);
        pad(out, start);
        Ok(())
    }
}

/// Puts the checksum into a frame that was written without one, as frames come from the sending core's ring.
///
/// # Errors
///
/// [`EncodeError::NoMessage`] if `frame` is not exactly one whole frame of a message with its prefix. Nothing was
/// changed.
pub fn seal(frame: &mut [u8]) -> Result<(), EncodeError> {
    let header = header_at(frame, 0);
    let is_message = frame.len() >= HEADER_BYTES
        && header.kind() == KIND_USER
        && header.flags() & !FLAG_CHECKSUM == FLAG_FOREIGN
        && header.len() as usize > FOREIGN_PREFIX_BYTES
        && header.stride() == frame.len();
    if !is_message {
        return Err(EncodeError::NoMessage);
    }
    let payload = &mut frame[HEADER_BYTES..HEADER_BYTES + header.len() as usize];
    let checksum = checksum_of(prefix_at(payload, 0), &payload[FOREIGN_PREFIX_BYTES..]);
    put(payload, CHECKSUM_OFFSET, &checksum.to_le_bytes());
    let word0 = header.word0 | u64::from(FLAG_CHECKSUM) << 56;
    put(frame, 0, &word0.to_le_bytes());
    Ok(())
}

/// Whether flags may stand in the header of a message from a peer.
#[inline]
pub(super) fn may_have(flags: u8) -> bool {
    flags & !FLAG_CHECKSUM == FLAG_FOREIGN
}
