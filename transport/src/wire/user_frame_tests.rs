//! Messages on their way: exact bytes, and checksums put in later.

use mainspring::Address;
use mainspring::frame::{FLAG_FOREIGN, FLAG_LOCAL, ForeignPrefix};

use super::*;

fn message(archive: &[u8]) -> OutgoingFrame<'_> {
    let to = Address::new(0xAABB_CCDD, 0x0102, 0x0304, 0x0506_0708, 0x090A_0B0C);
    OutgoingFrame { to, from_core: 0x0D0E, fingerprint: 0x1112_1314_1516_1718, archive }
}

fn encoded(archive: &[u8], checksum: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(archive).append_to(&mut bytes, ORDINARY_LIMIT_BYTES, checksum).expect("it fits");
    bytes
}

#[test]
fn a_message_is_these_bytes() {
    #[rustfmt::skip]
    let expected = [
        19, 0, 0, 0, 0x04, 0x03, 0, 0x10, 0x08, 0x07, 0x06, 0x05, 0x0C, 0x0B, 0x0A, 0x09,
        0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x02, 0x01, 0x0E, 0x0D, 0, 0, 0, 0,
        7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(encoded(&[7, 8, 9], false), expected);
}

#[test]
fn a_checksum_put_in_later_is_the_one_that_was_written_at_once() {
    for length in [1, 15, 16, 17, 1_000] {
        let archive = vec![0xA5; length];
        let mut later = encoded(&archive, false);
        seal(&mut later).expect("a whole frame");
        assert_eq!(later, encoded(&archive, true));
        seal(&mut later).expect("a second time changes nothing");
        assert_eq!(later, encoded(&archive, true));
    }
}

#[test]
fn what_is_no_whole_message_gets_no_checksum() {
    let good = encoded(&[1, 2, 3], false);
    let mut local = good.clone();
    local[7] |= FLAG_LOCAL;
    let mut internal = good.clone();
    internal[6] = 1;
    let mut empty = good.clone();
    empty[0] = 16;
    for mut bad in [good[..32].to_vec(), Vec::new(), vec![0; 16], local, internal, empty] {
        let before = bad.clone();
        assert_eq!(seal(&mut bad), Err(EncodeError::NoMessage));
        assert_eq!(bad, before);
    }
}

#[test]
fn messages_of_no_bytes_or_too_many_are_not_written() {
    let mut out = Vec::new();
    assert_eq!(message(&[]).append_to(&mut out, 1_000, false), Err(EncodeError::Empty));
    let long = [0; 85];
    let refused = EncodeError::TooLong { kind: KIND_USER, bytes: 85, limit_bytes: 84 };
    assert_eq!(message(&long).append_to(&mut out, 100, false), Err(refused));
    assert!(out.is_empty());
    assert_eq!(message(&long[..84]).append_to(&mut out, 100, false), Ok(()));
}

#[test]
fn a_checksum_that_the_flags_do_not_promise_is_refused() {
    let prefix = ForeignPrefix { fingerprint: 1, core: 2, sender: 3, word: 4 };
    assert_eq!(
        verify_checksum(FLAG_FOREIGN, prefix, &[1]),
        Err(WireError::Reserved { kind: KIND_USER })
    );
    let summed = ForeignPrefix { word: checksum_of(prefix, &[1]), ..prefix };
    assert_eq!(verify_checksum(FLAG_FOREIGN | FLAG_CHECKSUM, summed, &[1]), Ok(()));
    verify_checksum(FLAG_FOREIGN | FLAG_CHECKSUM, summed, &[2]).expect_err("another archive");
}
