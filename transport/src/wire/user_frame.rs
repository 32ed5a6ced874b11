//! A message on its way between two nodes: the runtime's frame with a prefix of 16 bytes before the archive.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–7 | `fingerprint` | the schema of the archive; the receiver compares it with that of the actor's port |
//! | 8–9 | `to_core` | the core where the receiver lives |
//! | 10–11 | `from_core` | the core that sent it |
//! | 12–15 | `checksum` | CRC-32C over prefix (this field as 0) and archive if [`FLAG_CHECKSUM`] is set, else 0 |
//!
//! Prefix and header are both 16 bytes, so the archive of a frame at a multiple of 16 lies at a multiple of 16 and is
//! read where it was received.

use mainspring::Address;
use mainspring::frame::{HEADER_BYTES, Header, stride};

use super::KIND_USER;
use super::error::{EncodeError, WireError};
use super::fields::{array_at, header_at, header_bytes, pad, put, u16_at, u32_at, u64_at};

/// In a header's flags: the payload begins with a [`Prefix`]. Every message on the wire has it.
pub const FLAG_FOREIGN: u8 = 0x10;

/// In a header's flags: the prefix holds a checksum.
pub const FLAG_CHECKSUM: u8 = 0x08;

/// Bytes of a [`Prefix`].
pub const PREFIX_BYTES: usize = 16;

const CHECKSUM_OFFSET: usize = 12;

/// What stands between the header of a message from another node and its archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The schema of the archive.
    pub fingerprint: u64,
    /// The core where the receiver lives.
    pub to_core: u16,
    /// The core that sent it.
    pub from_core: u16,
    /// Over prefix and archive where the frame's flags say so, else 0.
    pub checksum: u32,
}

impl Prefix {
    /// A prefix from the first bytes of a payload; what is not there reads as zero.
    #[inline]
    pub fn decode(payload: &[u8]) -> Prefix {
        let bytes: [u8; PREFIX_BYTES] = array_at(payload, 0);
        Prefix {
            fingerprint: u64_at(&bytes, 0),
            to_core: u16_at(&bytes, 8),
            from_core: u16_at(&bytes, 10),
            checksum: u32_at(&bytes, CHECKSUM_OFFSET),
        }
    }

    /// The prefix as it stands on the wire.
    pub fn encode(self) -> [u8; PREFIX_BYTES] {
        let mut bytes = [0; PREFIX_BYTES];
        put(&mut bytes, 0, &self.fingerprint.to_le_bytes());
        put(&mut bytes, 8, &self.to_core.to_le_bytes());
        put(&mut bytes, 10, &self.from_core.to_le_bytes());
        put(&mut bytes, CHECKSUM_OFFSET, &self.checksum.to_le_bytes());
        bytes
    }

    /// CRC-32C over this prefix, its own checksum taken as 0, and the archive.
    pub fn checksum_with(self, archive: &[u8]) -> u32 {
        let prefix = Prefix { checksum: 0, ..self }.encode();
        crc32c::crc32c_append(crc32c::crc32c(&prefix), archive)
    }

    /// Whether the whole archive is the one that was sent, as far as the flags of the message's header promise a
    /// checksum. For a message that came in chunks.
    ///
    /// # Errors
    ///
    /// [`WireError::Checksum`] if it is not; [`WireError::Reserved`] if there is a checksum that the flags do not
    /// promise.
    #[inline]
    pub fn check(self, flags: u8, archive: &[u8]) -> Result<(), WireError> {
        let stated = self.checksum;
        if flags & FLAG_CHECKSUM == 0 {
            return if stated == 0 { Ok(()) } else { Err(WireError::Reserved { kind: KIND_USER }) };
        }
        let found = self.checksum_with(archive);
        if stated == found { Ok(()) } else { Err(WireError::Checksum { stated, found }) }
    }
}

/// A message as it came in, still in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFrame<'a> {
    /// The frame's header. Its length counts the prefix.
    pub header: Header,
    /// What stands before the archive.
    pub prefix: Prefix,
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
        let archive = payload.get(PREFIX_BYTES..).unwrap_or_default();
        let prefix = Prefix::decode(payload);
        if checksums && header.flags() & FLAG_CHECKSUM == 0 {
            return Err(WireError::ChecksumMissing);
        }
        prefix.check(header.flags(), archive)?;
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
        let bytes = (PREFIX_BYTES + self.archive.len()) as u32;
        Header::new(bytes, self.to.port(), KIND_USER, flags, self.to.slot(), self.to.generation())
    }

    /// The frame's prefix.
    pub fn prefix(&self, checksum: bool) -> Prefix {
        let Self { from_core, fingerprint, .. } = *self;
        let prefix = Prefix { fingerprint, to_core: self.to.core(), from_core, checksum: 0 };
        let checksum = if checksum { prefix.checksum_with(self.archive) } else { 0 };
        Prefix { checksum, ..prefix }
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
        if PREFIX_BYTES + bytes > limit_bytes {
            let limit_bytes = limit_bytes.saturating_sub(PREFIX_BYTES);
            return Err(EncodeError::TooLong { kind: KIND_USER, bytes, limit_bytes });
        }
        let start = out.len();
        out.reserve(stride(PREFIX_BYTES + bytes));
        out.extend_from_slice(&header_bytes(self.header(checksum)));
        out.extend_from_slice(&self.prefix(checksum).encode());
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
        && header.len() as usize > PREFIX_BYTES
        && header.stride() == frame.len();
    if !is_message {
        return Err(EncodeError::NoMessage);
    }
    let payload = &mut frame[HEADER_BYTES..HEADER_BYTES + header.len() as usize];
    let checksum = Prefix::decode(payload).checksum_with(&payload[PREFIX_BYTES..]);
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
