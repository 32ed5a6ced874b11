//! Link frames one by one: what is refused when they are written, and when they are read.

use mainspring::Address;
use mainspring::frame::{FLAG_FOREIGN, ForeignPrefix, Header};

use super::*;

fn encoded(frame: &LinkFrame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.append_to(&mut bytes).expect("it can be sent");
    assert_eq!(bytes.len(), frame.frame_bytes());
    bytes
}

fn decoded(kind: u8, payload: &[u8]) -> Result<LinkFrame<'_>, WireError> {
    LinkFrame::decode(Header::new(payload.len() as u32, 0, kind, 0, 0, 0), payload)
}

#[test]
fn a_credit_is_these_bytes() {
    let frame = LinkFrame::Credit { consumed_bytes: 0x0102, consumed_frames: 3 };
    let mut expected = [0; 32];
    expected[0] = 16;
    expected[6] = 0x80;
    expected[16..18].copy_from_slice(&[2, 1]);
    expected[24] = 3;
    assert_eq!(encoded(&frame), expected);
}

#[test]
fn a_wish_for_the_bulk_connection_is_these_bytes() {
    let frame = LinkFrame::BulkWanted { waiting_bytes: 0x0102 };
    let mut expected = [0; 32];
    expected[0] = 8;
    expected[6] = 0x88;
    expected[16..18].copy_from_slice(&[2, 1]);
    assert_eq!(encoded(&frame), expected);
    assert_eq!(decoded(KIND_BULK_WANTED, &expected[16..24]), Ok(frame));
}

#[test]
fn room_that_was_used_before_is_overwritten_to_the_last_byte() {
    let frame = LinkFrame::Goodbye { reason: GoodbyeReason::Idle, text: "no more" };
    let mut room = [0xFF; 100];
    assert_eq!(frame.write_to(&mut room), Ok(32));
    assert_eq!(room[..32], encoded(&frame));
    assert_eq!(room[32..], [0xFF; 68]);
    let no_room = EncodeError::Room { room_bytes: 31, frame_bytes: 32 };
    assert_eq!(frame.write_to(&mut room[..31]), Err(no_room));
}

#[test]
fn lengths_other_than_the_kinds_own_are_refused() {
    let exact = [
        (KIND_CREDIT, 16),
        (KIND_CONTROL, 48),
        (KIND_CONTROL_ACK, 8),
        (KIND_HEARTBEAT, 8),
        (KIND_BULK_WANTED, 8),
    ];
    for (kind, right) in exact {
        for bytes in (1..64).filter(|bytes| *bytes != right) {
            let wrong = WireError::Length { kind, declared_bytes: bytes as u32 };
            assert_eq!(decoded(kind, &vec![0; bytes]), Err(wrong));
        }
    }
    for (kind, bytes) in [
        (KIND_CHUNK, CHUNK_LIMIT_BYTES + 1),
        (KIND_CHUNK_FIRST, CHUNK_FIRST_BYTES),
        (KIND_CHUNK_FIRST, CHUNK_FIRST_BYTES + CHUNK_LIMIT_BYTES + 1),
        (KIND_GOODBYE, GOODBYE_TEXT_LIMIT_BYTES + 2),
    ] {
        let wrong = WireError::Length { kind, declared_bytes: bytes as u32 };
        assert_eq!(decoded(kind, &vec![0; bytes]), Err(wrong));
    }
}

#[test]
fn a_payload_shorter_than_its_header_says_is_refused() {
    let header = Header::new(16, 0, KIND_CREDIT, 0, 0, 0);
    let wrong = WireError::Length { kind: KIND_CREDIT, declared_bytes: 16 };
    assert_eq!(LinkFrame::decode(header, &[0; 15]), Err(wrong));
}

#[test]
fn fields_of_the_header_that_link_frames_do_not_use_are_zero() {
    for (header, error) in [
        (Header::new(8, 1, KIND_HEARTBEAT, 0, 0, 0), WireError::Reserved { kind: KIND_HEARTBEAT }),
        (Header::new(8, 0, KIND_HEARTBEAT, 0, 1, 0), WireError::Reserved { kind: KIND_HEARTBEAT }),
        (Header::new(8, 0, KIND_HEARTBEAT, 0, 0, 1), WireError::Reserved { kind: KIND_HEARTBEAT }),
        (
            Header::new(8, 0, KIND_HEARTBEAT, 0x10, 0, 0),
            WireError::Flags { kind: KIND_HEARTBEAT, flags: 0x10 },
        ),
    ] {
        assert_eq!(LinkFrame::decode(header, &[0; 8]), Err(error));
    }
}

