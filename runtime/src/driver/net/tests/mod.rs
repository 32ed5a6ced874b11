//! Real sockets on the loopback device, in both ways of receiving and accepting. One thread plays the core; the peer is
//! a socket of the standard library, or another socket of the same core.

mod ends;
mod limits;
mod memory;
mod sleeps;
mod streams;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{CoreNet, NetLimits, Ways};
use crate::driver::host::CoreRing;
use crate::driver::uring::Uring;
use crate::driver::waker::CoreWaker;
use crate::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenOptions, ListenerId, SendBuffer, SendFailed,
    SocketError, SocketHandler, SocketId, SocketOptions, Sockets, Taken,
};

const LONG: Duration = Duration::from_secs(20);
const LIMITS: NetLimits = NetLimits { sockets: 4096, receive_memory_bytes: 64 << 20 };

/// What happened, without the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Accepted(SocketId),
    AcceptFailed(AcceptFailure),
    Connected(SocketId),
    ConnectFailed(SocketId, SocketError),
    Sent(SocketId, usize, Result<(), SendFailed>),
    PeerFinished(SocketId),
    Closed(SocketId, CloseCause),
    Detached(SocketId),
}

type OnReceived = Box<dyn FnMut(&Rc<dyn Sockets>, SocketId, &[u8]) -> Taken>;

/// A device that writes down what it is told, and checks what holds for every stream.
struct Log {
    sockets: Rc<dyn Sockets>,
    events: Vec<Event>,
    /// What was taken.
    streams: BTreeMap<SocketId, Vec<u8>>,
    on_received: OnReceived,
    detached: Option<DetachedSocket>,
    /// Where in the stream the first byte lies that this log sees.
    begins_at: u64,
}

impl Log {
    fn accepted(&self) -> Vec<SocketId> {
        let of = |event: &Event| match event {
            Event::Accepted(socket) => Some(*socket),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| which(event)).count()
    }

    fn stream(&self, socket: SocketId) -> &[u8] {
        self.streams.get(&socket).map_or(&[], Vec::as_slice)
    }
}

impl SocketHandler for Log {
    fn accepted(&mut self, _: ListenerId, socket: SocketId, _: SocketAddr) {
        self.events.push(Event::Accepted(socket));
    }

    fn accept_failed(&mut self, _: ListenerId, failure: AcceptFailure) {
        self.events.push(Event::AcceptFailed(failure));
    }

    fn connected(&mut self, socket: SocketId) {
        self.events.push(Event::Connected(socket));
    }

    fn connect_failed(&mut self, socket: SocketId, error: SocketError) {
        self.events.push(Event::ConnectFailed(socket, error));
    }

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        let stream = self.streams.entry(socket).or_default();
        let place = (self.begins_at as usize + stream.len()) % 16;
        assert_eq!(bytes.as_ptr().addr() % 16, place, "where it can be read in place");
        assert!(!bytes.is_empty());
        assert_eq!(self.sockets.poll(&mut Nobody, 1), 0, "a poll within a poll does nothing");
        let taken = (self.on_received)(&self.sockets, socket, bytes);
        stream.extend_from_slice(&bytes[..taken.bytes.min(bytes.len())]);
        taken
    }

    fn sent(&mut self, socket: SocketId, bytes: SendBuffer, result: Result<(), SendFailed>) {
        self.events.push(Event::Sent(socket, bytes.len(), result));
    }

    fn peer_finished(&mut self, socket: SocketId) {
        self.events.push(Event::PeerFinished(socket));
    }

    fn closed(&mut self, socket: SocketId, cause: CloseCause) {
        self.events.push(Event::Closed(socket, cause));
    }

    fn detached(&mut self, socket: SocketId, connection: DetachedSocket) {
        self.events.push(Event::Detached(socket));
        self.detached = Some(connection);
    }
}

struct Nobody;

impl SocketHandler for Nobody {
    fn accepted(&mut self, _: ListenerId, _: SocketId, _: SocketAddr) {}
    fn accept_failed(&mut self, _: ListenerId, _: AcceptFailure) {}
    fn connected(&mut self, _: SocketId) {}
    fn connect_failed(&mut self, _: SocketId, _: SocketError) {}
    fn received(&mut self, _: SocketId, bytes: &[u8]) -> Taken {
        Taken::of(bytes.len())
    }
    fn sent(&mut self, _: SocketId, _: SendBuffer, _: Result<(), SendFailed>) {}
    fn peer_finished(&mut self, _: SocketId) {}
    fn closed(&mut self, _: SocketId, _: CloseCause) {}
    fn detached(&mut self, _: SocketId, _: DetachedSocket) {}
}

