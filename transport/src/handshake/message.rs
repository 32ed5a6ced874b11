//! The envelope of the handshake's messages.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–7 | `magic` | `MSPRLINK` in ASCII |
//! | 8 | `kind` | 1 hello, 2 proof, 3 welcome, 4 refused |
//! | 9–11 | | zero |
//! | 12–15 | `length` | exact bytes of the body, from 1 to 4,080 |
//! | 16– | | the body, and zeroes up to the next multiple of 16 |
//!
//! Invariant: bytes that cannot become a message are known as such as soon as the first wrong one is there.

use mainspring::frame::{HEADER_BYTES, stride};

use crate::wire::fields::{is_zero, put, u32_at};

/// The most bytes of a message of the handshake, envelope and padding included.
pub const MESSAGE_LIMIT_BYTES: usize = 4_096;

const MAGIC: &[u8; 8] = b"MSPRLINK";

/// The envelope is as long as a frame's header, so that frames after it start at multiples of 16.
const ENVELOPE_BYTES: usize = HEADER_BYTES;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello = 1,
    Proof = 2,
    Welcome = 3,
    Refused = 4,
}

/// What a view begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A message; `bytes` is all of it.
    Message { kind: Kind, body: &'a [u8], bytes: &'a [u8] },
    /// The beginning of one.
    Need(usize),
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// Whoever sent them is no mainspring node.
    Garbage,
    /// They begin like a message.
    Malformed(&'static str),
}

impl Kind {
    /// The whole message with this body, which is short enough: all are made here.
    pub(super) fn message(self, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; stride(body.len())];
        put(&mut message, 0, MAGIC);
        put(&mut message, 8, &[self as u8]);
        put(&mut message, 12, &(body.len() as u32).to_le_bytes());
        put(&mut message, ENVELOPE_BYTES, body);
        message
    }

    fn from_code(code: u8) -> Option<Kind> {
        [Kind::Hello, Kind::Proof, Kind::Welcome, Kind::Refused]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

/// What `bytes` begins with.
pub(super) fn read(bytes: &[u8]) -> Result<Step<'_>, NoMessage> {
    let there = bytes.len().min(MAGIC.len());
    if bytes[..there] != MAGIC[..there] {
        return Err(NoMessage::Garbage);
    }
    if bytes.len() < ENVELOPE_BYTES {
        return Ok(Step::Need(ENVELOPE_BYTES));
    }
    let kind = Kind::from_code(bytes[8]).ok_or(NoMessage::Malformed("an unknown message"))?;
    let length = u32_at(bytes, 12) as usize;
    if length == 0 || length > MESSAGE_LIMIT_BYTES - ENVELOPE_BYTES {
        return Err(NoMessage::Malformed("a message of no or too many bytes"));
    }
    if !is_zero(&bytes[9..12]) {
        return Err(NoMessage::Malformed("bytes that must be zero are not"));
    }
    let whole = stride(length);
    let Some(bytes) = bytes.get(..whole) else { return Ok(Step::Need(whole)) };
    let (body, padding) = bytes[ENVELOPE_BYTES..].split_at(length);
    if !is_zero(padding) {
        return Err(NoMessage::Malformed("padding that must be zero is not"));
    }
    Ok(Step::Message { kind, body, bytes })
}

#[test]
fn garbage_is_known_at_its_first_byte() {
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x16\x03\x01", b"MSPRLOG1", &[0]] {
        assert_eq!(read(garbage), Err(NoMessage::Garbage));
    }
    for there in 0..16 {
        assert_eq!(read(&Kind::Proof.message(&[1; 32])[..there]), Ok(Step::Need(16)));
    }
}

#[test]
fn a_message_is_read_as_it_was_written_and_not_before_it_is_whole() {
    for length in [1, 15, 16, 17, MESSAGE_LIMIT_BYTES - 16] {
        let body = vec![3; length];
        let message = Kind::Welcome.message(&body);
        let whole = Step::Message { kind: Kind::Welcome, body: &body, bytes: &message };
        assert_eq!(read(&[message.as_slice(), &[9; 5]].concat()), Ok(whole));
        assert_eq!(read(&message[..message.len() - 1]), Ok(Step::Need(message.len())));
        assert!(message.len() <= MESSAGE_LIMIT_BYTES);
    }
}

#[test]
fn envelopes_that_are_wrong_are_refused_before_their_body_is_there() {
    let good = Kind::Hello.message(&[1; 20]);
    for (offset, byte) in [(8, 0), (8, 5), (9, 1), (11, 1), (13, 16), (15, 1), (12, 0)] {
        let mut bad = good[..16].to_vec();
        bad[offset] = byte;
        assert!(matches!(read(&bad), Err(NoMessage::Malformed(_))), "{offset}: {byte}");
    }
    let mut padded = good;
    padded[47] = 1;
    assert!(matches!(read(&padded), Err(NoMessage::Malformed(_))));
}
