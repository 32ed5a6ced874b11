//! Where received bytes lie, how much memory there is for them, and what is copied.

use std::io::Write;
use std::thread;

use io_uring::IoUring;

use super::{Bench, DetachedSocket, LIMITS, SocketOptions, Taken, both_ways, stream_of};
use crate::driver::net::incremental::Shape;
use crate::driver::net::memory::Memory;
use crate::driver::net::probe::{INCREMENTAL, fills_buffers_piecewise};

#[test]
fn frames_are_read_where_they_were_received() {
    const FRAME: usize = 4_096;
    const FRAMES: usize = 2_000;
    both_ways(LIMITS, |mut bench| {
        let (socket, mut peer) = bench.pair(SocketOptions::default());
        bench.log.on_received = Box::new(|_, _, bytes| {
            let whole = bytes.len() / FRAME * FRAME;
            Taken { bytes: whole, wanted: FRAME }
        });
        let writer = thread::spawn(move || {
            // Ends of writes and ends of frames have nothing to do with each other.
            stream_of(FRAME * FRAMES).chunks(7_001).for_each(|piece| {
                peer.write_all(piece).expect("it is read");
            });
            peer
        });
        bench.until("all", |log| log.stream(socket).len() == FRAME * FRAMES);
        writer.join().expect("all is written");
        let counters = bench.sockets.counters();
        if bench.ways().incremental {
            // Once in each round of the circle, and what came before there was one.
            let rounds = FRAME * FRAMES / Shape::for_bytes(64 << 10).bytes() + 1;
            let most = (rounds * 2 * FRAME + (64 << 10)) as u64;
            assert!(counters.moved_bytes <= most, "{counters:?}");
        } else {
            // The beginning of a frame whose end is not there yet, at most once a receive.
            assert!(counters.moved_bytes <= (counters.receives + 8) * FRAME as u64, "{counters:?}");
        }
    });
}

#[test]
fn a_socket_that_is_used_gets_the_memory_that_its_options_say() {
    both_ways(LIMITS, |mut bench| {
        let options = SocketOptions { receive_bytes: 32 << 10, ..SocketOptions::default() };
        let (socket, mut peer) = bench.pair(options);
        for count in 1..=6 {
            peer.write_all(b"little").expect("written");
            bench.until("it", |log| log.stream(socket).len() == 6 * count);
        }
        let bytes = bench.sockets.counters().receive_memory_bytes as usize;
        if bench.ways().incremental {
            assert_eq!(bytes, Shape::for_bytes(32 << 10).memory_bytes());
        } else {
            assert_eq!(bytes, 1024, "little is enough for little");
        }
        drop(peer);
        bench.sockets.close(socket);
        bench.until("end", |log| log.count(|event| matches!(event, super::Event::Closed(..))) == 1);
        assert_eq!(bench.sockets.counters().receive_memory_bytes, 0);
    });
}

#[test]
fn a_connection_may_come_with_more_than_a_socket_may_hold() {
    both_ways(LIMITS, |mut bench| {
        // Any connected stream will do, with bytes that somebody has read from it before.
        let (first, mut peer) = bench.pair(SocketOptions::default());
        bench.sockets.detach(first);
        bench.until("the connection", |log| log.detached.is_some());
        let detached = bench.log.detached.take().expect("just seen");
        let (stream, _) = detached.into_connection::<std::net::TcpStream>().expect("a stream");
        let all = stream_of(300_000);
        let unread = all[..100_000].to_vec();
        let detached = DetachedSocket::new(stream, unread, 3, false, 8 << 10);

        let mut other = Bench::new(bench.ways(), LIMITS);
        other.log.begins_at = 3;
        other.log.on_received = Box::new(|_, _, bytes| {
            assert!(bytes.len() <= 8 << 10);
            let bytes = if bytes.len() > 1_600 { 777 } else { bytes.len() };
            Taken { bytes, wanted: 800 }
        });
        let adopted = other.sockets.adopt(detached).expect("room");
        let rest = all[100_000..].to_vec();
        let writer = thread::spawn(move || {
            peer.write_all(&rest).expect("it is read");
        });
        other.until("the rest", |log| log.stream(adopted).len() == all.len());
        writer.join().expect("all is written");
        assert!(other.log.stream(adopted) == all);
    });
}

#[test]
fn a_kernel_that_refuses_buffers_is_found_out_and_the_ring_stays_usable() {
    let mut ring = IoUring::new(8).expect("this kernel has io_uring");
    let works = fills_buffers_piecewise(&mut ring);
    if !works {
        eprintln!("skipped: this kernel does not fill buffers piece by piece");
        return;
    }
    assert!(fills_buffers_piecewise(&mut ring), "the probe leaves nothing behind");
    let taken = Memory::zeroed(4096, 4096);
    let start = taken.at(0).expose_provenance() as u64;
    // SAFETY: the memory outlives the ring, which goes first at the end of this block.
    let registered =
        unsafe { ring.submitter().register_buf_ring_with_flags(start, 2, u16::MAX, INCREMENTAL) };
    registered.expect("the probe has given its group back");
    assert!(!fills_buffers_piecewise(&mut ring), "its group is taken");
    ring.submitter().unregister_buf_ring(u16::MAX).expect("it is registered");
    assert!(fills_buffers_piecewise(&mut ring));
}
