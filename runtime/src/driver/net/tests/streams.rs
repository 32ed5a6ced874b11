//! Bytes on their way: every split, every place in memory, and senders that are held up.

use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::thread;

use super::{Event, LIMITS, SendBuffer, SocketOptions, Taken, both_ways, stream_of};
use crate::driver::net::incremental::Shape;

/// A small generator, so that a run is the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

#[test]
fn what_a_peer_sends_in_any_pieces_comes_back_as_it_was() {
    const TOTAL: usize = 1 << 20;
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 16 << 10, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        let mut reader = peer.try_clone().expect("a descriptor is free");
        let writer = thread::spawn(move || {
            let (stream, mut draw, mut at) = (stream_of(TOTAL), Draw(7), 0);
            while at < TOTAL {
                let bound = [40, 900, 5_000, 70_000][draw.below(4)];
                let end = (at + 1 + draw.below(bound)).min(TOTAL);
                peer.write_all(&stream[at..end]).expect("it is read");
                at = end;
            }
        });
        let reader = thread::spawn(move || {
            let mut back = vec![0; TOTAL];
            reader.read_exact(&mut back).expect("all of it comes back");
            back
        });
        let mut draw = Draw(11);
        bench.log.on_received = Box::new(move |sockets, socket, bytes| {
            // One send at a time: what comes meanwhile waits where it is.
            let take = (1 + draw.below(2 * bytes.len())).min(bytes.len());
            match sockets.send(socket, SendBuffer::from(&bytes[..take])) {
                Ok(()) => Taken { bytes: take, wanted: draw.below(9_000) },
                Err(_) => {
                    sockets.pause(socket);
                    Taken::of(0)
                }
            }
        });
        loop {
            let sends = bench.log.events.len();
            bench.until("send", |log| log.events.len() > sends);
            if bench.log.stream(socket).len() == TOTAL {
                break;
            }
            bench.sockets.pause(socket);
            bench.sockets.resume(socket);
        }
        writer.join().expect("all is written");
        assert!(reader.join().expect("all is read") == stream_of(TOTAL));
        assert!(bench.log.stream(socket) == stream_of(TOTAL));
    });
}

#[test]
fn frames_that_lie_across_the_end_of_the_memory_are_shown_in_one_piece() {
    const FRAME: usize = 5_008;
    const FRAMES: usize = 200;
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 2 * FRAME, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        let writer = thread::spawn(move || {
            peer.write_all(&stream_of(FRAME * FRAMES)).expect("it is read");
            peer
        });
        bench.log.on_received = Box::new(move |_, _, bytes| {
            let whole = bytes.len() / FRAME * FRAME;
            // A piece of a frame is never taken; so a view that begins with one holds it whole some time.
            Taken { bytes: whole, wanted: FRAME }
        });
        bench.until("frame", |log| log.stream(socket).len() == FRAME * FRAMES);
        writer.join().expect("all is written");
        assert!(bench.log.stream(socket) == stream_of(FRAME * FRAMES));
    });
}

#[test]
fn a_paused_socket_holds_its_sender_up_and_loses_nothing() {
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 16 << 10, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        // First used a little, so that it has all the memory that it gets.
        let warm_up = 10 * 1024;
        let stream = stream_of(64 << 20);
        for piece in stream[..warm_up].chunks(1024) {
            peer.write_all(piece).expect("written");
            let at = bench.log.stream(socket).len();
            bench.until("piece", |log| log.stream(socket).len() > at);
        }
        bench.until("rest", |log| log.stream(socket).len() == warm_up);
        bench.sockets.pause(socket);
        peer.set_nonblocking(true).expect("a flag");
        let mut sent = warm_up;
        loop {
            match peer.write(&stream[sent..]) {
                Ok(bytes) => sent += bytes,
                // On this device the bytes are there when `write` returns, so nothing more can come.
                Err(error) if error.kind() == ErrorKind::WouldBlock && !bench.turn() => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert!(sent < stream.len(), "the sender was never held up");
        let counters = bench.sockets.counters();
        let most = Shape::for_bytes(16 << 10).bytes().max(16 << 10);
        assert!(counters.received_bytes as usize <= warm_up + most, "{counters:?}");
        assert_eq!(bench.log.stream(socket).len(), warm_up, "nothing is shown");

        bench.sockets.resume(socket);
        bench.until("rest", |log| log.stream(socket).len() == sent);
        assert!(bench.log.stream(socket) == &stream[..sent]);
    });
}

