//! Secured sockets over a simulated network: what sockets promise holds for what was encrypted.

use std::sync::LazyLock;
use std::time::Duration;

use mainspring::net::{AcceptFailure, STREAM_ALIGN, Taken};

use super::super::authority::{Authority, Issued};
use super::super::files::TlsFiles;
use super::super::session::UNDECIDED_LIMIT_BYTES;
use super::*;
use crate::testkit::SimulatedNetwork;

const SECOND: Duration = Duration::from_secs(1);

/// How far the simulated clock goes from one poll to the next.
const STEP: Duration = Duration::from_micros(200);

static CREDENTIALS: LazyLock<Arc<Credentials>> = LazyLock::new(|| {
    let authority = Authority::new("the authority").expect("an authority can be made");
    let Issued { certificate, key } = authority.issue("one", "bank").expect("it can issue");
    let files = TlsFiles::new(authority.file(), certificate, key);
    Arc::new(Credentials::of_node(files, "bank").expect("what was issued fits"))
});

/// Remembers what it is told, and takes what it is shown.
#[derive(Default)]
struct Told {
    open: Vec<SocketId>,
    bytes: Vec<u8>,
    sends: usize,
    sends_failed: usize,
    finished: usize,
    refused: Vec<SocketError>,
    closed: Vec<CloseCause>,
    detached: Vec<DetachedSocket>,
    /// It takes nothing, and wants so many bytes.
    wants: Option<usize>,
}

impl SocketHandler for Told {
    fn accepted(&mut self, _: ListenerId, socket: SocketId, _: SocketAddr) {
        self.open.push(socket);
    }

    fn accept_failed(&mut self, _: ListenerId, failure: AcceptFailure) {
        panic!("{failure}");
    }

    fn connected(&mut self, socket: SocketId) {
        self.open.push(socket);
    }

    fn connect_failed(&mut self, _: SocketId, error: SocketError) {
        self.refused.push(error);
    }

    fn received(&mut self, _: SocketId, bytes: &[u8]) -> Taken {
        let address = bytes.as_ptr().addr();
        assert_eq!(address % STREAM_ALIGN, self.bytes.len() % STREAM_ALIGN, "misplaced");
        if let Some(wanted) = self.wants {
            return Taken { bytes: 0, wanted };
        }
        // Some is left, to be shown again with what comes.
        let taken = bytes.len() - bytes.len() / 3;
        self.bytes.extend_from_slice(&bytes[..taken]);
        Taken { bytes: taken, wanted: 1 }
    }

    fn sent(&mut self, _: SocketId, _: SendBuffer, result: Result<(), SendFailed>) {
        assert!(self.closed.is_empty(), "after the last event");
        self.sends += 1;
        self.sends_failed += usize::from(result.is_err());
    }

    fn peer_finished(&mut self, _: SocketId) {
        self.finished += 1;
    }

    fn closed(&mut self, _: SocketId, cause: CloseCause) {
        self.closed.push(cause);
    }

    fn detached(&mut self, _: SocketId, connection: DetachedSocket) {
        self.detached.push(connection);
    }
}

/// Two nodes, of which the second listens.
struct Pair {
    network: SimulatedNetwork,
    now: Duration,
    below: Vec<Rc<dyn Sockets>>,
    sockets: Vec<TlsSockets>,
    told: [Told; 2],
    listener: ListenerId,
    address: SocketAddr,
    incidents: Rc<RefCell<Vec<(bool, TlsFailure)>>>,
}

impl Pair {
    fn seeded(seed: u64) -> Pair {
        let network = SimulatedNetwork::seeded(seed);
        let incidents = Rc::<RefCell<Vec<_>>>::default();
        let below: Vec<_> = (0..2).map(|node| network.sockets(node, 0)).collect();
        let sockets: Vec<_> = below.iter().map(|below| over(below, &incidents)).collect();
        let address = SocketAddr::from(([10, 0, 0, 2], 0));
        let listening = sockets[1].listen(address, ListenOptions::default());
        let (listener, address) = listening.expect("nobody listens there");
        let (told, now) = (Default::default(), Duration::ZERO);
        Pair { network, now, below, sockets, told, listener, address, incidents }
    }

    fn dial(&self) -> SocketId {
        self.sockets[0].connect(self.address, SocketOptions::default()).expect("there is room")
    }

    fn connected(seed: u64) -> Pair {
        let mut pair = Pair::seeded(seed);
        pair.dial();
        pair.run_for(SECOND);
        assert_eq!((pair.told[0].open.len(), pair.told[1].open.len()), (1, 1));
        pair
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.network.advance(self.now);
            for (sockets, told) in self.sockets.iter().zip(&mut self.told) {
                sockets.tick(self.now.as_nanos() as u64);
                sockets.poll(told, 64);
            }
        }
    }

    fn socket(&self, side: usize) -> SocketId {
        self.told[side].open[0]
    }

    fn send(&self, side: usize, bytes: &[u8]) -> Result<(), SendRefusal> {
        let sent = self.sockets[side].send(self.socket(side), SendBuffer::from(bytes));
        sent.map_err(|refused| refused.reason)
    }

    fn incidents(&self) -> Vec<(bool, TlsFailure)> {
        self.incidents.take()
    }
}

