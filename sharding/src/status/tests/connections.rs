//! A connection by the clock: it answers once and ends in time.

use crate::status::connection::{Connection, WITHIN_NS};
use crate::status::refusal::Refusal;
use crate::status::response::Response;

const BEGAN_NS: u64 = 7;

fn page() -> Response {
    Response::page("hello".to_owned())
}

fn text(connection: &Connection) -> String {
    String::from_utf8(connection.unsent().to_vec()).expect("text")
}

#[test]
fn a_request_in_pieces_gets_one_answer_that_goes_out_in_pieces() {
    let mut connection = Connection::new(BEGAN_NS);
    for piece in [&b"GET "[..], b"/ HTTP/1.1\r\n", b"\r"] {
        connection.received(piece, |_| panic!("it is not whole"));
        assert!(connection.reads() && connection.unsent().is_empty());
    }
    connection.received(b"\nGET /again HTTP/1.1\r\n\r\n", |_| page());
    connection.received(b"GET /again HTTP/1.1\r\n\r\n", |_| panic!("one request a connection"));
    let whole = page().into_bytes();
    assert_eq!(connection.unsent(), whole);
    assert!(!connection.sent(10));
    assert_eq!(connection.unsent(), &whole[10..]);
    assert!(connection.sent(whole.len() - 10), "all is sent");
    assert!(!connection.is_over(), "the other side closes first");
    connection.ended();
    assert!(connection.is_over());
}

#[test]
fn a_request_that_cannot_be_one_is_refused_before_it_ends() {
    let mut connection = Connection::new(BEGAN_NS);
    connection.received(&[0xff; 20_000], |_| panic!("it is none"));
    assert!(text(&connection).starts_with("HTTP/1.1 400 "), "{}", text(&connection));
}

#[test]
fn who_is_too_slow_is_told_so_and_left() {
    let mut connection = Connection::new(BEGAN_NS);
    connection.received(b"GET ", |_| panic!("it is not whole"));
    connection.look(BEGAN_NS + WITHIN_NS - 1);
    assert!(connection.reads());
    assert_eq!(connection.deadline_ns(), BEGAN_NS + WITHIN_NS);
    connection.look(BEGAN_NS + WITHIN_NS);
    let refused = Response::refused(&Refusal::TooSlow).into_bytes();
    assert_eq!(connection.unsent(), refused);
    connection.look(BEGAN_NS + WITHIN_NS);
    assert!(connection.is_over(), "whether it went out or not");
}

#[test]
fn who_does_not_read_its_answer_or_never_closes_is_left_in_time() {
    let mut lazy = Connection::new(BEGAN_NS);
    lazy.received(b"GET / HTTP/1.1\r\n\r\n", |_| page());
    let mut open = Connection::new(BEGAN_NS);
    open.received(b"GET / HTTP/1.1\r\n\r\n", |_| page());
    assert!(open.sent(open.unsent().len()));
    for mut connection in [lazy, open] {
        connection.look(BEGAN_NS + WITHIN_NS - 1);
        assert!(!connection.is_over());
        connection.look(BEGAN_NS + WITHIN_NS);
        assert!(connection.is_over());
    }
}

#[test]
fn who_leaves_before_its_request_is_whole_is_over() {
    let mut connection = Connection::new(BEGAN_NS);
    connection.received(b"GET ", |_| panic!("it is not whole"));
    connection.ended();
    assert!(connection.is_over());
}
