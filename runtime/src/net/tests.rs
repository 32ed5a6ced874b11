//! What is said about errors, and what moves between cores.

use super::{DetachedSocket, SendBuffer, SocketError, SocketOptions};

#[test]
fn error_numbers_get_their_names() {
    assert_eq!(SocketError::from_code(104), SocketError::Reset);
    assert_eq!(SocketError::from_code(111), SocketError::Refused);
    assert_eq!(SocketError::from_code(32), SocketError::Broken);
    assert_eq!(SocketError::from_code(110), SocketError::TimedOut);
    assert_eq!(SocketError::from_code(113), SocketError::Unreachable);
    assert_eq!(SocketError::from_code(24), SocketError::Other(24));
    assert!(SocketError::Other(24).to_string().contains("open files"));
}

#[test]
fn a_buffer_sends_what_is_behind_its_start() {
    let buffer = SendBuffer::from(&b"abcdef"[..]).starting_at(2);
    assert_eq!((buffer.as_slice(), buffer.len(), buffer.is_empty()), (&b"cdef"[..], 4, false));
    assert!(buffer.as_slice().as_ptr().addr() % 16 == 2);
    let beyond = buffer.starting_at(9);
    assert!(beyond.is_empty());
    assert_eq!(beyond.into_bytes().as_slice(), b"abcdef");
}

#[test]
fn a_detached_connection_of_another_kind_comes_back_whole() {
    let detached = DetachedSocket::new(7_u32, vec![1, 2], 5, true, 4096);
    let detached = detached.into_connection::<String>().expect_err("it is no string");
    assert_eq!((detached.unread(), detached.position_bytes()), (&[1, 2][..], 5));
    let (number, rest) = detached.into_connection::<u32>().expect("it is a number");
    assert_eq!((number, rest.peer_finished(), rest.receive_bytes()), (7, true, 4096));
    assert!(rest.with_connection(8_u32).into_connection::<u32>().is_ok());
}

#[test]
fn options_out_of_range_are_refused_with_the_range() {
    assert_eq!(SocketOptions::default().check(), Ok(()));
    let refused = SocketOptions { receive_bytes: 1, ..SocketOptions::default() }.check();
    assert!(refused.is_err_and(|reason| reason.contains("4096")));
}