fn over(below: &Rc<dyn Sockets>, incidents: &Rc<RefCell<Vec<(bool, TlsFailure)>>>) -> TlsSockets {
    let incidents = Rc::clone(incidents);
    TlsSockets::over(Rc::clone(below), Arc::clone(&CREDENTIALS), 2, move |incident| {
        incidents.borrow_mut().push((incident.dialled, incident.failure));
    })
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

#[test]
fn a_secured_stream_arrives_whole_in_order_and_aligned_however_it_is_cut() {
    for seed in 0..8 {
        let mut pair = Pair::connected(seed);
        let (there, back) = (numbers(300_000), numbers(5_000));
        pair.send(0, &there).expect("it is connected");
        assert_eq!(pair.send(0, &back), Err(SendRefusal::InFlight));
        pair.send(1, &back).expect("it is connected");
        pair.run_for(SECOND);
        assert!(pair.told[1].bytes == there && pair.told[0].bytes == back);
        assert_eq!((pair.told[0].sends, pair.told[1].sends), (1, 1));
        // An empty send is one too.
        pair.send(0, &[]).expect("nothing is in flight");
        pair.run_for(STEP);
        assert_eq!((pair.told[0].sends, pair.told[0].sends_failed), (2, 0));
        assert!(pair.incidents().is_empty() && !pair.sockets[0].has_events());
        // Whoever has nothing to do holds no deadline.
        assert_eq!(pair.sockets[0].next_deadline_ns(), None);
    }
}

#[test]
fn a_receiver_that_is_paused_holds_its_sender_up_and_sees_the_rest_later() {
    let mut pair = Pair::connected(3);
    pair.sockets[1].pause(pair.socket(1));
    pair.send(0, &numbers(1 << 20)).expect("it is connected");
    pair.run_for(3 * SECOND);
    assert_eq!((pair.told[0].sends, pair.told[1].bytes.len()), (0, 0));
    let held = pair.sockets[1].with(pair.socket(1), |line| line.session.plaintext().len());
    assert!(held.is_some_and(|bytes| bytes <= (64 << 10) + UNDECIDED_LIMIT_BYTES));
    pair.sockets[1].resume(pair.socket(1));
    pair.run_for(3 * SECOND);
    assert!(pair.told[1].bytes == numbers(1 << 20));
    assert_eq!(pair.told[0].sends, 1);
}

#[test]
fn one_direction_of_a_secured_stream_ends_and_the_other_goes_on() {
    let mut pair = Pair::connected(4);
    pair.send(0, &numbers(10_000)).expect("it is connected");
    pair.sockets[0].finish_sending(pair.socket(0));
    assert!(matches!(pair.send(0, &[1]), Err(SendRefusal::InFlight | SendRefusal::Finished)));
    pair.run_for(SECOND);
    assert_eq!((pair.told[1].bytes.len(), pair.told[1].finished), (10_000, 1));
    assert_eq!(pair.send(0, &[1]), Err(SendRefusal::Finished));
    pair.send(1, &numbers(100_000)).expect("it may still send");
    pair.sockets[1].close(pair.socket(1));
    pair.run_for(SECOND);
    assert_eq!((pair.told[0].bytes.len(), pair.told[0].finished), (100_000, 1));
    assert_eq!((pair.told[1].sends, &pair.told[1].closed[..]), (1, &[CloseCause::Closed][..]));
    pair.sockets[0].close(pair.socket(0));
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Closed]);
    assert!(pair.incidents().is_empty() && pair.network.streams() == 0);
}

#[test]
fn a_secured_connection_goes_to_another_core_with_its_keys_and_what_was_not_taken() {
    for seed in 0..8 {
        let mut pair = Pair::connected(seed);
        pair.told[1].wants = Some(40_000);
        pair.send(0, &numbers(5_003)).expect("it is connected");
        pair.send(1, b"hello").expect("it is connected");
        pair.run_for(STEP * 3);
        // In the middle of everything.
        pair.sockets[1].detach(pair.socket(1));
        assert_eq!(pair.send(1, b"too late"), Err(SendRefusal::Gone));
        pair.run_for(SECOND);
        let detached = pair.told[1].detached.pop().expect("it was given up");
        assert_eq!((pair.told[1].sends, pair.told[1].closed.len()), (1, 0));

        // Sockets without keys have no use for it.
        let other = pair.network.sockets(1, 1);
        let refused = other.adopt(detached).expect_err("it is secured");
        let moved = over(&other, &pair.incidents);
        let socket = moved.adopt(refused.connection).expect("there is room");
        pair.sockets[1] = moved;
        pair.told[1].open = vec![socket];
        pair.told[1].wants = None;
        pair.run_for(SECOND);
        assert!(pair.told[1].bytes == numbers(5_003) && pair.told[0].bytes == b"hello");
        pair.send(1, &numbers(50_000)).expect("it is connected");
        pair.run_for(SECOND);
        assert_eq!((pair.told[0].bytes.len(), pair.told[1].sends), (50_005, 2));
        assert!(pair.incidents().is_empty());
    }
}

