//! What goes over the wire: a length of four bytes, big-endian, then an [`Envelope`] as rkyv archives it.
//!
//! Two codecs read and write the same bytes. [`to_frame`] and [`from_frame`] are for `LengthDelimitedCodec`, which
//! gives each frame a buffer of its own; [`InPlace`] archives into the connection's buffer and reads out of it.
//!
//! It refuses what is no envelope, and a length that is not that of one, before anything is allocated for it.

use std::io::{self, ErrorKind};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rkyv::rancor::{Error, Failure};
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Deserialize, Serialize};
use tokio_util::codec::{Decoder, Encoder};

/// 24 bytes: a number, and who sent it.
#[derive(Archive, Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Number {
    /// What the receivers add up.
    pub number: u64,
    /// Who sent it.
    pub from: Address,
}

/// An actor of some node.
#[derive(Archive, Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The node.
    pub node: u64,
    /// The actor's place on it.
    pub actor: u64,
}

/// A message and its way.
#[derive(Archive, Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Which actor of the other node is meant.
    pub to: u64,
    /// What it is told.
    pub message: Number,
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;
/// Bytes of an archived envelope, which holds nothing of another size.
const ENVELOPE_BYTES: usize = size_of::<ArchivedEnvelope>();

/// The content of a frame, archived.
pub fn to_frame(envelope: &Envelope) -> io::Result<Bytes> {
    let bytes = rkyv::to_bytes::<Error>(envelope).map_err(io::Error::other)?;
    Ok(Bytes::copy_from_slice(&bytes))
}

/// The envelope in the content of a frame.
pub fn from_frame(frame: &[u8]) -> io::Result<Envelope> {
    let archived = rkyv::access::<ArchivedEnvelope, Error>(frame).map_err(invalid)?;
    rkyv::deserialize::<_, Error>(archived).map_err(invalid)
}

/// Writes envelopes into a buffer and reads them out of it.
pub struct InPlace;

impl Encoder<Envelope> for InPlace {
    type Error = io::Error;

    fn encode(&mut self, envelope: Envelope, buffer: &mut BytesMut) -> io::Result<()> {
        buffer.put_u32(ENVELOPE_BYTES as u32);
        let at = buffer.len();
        buffer.resize(at + ENVELOPE_BYTES, 0);
        let mut place = Buffer::from(&mut buffer[at..]);
        rkyv::api::serialize_using::<_, Failure>(&envelope, &mut place)
            .map_err(io::Error::other)?;
        Ok(())
    }
}

impl Decoder for InPlace {
    type Item = Envelope;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Envelope>> {
        let Some((length, rest)) = buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        if u32::from_be_bytes(*length) as usize != ENVELOPE_BYTES {
            return Err(invalid("a frame that is too long or too short"));
        }
        let Some(content) = rest.get(..ENVELOPE_BYTES) else { return Ok(None) };
        let archived = rkyv::api::low::access::<ArchivedEnvelope, Failure>(content);
        let ArchivedEnvelope { to, message } = archived.map_err(invalid)?;
        let from =
            Address { node: message.from.node.to_native(), actor: message.from.actor.to_native() };
        let message = Number { number: message.number.to_native(), from };
        let envelope = Envelope { to: to.to_native(), message };
        buffer.advance(LENGTH_BYTES + ENVELOPE_BYTES);
        Ok(Some(envelope))
    }
}

fn invalid(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::codec::LengthDelimitedCodec;

    const ENVELOPE: Envelope =
        Envelope { to: 7, message: Number { number: 11, from: Address { node: 1, actor: 13 } } };

    #[test]
    fn both_codecs_write_the_same_bytes_and_read_each_others() {
        let (mut plain, mut in_place) = (BytesMut::new(), BytesMut::new());
        let frame = to_frame(&ENVELOPE).expect("archives");
        LengthDelimitedCodec::new().encode(frame, &mut plain).expect("has room");
        InPlace.encode(ENVELOPE, &mut in_place).expect("archives");
        assert_eq!(plain, in_place);
        assert_eq!(InPlace.decode(&mut plain).expect("an envelope"), Some(ENVELOPE));
        let frame = LengthDelimitedCodec::new().decode(&mut in_place).expect("a frame");
        assert_eq!(from_frame(&frame.expect("whole")).expect("an envelope"), ENVELOPE);
    }

    #[test]
    fn an_envelope_is_read_when_its_last_byte_is_there() {
        let mut whole = BytesMut::new();
        InPlace.encode(ENVELOPE, &mut whole).expect("archives");
        let last = whole.split_off(whole.len() - 1);
        assert_eq!(InPlace.decode(&mut whole).expect("nothing is wrong yet"), None);
        whole.unsplit(last);
        assert_eq!(InPlace.decode(&mut whole).expect("an envelope"), Some(ENVELOPE));
        assert!(whole.is_empty());
    }

    #[test]
    fn a_frame_of_another_length_is_refused() {
        assert!(InPlace.decode(&mut BytesMut::from(&[0, 0, 0, 1, 0][..])).is_err());
        assert!(from_frame(&[0; 3]).is_err());
    }
}