#[test]
fn a_control_body_is_of_the_closed_list() {
    let actor = Address::new(1, 2, 3, 4, 5);
    let body = ControlBody::Watch { actor, watcher: actor };
    let good = encoded(&LinkFrame::Control { sequence: 1, body });
    let changed = |offset: usize, byte: u8| {
        let mut payload = good[16..].to_vec();
        payload[offset] = byte;
        decoded(KIND_CONTROL, &payload).err()
    };
    assert_eq!(changed(8, 1), None);
    for body in [0, 4, 255] {
        assert_eq!(changed(8, body), Some(WireError::UnknownBody { body }));
    }
    // A watch has no reason; a termination has one of five.
    assert_eq!(changed(9, 1), Some(WireError::Reserved { kind: KIND_CONTROL }));
    assert_eq!(changed(8, 3), Some(WireError::UnknownStopReason { reason: 0 }));
    for reserved in 10..16 {
        let error = changed(reserved, 1);
        assert_eq!(error, Some(WireError::Reserved { kind: KIND_CONTROL }));
    }
}

#[test]
fn a_first_chunk_that_contradicts_itself_is_refused_on_both_sides() {
    let prefix = ForeignPrefix { fingerprint: 1, core: 0, sender: 0, word: 0 };
    let header = |bytes: u32, flags| Header::new(bytes, 0, KIND_USER, flags, 1, 1);
    let bytes = [1; 20].as_slice();
    let good = ChunkFirst { header: header(116, FLAG_FOREIGN), prefix, total_bytes: 100, bytes };
    let good_bytes = encoded(&LinkFrame::ChunkFirst(good));
    for bad in [
        ChunkFirst { total_bytes: 101, ..good },
        ChunkFirst { header: header(115, FLAG_FOREIGN), ..good },
        ChunkFirst { header: header(35, FLAG_FOREIGN), total_bytes: 19, ..good },
        ChunkFirst { header: header(116, 0x40), ..good },
        ChunkFirst { header: Header::new(116, 0, 1, FLAG_FOREIGN, 1, 1), ..good },
    ] {
        let error = EncodeError::ChunkHeader { total_bytes: bad.total_bytes };
        assert_eq!(LinkFrame::ChunkFirst(bad).append_to(&mut Vec::new()), Err(error));
        let mut payload = good_bytes[16..16 + 68].to_vec();
        payload[..16].copy_from_slice(&fields::header_bytes(bad.header));
        payload[32..36].copy_from_slice(&bad.total_bytes.to_le_bytes());
        decoded(KIND_CHUNK_FIRST, &payload).expect_err("it contradicts itself");
    }
    for (offset, what) in [(28, "a checksum that is not promised"), (36, "reserved bytes")] {
        let mut payload = good_bytes[16..16 + 68].to_vec();
        payload[offset] = 1;
        let error = WireError::Reserved { kind: KIND_CHUNK_FIRST };
        assert_eq!(decoded(KIND_CHUNK_FIRST, &payload), Err(error), "{what}");
    }
}

#[test]
fn what_no_frame_holds_is_not_written() {
    let mut out = vec![1];
    let long = "x".repeat(GOODBYE_TEXT_LIMIT_BYTES + 1);
    let bytes = vec![0; CHUNK_LIMIT_BYTES + 1];
    for frame in [
        LinkFrame::Goodbye { reason: GoodbyeReason::Shutdown, text: &long },
        LinkFrame::Chunk { bytes: &bytes },
        LinkFrame::Chunk { bytes: &[] },
    ] {
        frame.append_to(&mut out).expect_err("it does not fit");
        frame.write_to(&mut [0; 100]).expect_err("it does not fit");
    }
    assert_eq!(out, [1]);
}

#[test]
fn a_goodbye_of_a_newer_version_is_still_understood_as_one() {
    let read = decoded(KIND_GOODBYE, &[200, b'x']);
    assert_eq!(read, Ok(LinkFrame::Goodbye { reason: GoodbyeReason::Other(200), text: "x" }));
    for code in 0..=u8::MAX {
        assert_eq!(GoodbyeReason::from_code(code).code(), code);
        assert!(!GoodbyeReason::from_code(code).to_string().is_empty());
    }
    assert_eq!(decoded(KIND_GOODBYE, &[1, 0xFF]), Err(WireError::Text));
}
