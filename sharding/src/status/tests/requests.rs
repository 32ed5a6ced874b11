//! What bytes are as requests, damaged ones among them.

use proptest::prelude::*;

use crate::status::refusal::Refusal;
use crate::status::request::{
    BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, Method, Reading, Request, TARGET_LIMIT_BYTES, encoded, read,
};

fn refusal(bytes: impl AsRef<[u8]>) -> u16 {
    match read(bytes.as_ref()) {
        Reading::Refused(refusal) => refusal.status().0,
        other => panic!("{other:?}"),
    }
}

fn whole(bytes: impl AsRef<[u8]>) -> Request {
    match read(bytes.as_ref()) {
        Reading::Whole(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_read_with_its_path_query_and_token() {
    let request = whole(
        "POST /shards/single%2Fbilling/7/move?to=12%2F3&x HTTP/1.1\r\nHost: a\r\nauthorization: bearer abc\r\n\r\n",
    );
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.segments, ["shards", "single/billing", "7", "move"]);
    let query = [("to".to_owned(), "12/3".to_owned()), ("x".to_owned(), String::new())];
    assert_eq!(request.query, query);
    assert_eq!(request.bearer.as_deref(), Some("abc"));
    assert_eq!(whole("GET / HTTP/1.1\r\n\r\n").segments, [""; 0]);
    let basic = whole("GET / HTTP/1.1\r\nAuthorization: Basic abc\r\n\r\n");
    assert_eq!(basic.bearer, None);
}

#[test]
fn a_request_is_whole_only_with_its_body() {
    let request = "POST /rebalance HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    for end in 0..request.len() {
        assert_eq!(read(&request.as_bytes()[..end]), Reading::More, "{end}");
    }
    assert_eq!(whole(request).segments, ["rebalance"]);
}

#[test]
fn what_is_larger_than_a_limit_is_refused_by_the_number_of_that_limit() {
    let at = "GET / HTTP/1.1\r\n";
    let filled = |bytes: usize| format!("{at}X: {}\r\n\r\n", "x".repeat(bytes - at.len() - 7));
    assert_eq!(filled(HEAD_LIMIT_BYTES).len(), HEAD_LIMIT_BYTES);
    whole(filled(HEAD_LIMIT_BYTES));
    assert_eq!(refusal(filled(HEAD_LIMIT_BYTES + 1)), 431);
    assert_eq!(refusal("GET ".to_owned() + &"/x".repeat(HEAD_LIMIT_BYTES)), 431);
    assert_eq!(refusal(format!("{at}{}\r\n", "A: b\r\n".repeat(65))), 431);
    let path = format!("/{}", "x".repeat(TARGET_LIMIT_BYTES));
    assert_eq!(refusal(format!("GET {path} HTTP/1.1\r\n\r\n")), 414);
    let body = |bytes: usize| format!("POST / HTTP/1.1\r\nContent-Length: {bytes}\r\n\r\n");
    assert_eq!(read(body(BODY_LIMIT_BYTES).as_bytes()), Reading::More);
    assert_eq!(refusal(body(BODY_LIMIT_BYTES + 1)), 413);
    let digits = "9".repeat(40);
    assert_eq!(refusal(format!("POST / HTTP/1.1\r\nContent-Length: {digits}\r\n\r\n")), 413);
    assert_eq!(refusal("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    for bytes in [
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET http://elsewhere/ HTTP/1.1\r\n\r\n",
        "GET /%zz HTTP/1.1\r\n\r\n",
        "GET /%4 HTTP/1.1\r\n\r\n",
        "GET /%ff HTTP/1.1\r\n\r\n",
        "GET /?a=%f HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0",
    ] {
        assert_eq!(refusal(bytes), 400, "{bytes:?}");
        let Reading::Refused(Refusal::Malformed { why }) = read(bytes.as_bytes()) else {
            panic!("{bytes:?}");
        };
        assert!(!why.is_empty());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        read(&bytes);
    }

    #[test]
    fn a_damaged_request_is_read_without_a_panic(
        at in 0usize..80,
        byte: u8,
        cut in 0usize..80,
    ) {
        let head = b"POST /members/77/leave?x=%20 HTTP/1.1\r\nAuthorization: Bearer abc\r\n";
        let mut bytes = [&head[..], b"Content-Length: 2\r\n\r\nab"].concat();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut);
        read(&bytes);
    }

    #[test]
    fn nobody_is_asked_for_more_than_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut long = b"POST / HTTP/1.1\r\nX: ".to_vec();
        long.extend(bytes.iter().cycle().take(HEAD_LIMIT_BYTES + BODY_LIMIT_BYTES + 1));
        let is_long = long.len() > HEAD_LIMIT_BYTES + BODY_LIMIT_BYTES;
        prop_assert!(!is_long || read(&long) != Reading::More);
    }

    #[test]
    fn a_text_that_is_encoded_is_one_part_of_a_path_and_comes_back(text in ".{1,40}") {
        let request = whole(format!("GET /shards/{} HTTP/1.1\r\n\r\n", encoded(&text)));
        prop_assert_eq!(request.segments, ["shards".to_owned(), text]);
    }
}
