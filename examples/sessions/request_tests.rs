//! Requests whole, in parts, and such that are none.

use proptest::prelude::*;

use super::*;

fn words(bytes: &[u8]) -> (Parsed, Vec<String>) {
    let mut places = Places::default();
    let parsed = places.parse(bytes);
    let words = places.of(bytes).from(0).map(|word| String::from_utf8_lossy(word).into_owned());
    (parsed, words.collect())
}

#[test]
fn a_request_is_found_with_its_arguments_and_what_follows_is_left() {
    let (parsed, found) = words(b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\nrest");
    assert_eq!((parsed, found), (Parsed::Request { bytes: 22 }, vec!["GET".into(), "a b".into()]));
    let (parsed, found) = words(b"set  a 1\r\nget a\r\n");
    assert_eq!(parsed, Parsed::Request { bytes: 10 });
    assert_eq!(found, ["set", "a", "1"]);
    for nothing in [&b"\r\n"[..], b"*0\r\n", b"*-1\r\n"] {
        assert_eq!(words(nothing), (Parsed::Request { bytes: nothing.len() }, Vec::new()));
    }
}

#[test]
fn what_is_no_request_is_refused_in_the_words_of_redis() {
    for (bytes, error) in [
        (&b"*x\r\n"[..], "ERR Protocol error: invalid multibulk length"),
        (b"*8193\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1234567890123456789012345", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n:1\r\n", "ERR Protocol error: expected '$', got ':'"),
        (b"*1\r\n*1\r\n", "ERR Protocol error: expected '$', got '*'"),
        (b"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$x\r\n", "ERR Protocol error: invalid bulk length"),
        (b"get \"a\r\n", "ERR Protocol error: unbalanced quotes in request"),
    ] {
        let (Parsed::Refused(refused), _) = words(bytes) else { panic!("taken: {bytes:?}") };
        assert_eq!(refused.to_string(), error);
    }
}

#[test]
fn a_request_that_does_not_end_within_the_limit_is_refused() {
    let mut bytes = b"*2\r\n$3\r\nGET\r\n$99999999\r\n".to_vec();
    bytes.resize(MOST_REQUEST_BYTES - 1, b'x');
    assert!(matches!(words(&bytes).0, Parsed::Incomplete { .. }));
    bytes.push(b'x');
    assert_eq!(words(&bytes).0, Parsed::Refused(ProtocolError::TooLarge));
}

#[test]
fn of_a_request_with_many_arguments_so_many_bytes_are_waited_for_as_it_has_at_least() {
    let (parsed, _) = words(b"*1000\r\n$4\r\nMGET\r\n");
    assert_eq!(parsed, Parsed::Incomplete { wanted_bytes: 17 + 999 * 6 });
}

proptest! {
    #[test]
    fn where_the_bytes_are_split_does_not_matter(
        arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..6),
        split in any::<prop::sample::Index>(),
    ) {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in &arguments {
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        let mut places = Places::default();
        match places.parse(&bytes[..split.index(bytes.len())]) {
            Parsed::Incomplete { wanted_bytes } => prop_assert!(wanted_bytes <= bytes.len()),
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(places.parse(&bytes), Parsed::Request { bytes: bytes.len() });
        let found: Vec<Vec<u8>> = places.of(&bytes).from(0).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(found, arguments);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), starts in 0..3_u8) {
        let start: &[u8] = match starts { 0 => b"", 1 => b"*2\r\n", _ => b"*1\r\n$" };
        let _ = Places::default().parse(&[start, &bytes].concat());
    }
}
