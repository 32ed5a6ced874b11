//! Keys from files, and proofs that fit nowhere else.

use super::*;

fn key(bytes: &[u8]) -> Key {
    Key::from_file_bytes(bytes).expect("long enough")
}

#[test]
fn the_end_of_the_last_line_does_not_change_a_key() {
    let proof = |file: &[u8]| key(file).proof(Role::Initiator, b"x");
    assert_eq!(proof(b"0123456789abcdef"), proof(b"0123456789abcdef\n"));
    assert_eq!(proof(b"0123456789abcdef"), proof(b"0123456789abcdef\r\n"));
    assert_ne!(proof(b"0123456789abcdef"), proof(b"0123456789abcdef "));
}

#[test]
fn short_keys_and_long_lists_are_refused() {
    for bytes in 0..KEY_FILE_MINIMUM_BYTES {
        let error = Key::from_file_bytes(&vec![b'k'; bytes]).expect_err("too short");
        assert_eq!(error, KeyError::TooShort { bytes });
    }
    Key::from_file_bytes(b"0123456789abcde\n").expect_err("a line end is no key");
    let keys = vec![key(b"0123456789abcdef"); KEYS_LIMIT + 1];
    let error = Keys::new(keys.clone()).expect_err("too many");
    assert_eq!(error, KeyError::TooMany { keys: KEYS_LIMIT + 1 });
    Keys::new(keys[1..].to_vec()).expect("as many as are tried");
}

#[test]
fn a_proof_holds_for_one_key_one_role_and_one_handshake() {
    let (ours, other) = (key(b"0123456789abcdef"), key(b"0123456789abcdeg"));
    let proof = *ours.proof(Role::Initiator, b"hello, hello").as_bytes();
    assert!(ours.accepts(Role::Initiator, b"hello, hello", proof));
    assert!(!ours.accepts(Role::Responder, b"hello, hello", proof));
    assert!(!ours.accepts(Role::Initiator, b"hello, hellp", proof));
    assert!(!other.accepts(Role::Initiator, b"hello, hello", proof));
    for bit in 0..256 {
        let mut damaged = proof;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(!ours.accepts(Role::Initiator, b"hello, hello", damaged));
    }
}

#[test]
fn keys_are_not_shown() {
    let keys = Keys::new(vec![key(b"0123456789abcdef")]).expect("one key");
    assert_eq!(format!("{keys:?}"), "Keys([Key(..)])");
}
