//! How connections begin and end, and that nothing of them stays.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{
    Bench, CloseCause, Event, LIMITS, LONG, ListenOptions, SendBuffer, SocketError, SocketOptions,
    Taken, both_ways, stream_of,
};

#[test]
fn each_side_finishes_for_itself() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        peer.write_all(b"question").expect("written");
        peer.shutdown(std::net::Shutdown::Write).expect("finished");
        bench.until("end", |log| log.has(&Event::PeerFinished(socket)));
        assert_eq!(bench.log.stream(socket), b"question", "shown before the end is told");

        bench.send(socket, b"answer");
        bench.sockets.finish_sending(socket);
        let refused = bench.sockets.send(socket, SendBuffer::from(&b"more"[..]));
        assert!(refused.is_err(), "this side has finished");
        bench.until("answer", |log| log.has(&Event::Sent(socket, 6, Ok(()))));
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).expect("it ends in order");
        assert_eq!(answer, b"answer");

        bench.sockets.close(socket);
        bench.until("close", |log| log.has(&Event::Closed(socket, CloseCause::Closed)));
        assert_eq!(bench.sockets.counters().open, 0);
        assert_eq!(bench.sockets.counters().receive_memory_bytes, 0);
    });
}

#[test]
fn a_piece_that_is_too_short_for_the_handler_is_shown_before_the_end_is_told() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.log.on_received = Box::new(|_, _, bytes| {
            let bytes = if bytes.len() == 3 { 3 } else { 0 };
            Taken { bytes, wanted: 100 }
        });
        peer.write_all(b"a").expect("written");
        while bench.log.streams.is_empty() {
            bench.until("view", |log| !log.streams.is_empty());
        }
        peer.write_all(b"bc").expect("written");
        drop(peer);
        bench.until("end", |log| log.has(&Event::PeerFinished(socket)));
        assert_eq!(bench.log.stream(socket), b"abc");
    });
}

#[test]
fn a_reset_of_the_peer_ends_the_socket() {
    both_ways(LIMITS, |mut bench| {
        let (socket, peer) = bench.pair(SocketOptions::default());
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("an option");
        drop(peer);
        let reset = Event::Closed(socket, CloseCause::Failed(SocketError::Reset));
        bench.until("reset", |log| log.has(&reset));
        assert_eq!(bench.sockets.counters().failed, 1);
    });
}

#[test]
fn an_abort_resets_the_peer_and_gives_the_buffer_back() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.send(socket, &stream_of(64 << 20));
        bench.turn();
        bench.sockets.abort(socket);
        bench.until("end", |log| log.has(&Event::Closed(socket, CloseCause::Aborted)));
        let gave_back =
            |event: &Event| matches!(event, Event::Sent(_, bytes, Err(_)) if *bytes == 64 << 20);
        assert_eq!(bench.log.count(gave_back), 1, "{:?}", bench.log.events);
        let last = bench.log.events.last();
        assert!(matches!(last, Some(Event::Closed(..))), "the last word: {last:?}");
        let read = peer.read_to_end(&mut Vec::new());
        assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    });
}

#[test]
fn a_peer_that_goes_while_a_send_is_in_flight_fails_the_send_and_then_the_socket() {
    both_ways(LIMITS, |mut bench| {
        let (socket, peer) = bench.pair(SocketOptions::default());
        bench.send(socket, &stream_of(64 << 20));
        bench.turn();
        drop(peer);
        bench.until("end", |log| log.count(|event| matches!(event, Event::Closed(..))) == 1);
        let ends: Vec<_> = bench.log.events.iter().rev().take(2).collect();
        assert!(matches!(ends[0], Event::Closed(_, CloseCause::Failed(_))), "{ends:?}");
        let sends = bench.log.count(|event| matches!(event, Event::Sent(_, _, Err(_))));
        assert_eq!(sends, 1, "{:?}", bench.log.events);
    });
}

#[test]
fn a_close_lets_the_send_in_flight_end() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.send(socket, &stream_of(16 << 20));
        bench.sockets.close(socket);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all)
        });
        bench.until("close", |log| log.has(&Event::Closed(socket, CloseCause::Closed)));
        let all = reader.join().expect("read").expect("it ends in order");
        assert!(all == stream_of(16 << 20));
    });
}

#[test]
fn a_connect_that_nobody_takes_fails_with_the_reason() {
    both_ways(LIMITS, |mut bench| {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a port that nobody listens on");
        let socket = bench.sockets.connect(address, SocketOptions::default()).expect("room");
        let refused = Event::ConnectFailed(socket, SocketError::Refused);
        bench.until("refusal", |log| log.has(&refused));
        let given_up = bench.sockets.connect(address, SocketOptions::default()).expect("room");
        bench.sockets.close(given_up);
        let ended = |event: &Event| matches!(event, Event::ConnectFailed(id, _) if *id == given_up);
        bench.until("end", |log| log.count(ended) == 1);
        assert_eq!(bench.sockets.counters().open, 0);
        assert_eq!(bench.sockets.counters().connects_failed, 2);
    });
}