#[test]
fn a_socket_that_pauses_while_it_is_shown_bytes_sees_them_again() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.log.on_received = Box::new(|sockets, socket, _| {
            sockets.pause(socket);
            Taken::of(1)
        });
        peer.write_all(b"abcdef").expect("written");
        for shown in 1..=6 {
            bench.until("byte", |log| log.stream(socket).len() == shown);
            assert!(!bench.turn(), "a paused socket is silent");
            bench.sockets.resume(socket);
        }
        assert_eq!(bench.log.stream(socket), b"abcdef");
    });
}

#[test]
fn one_send_is_in_flight_and_ends_when_all_of_it_is_with_the_kernel() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        let bytes = stream_of(16 << 20);
        bench.send(socket, &bytes);
        let second = bench.sockets.send(socket, SendBuffer::from(&b"later"[..]));
        let refused = second.expect_err("one at a time");
        assert_eq!(refused.bytes.as_slice(), b"later");
        let reader = thread::spawn(move || {
            let mut all = vec![0; 16 << 20];
            peer.read_exact(&mut all).expect("all of it comes");
            (all, peer)
        });
        bench.until("end of the send", |log| log.has(&Event::Sent(socket, 16 << 20, Ok(()))));
        let (all, _peer) = reader.join().expect("all is read");
        assert!(all == bytes);
        assert_eq!(bench.log.count(|event| matches!(event, Event::Sent(..))), 1);
        bench.sockets.send(socket, SendBuffer::default()).expect("nothing is a send too");
        bench.until("its end", |log| log.has(&Event::Sent(socket, 0, Ok(()))));
    });
}

#[test]
fn a_connection_goes_to_another_core_with_what_was_not_taken() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        let stream = stream_of(40_000);
        bench.log.on_received =
            Box::new(|_, _, bytes| Taken { bytes: bytes.len().min(7), wanted: 20_000 });
        peer.write_all(&stream[..5_000]).expect("written");
        bench.until("first bytes", |log| log.stream(socket).len() == 7);
        bench.sockets.detach(socket);
        bench.until("the connection", |log| log.detached.is_some());
        let detached = bench.log.detached.take().expect("just seen");
        assert_eq!(detached.position_bytes(), 7);
        assert!(
            bench.sockets.send(socket, SendBuffer::from(&b"x"[..])).is_err(),
            "it is gone here"
        );

        let mut other = super::Bench::new(bench.ways(), LIMITS);
        other.log.begins_at = 7;
        let adopted = other.sockets.adopt(detached).expect("room");
        peer.write_all(&stream[5_000..]).expect("written");
        other.until("the rest", |log| log.stream(adopted).len() == stream.len() - 7);
        assert!(other.log.stream(adopted) == &stream[7..]);
        other.send(adopted, b"back");
        other.until("the answer", |log| log.has(&Event::Sent(adopted, 4, Ok(()))));
        let mut back = [0; 4];
        peer.read_exact(&mut back).expect("it comes");
        assert_eq!(&back, b"back");
        assert_eq!(bench.sockets.counters().open, 0);
    });
}

#[test]
fn two_sockets_of_one_core_talk_to_each_other() {
    both_ways(LIMITS, |mut bench| {
        let address = bench.listen(super::ListenOptions::default());
        let near = bench.sockets.connect(address, SocketOptions::default()).expect("room");
        let early = bench.sockets.send(near, SendBuffer::from(&b"x"[..]));
        assert!(early.is_err(), "the connection is not there yet");
        bench.until("both", |log| log.has(&Event::Connected(near)) && !log.accepted().is_empty());
        let far = bench.log.accepted()[0];
        bench.log.on_received = Box::new(|sockets: &Rc<dyn super::Sockets>, socket, bytes| {
            if bytes.len() < 64 {
                let longer = [bytes, b"!"].concat();
                sockets.send(socket, SendBuffer::from(longer.as_slice())).expect("free");
            }
            Taken::of(bytes.len())
        });
        bench.send(near, b"?");
        bench.until("the last word", |log| {
            log.stream(near).ends_with(b"!") && log.stream(far).len() > 1000
        });
    });
}
