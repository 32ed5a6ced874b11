//! What happens at each limit, and on a ring that is full.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{
    AcceptFailure, CloseCause, Event, LIMITS, ListenOptions, NetLimits, SocketOptions, Taken,
    both_ways, on_rings_of, stream_of,
};
use crate::driver::net::plain::FIRST_BYTES;
use crate::net::{ConnectRefused, SocketError};

#[test]
fn beyond_the_limit_of_sockets_connections_are_refused_on_both_sides() {
    both_ways(NetLimits { sockets: 2, ..LIMITS }, |mut bench| {
        let address = bench.listen(ListenOptions::default());
        let _peers = [TcpStream::connect(address), TcpStream::connect(address)];
        bench.until("two", |log| log.accepted().len() == 2);
        let mut third = TcpStream::connect(address).expect("the kernel takes it");
        let full = Event::AcceptFailed(AcceptFailure::Full { limit: 2 });
        bench.until("refusal", |log| log.has(&full));
        assert_eq!(third.read(&mut [0; 1]).ok(), Some(0), "closed at once");
        let refused = bench.sockets.connect(address, SocketOptions::default());
        assert!(matches!(refused, Err(ConnectRefused::Full { limit: 2, .. })));
        // One goes, and there is room again.
        let first = bench.log.accepted()[0];
        bench.sockets.abort(first);
        bench.until("end", |log| log.has(&Event::Closed(first, CloseCause::Aborted)));
        let _fourth = TcpStream::connect(address).expect("the kernel takes it");
        bench.until("third", |log| log.accepted().len() == 3);
    });
}

#[test]
fn more_bytes_at_once_than_the_options_allow_end_the_socket() {
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 8 << 10, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        bench.log.on_received = Box::new(|_, _, _| Taken { bytes: 0, wanted: (8 << 10) + 1 });
        peer.write_all(b"a long story").expect("written");
        let (wanted_bytes, limit_bytes) = ((8 << 10) + 1, 8 << 10);
        let cause = CloseCause::ReceiveMemory { wanted_bytes, limit_bytes };
        bench.until("end", |log| log.has(&Event::Closed(socket, cause)));
    });
}

#[test]
fn as_many_bytes_at_once_as_the_options_allow_are_shown() {
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 8 << 10, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        let writer = std::thread::spawn(move || {
            peer.write_all(&stream_of(1001 + 40 * (8 << 10))).expect("it is read");
            peer
        });
        let mut first = true;
        bench.log.on_received = Box::new(move |_, _, bytes| {
            let whole = if std::mem::take(&mut first) { 1001.min(bytes.len()) } else { 0 };
            let whole = whole + (bytes.len() - whole) / (8 << 10) * (8 << 10);
            Taken { bytes: whole, wanted: 8 << 10 }
        });
        bench.until("all", |log| log.stream(socket).len() >= 40 * (8 << 10));
        writer.join().expect("all is written");
    });
}

#[test]
fn without_memory_a_socket_lives_on_its_first_kibibyte() {
    both_ways(NetLimits { receive_memory_bytes: 0, ..LIMITS }, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        let writer = std::thread::spawn(move || {
            peer.write_all(&stream_of(100_000)).expect("it is read");
            peer
        });
        bench.until("all", |log| log.stream(socket).len() == 100_000);
        let mut peer = writer.join().expect("all is written");
        assert_eq!(bench.sockets.counters().receive_memory_bytes as usize, FIRST_BYTES);
        assert!(bench.log.stream(socket) == stream_of(100_000));

        bench.log.on_received = Box::new(|_, _, _| Taken { bytes: 0, wanted: 2000 });
        peer.write_all(&stream_of(3000)).expect("written");
        bench.until("end", |log| log.count(|event| matches!(event, Event::Closed(..))) == 1);
        assert_eq!(bench.sockets.counters().receive_memory_bytes, 0);
    });
}