#[test]
fn a_connection_that_is_not_secured_is_not_adopted() {
    let pair = Pair::seeded(1);
    let plain = DetachedSocket::new((), Vec::new(), 0, false, 4_096);
    let refused = pair.sockets[0].adopt(plain).expect_err("it has no keys");
    assert!(refused.to_string().contains("not secured"));
}

#[test]
fn a_reset_of_a_secured_stream_is_heard_of_and_gives_the_buffer_back() {
    let mut pair = Pair::connected(5);
    pair.sockets[0].pause(pair.socket(0));
    pair.send(1, &numbers(1 << 20)).expect("it is connected");
    pair.run_for(SECOND);
    pair.sockets[0].abort(pair.socket(0));
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Aborted]);
    assert_eq!(pair.told[1].closed, [CloseCause::Failed(SocketError::Reset)]);
    assert_eq!((pair.told[1].sends, pair.told[1].sends_failed), (1, 1));
    assert_eq!(pair.send(1, &[1]), Err(SendRefusal::Gone));
}

#[test]
fn an_end_below_without_the_peers_word_is_told_as_cut_off_after_all_that_came() {
    let mut pair = Pair::connected(6);
    pair.send(0, &numbers(20_000)).expect("it is connected");
    pair.run_for(SECOND);
    pair.below[0].finish_sending(pair.socket(0));
    pair.run_for(SECOND);
    assert_eq!((pair.told[1].bytes.len(), pair.told[1].finished), (20_000, 0));
    assert_eq!(pair.told[1].closed, [CloseCause::Failed(SocketError::CutOff)]);
    assert_eq!(pair.incidents(), [(false, TlsFailure::CutOff), (true, TlsFailure::CutOff)]);
    pair.run_for(2 * SECOND);
    assert_eq!(pair.network.streams(), 0, "nobody is left behind");
}

#[test]
fn who_wants_more_than_may_be_held_loses_the_connection_and_is_told() {
    let mut pair = Pair::connected(7);
    pair.told[1].wants = Some(70_000);
    pair.send(0, &numbers(1_000)).expect("it is connected");
    pair.run_for(SECOND);
    let (wanted_bytes, limit_bytes) = (70_000, 64 << 10);
    assert_eq!(pair.told[1].closed, [CloseCause::ReceiveMemory { wanted_bytes, limit_bytes }]);
}

#[test]
fn handshakes_have_a_limit_and_a_deadline_and_end_with_their_listener() {
    let mut pair = Pair::seeded(8);
    let silent = || pair.below[0].connect(pair.address, SocketOptions::default());
    for _ in 0..3 {
        silent().expect("there is room");
    }
    pair.run_for(SECOND);
    assert_eq!(pair.incidents(), [(false, TlsFailure::TooMany)]);
    assert!(pair.sockets[1].next_deadline_ns().is_some());
    pair.run_for(4 * SECOND);
    assert_eq!(pair.incidents(), [(false, TlsFailure::Late), (false, TlsFailure::Late)]);
    assert_eq!(pair.sockets[1].next_deadline_ns(), None);

    let silent = || pair.below[0].connect(pair.address, SocketOptions::default());
    silent().expect("there is room");
    pair.run_for(SECOND);
    pair.sockets[1].stop_listening(pair.listener);
    pair.run_for(SECOND);
    assert_eq!(pair.sockets[1].next_deadline_ns(), None);
    assert!(pair.told[1].open.is_empty() && pair.incidents().is_empty());
}

#[test]
fn a_dial_that_is_given_up_in_its_handshake_fails_once() {
    let mut pair = Pair::seeded(9);
    let silent = pair.network.sockets(1, 1);
    let address = SocketAddr::from(([10, 0, 0, 2], 0));
    let listening = silent.listen(address, ListenOptions::default());
    (_, pair.address) = listening.expect("nobody listens there");
    let socket = pair.dial();
    pair.run_for(SECOND);
    let refused = pair.sockets[0].send(socket, SendBuffer::from(&[1][..]));
    assert!(refused.is_err_and(|refused| refused.reason == SendRefusal::Connecting));
    pair.sockets[0].close(socket);
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].refused, [SocketError::Aborted]);
    assert!(pair.told[0].open.is_empty() && pair.told[0].closed.is_empty());
}