/// A network with one device, and the ring that the test turns in the core's place.
struct Bench {
    ring: CoreRing,
    net: CoreNet,
    sockets: Rc<dyn Sockets>,
    log: Log,
}

impl Bench {
    fn new(ways: Ways, limits: NetLimits) -> Bench {
        Bench::on_ring(ways, limits, 64)
    }

    fn on_ring(ways: Ways, limits: NetLimits, ring_entries: u32) -> Bench {
        let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
        let ring = Uring::new(ring_entries, waker).expect("this kernel has io_uring");
        let ring = Rc::new(RefCell::new(ring));
        let net = CoreNet::with_ways(ring.clone(), limits, ways);
        let sockets = net.network().sockets();
        let log = Log {
            sockets: sockets.clone(),
            events: Vec::new(),
            streams: BTreeMap::new(),
            on_received: Box::new(|_, _, bytes| Taken::of(bytes.len())),
            detached: None,
            begins_at: 0,
        };
        Bench { ring, net, sockets, log }
    }

    fn ways(&self) -> Ways {
        self.net.shared.state.borrow().ways
    }

    fn listen(&self, options: ListenOptions) -> SocketAddr {
        let address = "127.0.0.1:0".parse().expect("an address");
        self.sockets.listen(address, options).expect("a port is free").1
    }

    /// A connection to a peer of the standard library, with the options of the accepted side.
    fn pair(&mut self, accepted: SocketOptions) -> (SocketId, TcpStream) {
        let before = self.log.accepted().len();
        let address = self.listen(ListenOptions { accepted, ..ListenOptions::default() });
        let peer = TcpStream::connect(address).expect("somebody listens");
        peer.set_read_timeout(Some(LONG)).expect("a time");
        self.until("a connection", |log| log.accepted().len() > before);
        (self.log.accepted()[before], peer)
    }

    /// Hands out what the ring has, without waiting; whether there was anything.
    fn turn(&mut self) -> bool {
        let mut completions = Vec::new();
        self.ring.borrow_mut().turn(&mut completions).expect("the enter is accepted");
        let mut did_something = !completions.is_empty();
        for completion in completions {
            assert!(self.net.completed(completion));
        }
        did_something |= self.sockets.poll(&mut self.log, 64) > 0;
        did_something
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Log) -> bool) {
        loop {
            while self.turn() {}
            if reached(&self.log) {
                return;
            }
            let mut completions = Vec::new();
            self.ring.borrow_mut().park(Some(LONG), &mut completions).expect("accepted");
            let events = &self.log.events;
            assert!(!completions.is_empty(), "no {what} for {LONG:?}; so far: {events:?}");
            for completion in completions {
                assert!(self.net.completed(completion));
            }
        }
    }

    fn send(&self, socket: SocketId, bytes: &[u8]) {
        self.sockets.send(socket, SendBuffer::from(bytes)).expect("nothing is in flight");
    }
}

const ONE_BY_ONE: Ways = Ways { incremental: false, lasting_accept: false };
const LASTING: Ways = Ways { incremental: true, lasting_accept: true };

/// Runs a test for both ways of receiving and accepting.
fn both_ways(limits: NetLimits, test: impl Fn(Bench)) {
    on_rings_of(64, limits, test);
}

fn on_rings_of(entries: u32, limits: NetLimits, test: impl Fn(Bench)) {
    test(Bench::on_ring(ONE_BY_ONE, limits, entries));
    let bench = Bench::on_ring(LASTING, limits, entries);
    if bench.ring.borrow().features().incremental_buffers {
        test(bench);
    } else {
        eprintln!("skipped with buffers that the kernel fills piece by piece: it has none");
    }
}

/// Byte `position` of every test's stream: no two places within some thousand look alike to a comparison.
fn byte_at(position: usize) -> u8 {
    ((position as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn stream_of(bytes: usize) -> Vec<u8> {
    (0..bytes).map(byte_at).collect()
}