#[test]
fn a_socket_that_receives_nothing_has_a_kibibyte() {
    both_ways(LIMITS, |mut bench| {
        let (_socket, _peer) = bench.pair(SocketOptions::default());
        while bench.turn() {}
        assert_eq!(bench.sockets.counters().receive_memory_bytes as usize, FIRST_BYTES);
    });
}

#[test]
fn a_ring_with_two_entries_serves_fifty_connections() {
    on_rings_of(2, LIMITS, |mut bench| {
        let address = bench.listen(ListenOptions::default());
        let near: Vec<_> = (0..50)
            .map(|_| bench.sockets.connect(address, SocketOptions::default()).expect("room"))
            .collect();
        bench.until("all", |log| {
            log.accepted().len() == 50
                && log.count(|event| matches!(event, Event::Connected(_))) == 50
        });
        for (index, socket) in near.iter().enumerate() {
            bench.send(*socket, &stream_of(5_000 + index));
        }
        bench.until("bytes", |log| {
            let sum: usize = log.accepted().iter().map(|socket| log.stream(*socket).len()).sum();
            sum == (0..50).map(|index| 5_000 + index).sum::<usize>()
        });
        near.iter().for_each(|socket| bench.sockets.abort(*socket));
        bench.until("ends", |log| log.count(|event| matches!(event, Event::Closed(..))) == 100);
        assert_eq!(bench.sockets.counters().open, 0);
    });
}

#[test]
fn addresses_that_cannot_be_listened_on_are_named() {
    both_ways(LIMITS, |bench| {
        let address = bench.listen(ListenOptions::default());
        let taken = bench.sockets.listen(address, ListenOptions::default()).expect_err("taken");
        assert!(taken.to_string().contains(&address.to_string()), "{taken}");
        let accepted = SocketOptions { receive_bytes: 1, ..SocketOptions::default() };
        let options = ListenOptions { accepted, ..ListenOptions::default() };
        let wrong = bench.sockets.listen(address, options).expect_err("too little");
        assert!(wrong.to_string().contains("receive_bytes"), "{wrong}");
    });
}

#[test]
fn every_core_may_listen_on_the_same_port() {
    both_ways(LIMITS, |mut bench| {
        let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
        let address = bench.listen(options);
        bench.sockets.listen(address, options).expect("shared");
        let _peers: Vec<_> = (0..16).map(|_| TcpStream::connect(address)).collect();
        bench.until("all", |log| log.accepted().len() == 16);
    });
}

/// The limit on descriptors is the whole process's, so the scenario runs in a process of its own.
const CHILD: &str = "MAINSPRING_TEST_WITHOUT_DESCRIPTORS";

#[test]
fn a_listener_without_descriptors_waits_and_then_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        both_ways(LIMITS, without_descriptors);
        return;
    }
    let name = "driver::net::tests::limits::a_listener_without_descriptors_waits_and_then_goes_on";
    let this = std::env::current_exe().expect("a path");
    let child = std::process::Command::new(this).args([name, "--exact"]).env(CHILD, "1").output();
    let child = child.expect("it starts");
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

fn without_descriptors(mut bench: super::Bench) {
    use socket2::{Domain, Socket, Type};
    let address = bench.listen(ListenOptions::default());
    let peer = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    let next = std::fs::File::open("/dev/null").expect("a descriptor is free");
    let next = std::os::fd::AsRawFd::as_raw_fd(&next);
    let before = limit_descriptors(next as u64);
    peer.connect(&address.into()).expect("the kernel takes it");
    let failed = Event::AcceptFailed(AcceptFailure::System(SocketError::Other(libc::EMFILE)));
    bench.until("failure", |log| log.has(&failed));
    assert!(!bench.turn(), "it waits, and does not try again at once");
    assert_eq!(bench.net.in_flight(), 1, "the wait alone");
    limit_descriptors(before);
    bench.until("connection", |log| log.accepted().len() == 1);
}

/// Also the limit before.
fn limit_descriptors(most: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the type that the call fills.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    let before = std::mem::replace(&mut limit.rlim_cur, most);
    // SAFETY: the pointer is to a local of the type that the call reads.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    before
}