#[test]
fn a_thousand_connections_come_and_go_and_leave_nothing() {
    both_ways(LIMITS, |mut bench| {
        let address = bench.listen(ListenOptions::default());
        for _ in 0..4 {
            let near: Vec<_> = (0..250)
                .map(|_| bench.sockets.connect(address, SocketOptions::default()).expect("room"))
                .collect();
            let before = bench.log.accepted().len();
            let connected = |event: &Event| matches!(event, Event::Connected(_));
            bench.until("all", |log| {
                log.accepted().len()
                    == before.next_multiple_of(250) + usize::from(before % 250 == 0) * 250
                    && log.count(connected) == log.accepted().len()
            });
            for socket in &near {
                bench.send(*socket, b"hello");
            }
            let far = bench.log.accepted()[before..].to_vec();
            bench.until("hellos", |log| far.iter().all(|socket| log.stream(*socket) == b"hello"));
            for socket in &near {
                bench.sockets.close(*socket);
            }
            bench.until("ends", |log| {
                far.iter().all(|socket| log.has(&Event::PeerFinished(*socket)))
            });
            for socket in &far {
                bench.sockets.close(*socket);
            }
            bench.until("closed", |log| {
                let closed = |event: &Event| matches!(event, Event::Closed(..));
                log.count(closed) == 2 * log.accepted().len()
            });
        }
        let counters = bench.sockets.counters();
        assert_eq!((counters.accepted, counters.connected, counters.closed), (1000, 1000, 2000));
        assert_eq!((counters.open, counters.receive_memory_bytes), (0, 0));
        assert_eq!(bench.net.in_flight(), 1, "the accept alone");
    });
}

#[test]
fn an_id_of_the_past_names_nothing_though_its_slot_is_used_again() {
    both_ways(LIMITS, |mut bench| {
        let (first, peer) = bench.pair(SocketOptions::default());
        bench.sockets.abort(first);
        bench.until("end", |log| log.has(&Event::Closed(first, CloseCause::Aborted)));
        drop(peer);
        let (second, mut peer) = bench.pair(SocketOptions::default());
        assert_eq!(second.slot(), first.slot(), "the slot is used again");
        bench.sockets.abort(first);
        bench.sockets.pause(first);
        assert!(bench.sockets.send(first, SendBuffer::from(&b"x"[..])).is_err());
        peer.write_all(b"for the second").expect("written");
        bench.until("bytes", |log| log.stream(second) == b"for the second");
    });
}

#[test]
fn a_handler_may_end_the_socket_whose_bytes_it_looks_at() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.log.on_received = Box::new(|sockets, socket, bytes| {
            let before = bytes.to_vec();
            sockets.abort(socket);
            assert_eq!(bytes, before);
            Taken::of(0)
        });
        peer.write_all(&stream_of(3000)).expect("written");
        bench.until("end", |log| log.has(&Event::Closed(socket, CloseCause::Aborted)));
    });
}

#[test]
fn a_device_that_is_gone_takes_its_sockets_with_it() {
    both_ways(LIMITS, |mut bench| {
        let other = bench.net.network().sockets();
        let address = "127.0.0.1:0".parse().expect("an address");
        let (_, address) = other.listen(address, ListenOptions::default()).expect("a port");
        let mut peer = TcpStream::connect(address).expect("somebody listens");
        let waiting = other.connect(address, SocketOptions::default()).expect("room");
        while other.counters().accepted < 2 {
            bench.turn();
        }
        assert!(!bench.sockets.has_events(), "they are told to their own device alone");
        let _ = waiting;
        drop(other);
        while bench.sockets.counters().open > 0 || bench.net.in_flight() > 0 {
            bench.turn();
        }
        peer.set_read_timeout(Some(LONG)).expect("a time");
        let end = peer.read(&mut [0; 8]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
    });
}

#[test]
fn a_listener_that_is_stopped_takes_no_more() {
    both_ways(LIMITS, |mut bench| {
        let any = "127.0.0.1:0".parse().expect("an address");
        let (listener, address) =
            bench.sockets.listen(any, ListenOptions::default()).expect("a port is free");
        let _early = TcpStream::connect(address).expect("somebody listens");
        while bench.sockets.counters().accepted == 0 {
            let mut completions = Vec::new();
            bench.ring.borrow_mut().turn(&mut completions).expect("accepted");
            completions.into_iter().for_each(|done| assert!(bench.net.completed(done)));
        }
        bench.sockets.stop_listening(listener);
        while bench.net.in_flight() > 0 {
            bench.turn();
        }
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        assert_eq!(bench.log.events, [], "what was not announced never is");
        assert_eq!(bench.sockets.counters().open, 0);
    });
}

#[test]
fn a_network_that_settles_has_nothing_in_the_kernel() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.send(socket, &stream_of(64 << 20));
        bench.turn();
        let mut others = |completion| panic!("nobody else asked for {completion:?}");
        assert!(bench.net.settle(LONG, &mut others));
        assert_eq!(bench.net.in_flight(), 0);
        peer.set_read_timeout(Some(LONG)).expect("a time");
        let mut all = Vec::new();
        assert!(
            peer.read_to_end(&mut all).is_ok(),
            "what the kernel had is there, and then the end"
        );
        assert!(stream_of(64 << 20).starts_with(&all));
    });
}

#[test]
fn what_is_dropped_in_flight_is_leaked_and_not_freed() {
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.send(socket, &stream_of(64 << 20));
        bench.turn();
        let Bench { ring, net, sockets, log } = bench;
        drop((log, sockets, net));
        // The kernel goes on with memory that is still there, until the ring is gone.
        let mut completions = Vec::new();
        ring.borrow_mut().turn(&mut completions).expect("accepted");
        let mut some = vec![0; 1 << 16];
        let bytes = peer.read(&mut some).expect("bytes are there");
        assert!(stream_of(64 << 20).starts_with(&some[..bytes]));
    });
}
