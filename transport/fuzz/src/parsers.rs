//! Every parser of bytes from a peer, as functions of arbitrary bytes. Each panics when a parser takes for right what
//! does not survive being written again, or gives more than it promises; a parser that panics by itself needs no more.
//!
//! The tests of `mainspring-transport` compile this very file.

use mainspring::frame::{FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, HEADER_BYTES, Header};
use mainspring_transport::handshake::{
    Dialled, Handshake, Hello, Key, Keys, LocalNode, MESSAGE_LIMIT_BYTES, RefusalReason,
};
use mainspring_transport::link::chunks::{ChunkError, ChunkSettings, Progress, Reassembly};
use mainspring_transport::wire::{
    Decoder, FLAG_CHECKSUM, Frame, Lane, LinkFrame, Step, UserFrame, checksum_of, seal,
};

/// A stream of frames. The first byte says which lane, whether checksums were agreed, and whether those of messages
/// are made right first, so that what stands behind them is reached.
pub fn decoder(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let lane = [Lane::Ordinary, Lane::Control, Lane::Bulk, Lane::Ordinary][usize::from(first & 3)];
    let mut bytes = bytes.to_vec();
    if first & 8 != 0 {
        seal_all(&mut bytes);
    }
    let mut decoder = Decoder::new(lane).with_checksums(first & 4 != 0);
    let mut reassembly = Some(Reassembly::new(CHUNKS));
    let mut rest = bytes.as_slice();
    loop {
        match decoder.next(rest) {
            Ok(Step::Frame { frame, bytes }) => {
                assert!((2 * HEADER_BYTES..=rest.len()).contains(&bytes), "{bytes} bytes");
                look_at(frame, &rest[..bytes]);
                if reassembly.as_mut().is_some_and(|pieces| put_together(pieces, frame).is_err()) {
                    // The connection would end here.
                    reassembly = None;
                }
                rest = &rest[bytes..];
            }
            Ok(Step::Need(bytes)) => {
                let most = HEADER_BYTES + lane.limit_bytes().next_multiple_of(16) as usize;
                assert!((rest.len() + 1..=most).contains(&bytes), "waits for {bytes} bytes");
                // A view cut short asks for the same.
                let half = &rest[..rest.len() / 2];
                assert!(half.len() < HEADER_BYTES || decoder.next(half) == Ok(Step::Need(bytes)));
                return;
            }
            Err(error) => {
                assert_eq!(decoder.next(rest), Err(error), "an error is for ever");
                return;
            }
        }
    }
}

const CHUNKS: ChunkSettings =
    ChunkSettings { message_limit_bytes: 1_000, piece_limit_bytes: 500, budget_bytes: 1_500 };

/// A piece of a large message, if the frame is one: never more memory than the budget, whole messages as declared.
fn put_together(pieces: &mut Reassembly<u32>, frame: Frame<'_>) -> Result<(), ChunkError> {
    let progress = match frame {
        Frame::Link(LinkFrame::ChunkFirst(first)) => {
            pieces.first(first.total_bytes, first.total_bytes, first.bytes)
        }
        Frame::Link(LinkFrame::Chunk { bytes }) => pieces.next(bytes),
        _ => return Ok(()),
    };
    assert!(pieces.reserved_bytes() <= CHUNKS.budget_bytes);
    if let Progress::Whole(whole) = progress? {
        assert_eq!(whole.bytes.as_slice().len(), whole.head as usize);
        pieces.release(whole.bytes.as_slice().len());
    }
    Ok(())
}

/// One link frame: the first 16 bytes are its header, with the length made right, and the rest its payload.
pub fn link_frame(data: &[u8]) {
    let Some((head, payload)) = data.split_first_chunk::<HEADER_BYTES>() else { return };
    let (word0, word1) = head.split_at(8);
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let word0 = word(word0) & !u64::from(u32::MAX) | payload.len() as u64;
    for word1 in [word(word1), 0] {
        let header = Header { word0, word1 };
        if let Ok(frame) = LinkFrame::decode(header, payload) {
            let mut again = Vec::new();
            frame.append_to(&mut again).expect("what was read can be written");
            assert_eq!(again[HEADER_BYTES..HEADER_BYTES + payload.len()], *payload);
            assert_eq!(again[..8], word0.to_le_bytes());
        }
    }
}

/// Both ends of a handshake hear the same bytes. The first byte says with or without a key, and how long the pieces
/// are in which they come.
pub fn handshake(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let keyed = first & 1 != 0;
    let piece = usize::from(first >> 1) + 1;
    for mut end in ends(keyed) {
        let (mut there, mut taken) = (0, 0);
        while there < bytes.len() {
            there = (there + piece).min(bytes.len());
            let mut anyone = |_: &Hello| Ok::<(), RefusalReason>(());
            let Ok(progress) = end.receive(&bytes[taken..there], 1, &mut anyone) else { break };
            taken += progress.consumed_bytes;
            assert!(taken <= there, "more taken than there was");
            assert!(progress.wanted_bytes <= MESSAGE_LIMIT_BYTES, "{}", progress.wanted_bytes);
            assert!(progress.to_send.len() <= 2 * MESSAGE_LIMIT_BYTES, "a long answer");
            if let Some(peer) = progress.peer {
                assert!(!keyed, "{} was let in without the key", peer.name);
                break;
            }
            assert!(there - taken < progress.wanted_bytes, "waits for what it has");
        }
    }
}

/// The two nodes of the captures, so that each understands what was said to it.
fn ends(keyed: bool) -> [Handshake; 2] {
    // Nobody who gives the inputs knows this key.
    let key = Key::from_file_bytes(&[0x5A; 32]).expect("long enough");
    let keys = Keys::new(if keyed { vec![key] } else { Vec::new() }).expect("few keys");
    let (id_of_one, id_of_two) =
        (0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF, 0xFFEE_DDCC_BBAA_9988_7766_5544_3322_1100);
    let one = LocalNode::new("bank", "one", id_of_one, 0xA1A2_A3A4, 4);
    let two = LocalNode::new("bank", "two", id_of_two, 0xB1B2_B3B4, 16);
    let dialled = Dialled { lane: Lane::Ordinary, index: 3, expected_incarnation: 0 };
    let (initiator, _) =
        Handshake::initiate(one, dialled, keys.clone(), [0x33; 32], 0).expect("a good node");
    [initiator, Handshake::respond(two, keys, [0x44; 32], 0).expect("a good node")]
}

fn look_at(frame: Frame<'_>, bytes: &[u8]) {
    match frame {
        Frame::User(UserFrame { header, prefix, archive, bytes: whole }) => {
            assert_eq!(whole, bytes);
            assert_eq!(header.flags() & !FLAG_CHECKSUM, FLAG_FOREIGN);
            assert_eq!(archive.len() + FOREIGN_PREFIX_BYTES, header.len() as usize);
            assert!(!archive.is_empty());
            let summed = header.flags() & FLAG_CHECKSUM != 0;
            assert!(!summed || prefix.word == checksum_of(prefix, archive));
        }
        Frame::Link(frame) => {
            let mut again = Vec::new();
            frame.append_to(&mut again).expect("what was read can be written");
            assert_eq!(again, bytes);
        }
    }
}

/// Gives every message of a stream a right checksum, as far as the stream makes sense.
fn seal_all(stream: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = stream.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        let payload = u32::from_le_bytes(*length) as usize;
        let end = at + HEADER_BYTES + payload.next_multiple_of(16);
        let Some(frame) = stream.get_mut(at..end) else { return };
        let _ = seal(frame);
        at = end;
    }
}
