//! What is written, taken back, sent, refused.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use mainspring::device::Enlisted;
use mainspring::net::SocketId;

use super::{Notes, Output, Pipe, WriteRefused};

const LIMIT_BYTES: usize = 1_000;

fn pipe() -> (Pipe, Rc<Notes>) {
    let notes = Rc::new(Notes::default());
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    (Pipe::new(SocketId::new(3, 1), peer, LIMIT_BYTES, Rc::clone(&notes)), notes)
}

fn write(pipe: &Pipe, bytes: &[u8]) -> Result<(), WriteRefused> {
    Output { pipe }.write(bytes)
}

fn sent(pipe: &Pipe) -> Vec<u8> {
    pipe.next_send().map(|buffer| buffer.as_slice().to_vec()).unwrap_or_default()
}

#[test]
fn what_a_failed_turn_wrote_is_not_sent_and_what_was_before_it_is() {
    let (pipe, notes) = pipe();
    assert_eq!(write(&pipe, b"one "), Ok(()));
    pipe.committed();
    assert_eq!(write(&pipe, b"half of an answer"), Ok(()));
    Output { pipe: &pipe }.finish();
    pipe.aborted();
    assert_eq!(write(&pipe, b"two"), Ok(()), "the failed turn has not finished it");
    pipe.committed();
    assert_eq!(notes.written.take(), [SocketId::new(3, 1)], "listed once");
    assert_eq!(sent(&pipe), b"one two");
}

#[test]
fn there_is_one_send_at_a_time_and_what_is_in_flight_counts() {
    let (pipe, notes) = pipe();
    assert_eq!(write(&pipe, &[1; 600]), Ok(()));
    pipe.committed();
    assert_eq!(sent(&pipe).len(), 600);
    assert_eq!(write(&pipe, &[2; 300]), Ok(()));
    pipe.committed();
    assert_eq!(sent(&pipe), b"", "one is in flight");
    assert_eq!(pipe.waiting_bytes(), 900);
    assert!(matches!(write(&pipe, &[3; 101]), Err(WriteRefused::Full { waiting_bytes: 900, .. })));
    notes.written.take();
    assert_eq!(pipe.sent(), 600);
    assert_eq!(notes.written.take(), [SocketId::new(3, 1)]);
    assert_eq!(sent(&pipe), [2; 300]);
}

#[test]
fn reading_stops_above_half_of_the_limit_and_room_is_told_once() {
    let (pipe, _) = pipe();
    assert_eq!(write(&pipe, &[1; 500]), Ok(()));
    pipe.committed();
    assert!(!pipe.is_above_high_water());
    assert_eq!(write(&pipe, &[1; 1]), Ok(()));
    pipe.committed();
    assert!(pipe.is_above_high_water() && !pipe.take_room_notice());
    assert!(write(&pipe, &[1; 500]).is_err());
    sent(&pipe);
    pipe.sent();
    assert!(pipe.is_below_low_water() && pipe.take_room_notice() && !pipe.take_room_notice());
}

#[test]
fn a_write_that_can_never_fit_or_comes_too_late_is_refused() {
    let (pipe, _) = pipe();
    assert!(matches!(write(&pipe, &[1; 1_001]), Err(WriteRefused::TooLarge { .. })));
    assert!(!pipe.is_above_high_water(), "nothing is to be waited for");
    Output { pipe: &pipe }.finish();
    assert!(matches!(write(&pipe, b"x"), Err(WriteRefused::Finished { .. })));
    pipe.committed();
    assert!(pipe.has_finished());
    pipe.connection_gone();
    assert!(matches!(write(&pipe, b"x"), Err(WriteRefused::Gone { .. })));
}
