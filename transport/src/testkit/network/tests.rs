//! What the network promises of its sockets, without nodes above them.

use std::net::SocketAddr;

use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenOptions, ListenerId, STREAM_ALIGN, SendBuffer,
    SendFailed, SendRefusal, SocketError, SocketHandler, SocketId, SocketOptions, Sockets, Taken,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

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
    /// It takes nothing.
    is_full: bool,
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
        if self.is_full {
            return Taken::of(0);
        }
        // Some is left, to be shown again with what comes.
        let taken = bytes.len() - bytes.len() / 3;
        self.bytes.extend_from_slice(&bytes[..taken]);
        Taken { bytes: taken, wanted: 1 }
    }

    fn sent(&mut self, _: SocketId, _: SendBuffer, result: Result<(), SendFailed>) {
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
    sockets: Vec<SimulatedSockets>,
    told: [Told; 2],
    listener: ListenerId,
    address: SocketAddr,
}

impl Pair {
    fn seeded(seed: u64) -> Pair {
        let network = SimulatedNetwork::seeded(seed);
        let of_node = |node| SimulatedSockets::new(Rc::clone(&network.state), (node, 0));
        let sockets: Vec<_> = (0..2).map(of_node).collect();
        let address = SocketAddr::from(([10, 0, 0, 2], 0));
        let listening = sockets[1].listen(address, ListenOptions::default());
        let (listener, address) = listening.expect("nobody listens there");
        let told = Default::default();
        Pair { network, now: Duration::ZERO, sockets, told, listener, address }
    }

    fn dial(&self, options: SocketOptions) -> SocketId {
        self.sockets[0].connect(self.address, options).expect("there is room")
    }

    fn connected(seed: u64, options: SocketOptions) -> Pair {
        let mut pair = Pair::seeded(seed);
        pair.dial(options);
        pair.run_for(SECOND);
        assert_eq!((pair.told[0].open.len(), pair.told[1].open.len()), (1, 1));
        pair
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due_ns = self.network.state.borrow().next_due_ns();
            let due = Duration::from_nanos(due_ns.unwrap_or(u64::MAX));
            self.now = due.min(end).max(self.now + Duration::from_nanos(1));
            self.network.advance(self.now);
            self.poll();
        }
    }

    fn poll(&mut self) {
        for (sockets, told) in self.sockets.iter().zip(&mut self.told) {
            sockets.poll(told, 64);
        }
    }

    fn send(&self, side: usize, bytes: &[u8]) -> Result<(), SendRefusal> {
        let sent = self.sockets[side].send(self.told[side].open[0], SendBuffer::from(bytes));
        sent.map_err(|refused| refused.reason)
    }

    fn stream(&self) -> StreamId {
        self.network.between(0, 1)[0]
    }
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

fn impatient() -> SocketOptions {
    SocketOptions { user_timeout: Some(5 * SECOND), ..SocketOptions::default() }
}

#[test]
fn a_stream_arrives_whole_and_in_order_however_it_is_cut() {
    for seed in 0..50 {
        let mut pair = Pair::connected(seed, SocketOptions::default());
        let (there, back) = (numbers(300_000), numbers(5_000));
        pair.send(0, &there).expect("it is connected");
        assert_eq!(pair.send(0, &back), Err(SendRefusal::InFlight));
        pair.send(1, &back).expect("it is connected");
        pair.run_for(10 * SECOND);
        assert!(pair.told[1].bytes == there && pair.told[0].bytes == back);
        assert_eq!((pair.told[0].sends, pair.told[1].sends), (1, 1));
        assert_eq!(pair.network.bytes_under_way(), 0);
    }
}

#[test]
fn a_receiver_that_is_paused_holds_its_sender_up() {
    let mut pair = Pair::connected(3, SocketOptions::default());
    pair.sockets[1].pause(pair.told[1].open[0]);
    pair.send(0, &numbers(1 << 20)).expect("it is connected");
    pair.run_for(100 * SECOND);
    assert_eq!(pair.told[0].sends, 0);
    let bound_bytes =
        NetworkConduct::default().window_bytes + SocketOptions::default().receive_bytes;
    assert!(pair.network.bytes_under_way() <= bound_bytes);
    pair.sockets[1].resume(pair.told[1].open[0]);
    pair.run_for(100 * SECOND);
    assert!(pair.told[1].bytes == numbers(1 << 20));
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    let mut pair = Pair::connected(4, SocketOptions::default());
    pair.send(0, &numbers(10_000)).expect("it is connected");
    pair.sockets[0].finish_sending(pair.told[0].open[0]);
    pair.run_for(SECOND);
    assert_eq!((pair.told[1].bytes.len(), pair.told[1].finished), (10_000, 1));
    assert_eq!(pair.send(0, &[1]), Err(SendRefusal::Finished));
    pair.send(1, &[7]).expect("it may still send");
    pair.sockets[1].close(pair.told[1].open[0]);
    pair.run_for(SECOND);
    assert_eq!((pair.told[0].bytes.as_slice(), pair.told[0].finished), (&[7][..], 1));
    assert_eq!(pair.told[1].closed, [CloseCause::Closed]);
    pair.sockets[0].close(pair.told[0].open[0]);
    pair.run_for(SECOND);
    assert_eq!((pair.network.streams(), pair.network.counters(0, 0).open), (0, 0));
}

#[test]
fn a_reset_is_heard_of_by_the_other_side_and_gives_the_buffer_back() {
    let mut pair = Pair::connected(5, SocketOptions::default());
    pair.sockets[0].pause(pair.told[0].open[0]);
    pair.send(1, &numbers(1 << 20)).expect("it is connected");
    pair.run_for(SECOND);
    pair.sockets[0].abort(pair.told[0].open[0]);
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Aborted]);
    assert_eq!(pair.told[1].closed, [CloseCause::Failed(SocketError::Reset)]);
    assert_eq!((pair.told[1].sends, pair.told[1].sends_failed), (1, 1));
    assert_eq!(pair.network.streams(), 0);
    assert_eq!(pair.send(1, &[1]), Err(SendRefusal::Gone));
}

#[test]
fn nobody_answers_where_nobody_listens_any_more() {
    let mut pair = Pair::seeded(6);
    pair.sockets[1].stop_listening(pair.listener);
    pair.dial(SocketOptions::default());
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].refused, [SocketError::Refused]);
    pair.network.partition([0], [1]);
    pair.dial(impatient());
    pair.run_for(10 * SECOND);
    assert_eq!(pair.told[0].refused, [SocketError::Refused, SocketError::TimedOut]);
}

#[test]
fn what_could_not_arrive_in_a_partition_arrives_after_it() {
    let mut pair = Pair::connected(7, SocketOptions::default());
    pair.network.partition([0], [1]);
    pair.send(0, &numbers(1_000)).expect("it is connected");
    pair.run_for(100 * SECOND);
    assert_eq!(pair.told[1].bytes.len(), 0);
    pair.network.heal();
    pair.run_for(SECOND);
    assert_eq!(pair.told[1].bytes, numbers(1_000));
}

#[test]
fn an_end_that_waits_too_long_for_an_answer_gives_up() {
    let mut pair = Pair::connected(8, impatient());
    pair.network.cut(0, 1);
    pair.run_for(100 * SECOND);
    assert_eq!(pair.told[0].closed, []);
    pair.send(0, &[1]).expect("it does not know yet");
    pair.run_for(6 * SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Failed(SocketError::TimedOut)]);
}

#[test]
fn a_broken_stream_is_heard_of_by_the_sides_that_are_to_hear_it_after_a_part() {
    for seed in 0..50 {
        let mut pair = Pair::connected(seed, impatient());
        pair.send(0, &numbers(50_000)).expect("it is connected");
        let heard_after = [None, Some(SECOND)];
        pair.network.afflict(pair.stream(), StreamFault::Break { heard_after });
        pair.run_for(2 * SECOND);
        assert!(numbers(50_000).starts_with(&pair.told[1].bytes));
        assert_eq!(pair.told[1].closed, [CloseCause::Failed(SocketError::Reset)]);
        assert_eq!(pair.told[0].closed, [], "its connection is half open");
        // It may have lost something already, for which it waits.
        let _ = pair.send(0, &[1]);
        pair.run_for(10 * SECOND);
        assert_eq!(pair.told[0].closed, [CloseCause::Failed(SocketError::TimedOut)]);
        assert_eq!(pair.network.streams(), 0);
    }
}

#[test]
fn a_connection_that_changes_its_core_loses_nothing() {
    for seed in 0..50 {
        let mut pair = Pair::connected(seed, SocketOptions::default());
        pair.told[1].is_full = true;
        pair.send(0, &numbers(40_000)).expect("it is connected");
        pair.run_for(Duration::from_micros(seed * 10));
        pair.sockets[1].detach(pair.told[1].open[0]);
        pair.run_for(Duration::from_micros(10));
        let detached = pair.told[1].detached.pop().expect("nothing is in its way");
        pair.run_for(Duration::from_micros(seed * 7));
        pair.told[1].is_full = false;
        pair.sockets[1].adopt(detached).expect("it is of this network");
        pair.run_for(SECOND);
        assert!(pair.told[1].bytes == numbers(40_000), "seed {seed}");
    }
}

#[test]
fn a_connection_that_is_dropped_between_two_cores_is_reset() {
    let mut pair = Pair::connected(9, SocketOptions::default());
    pair.sockets[1].detach(pair.told[1].open[0]);
    pair.run_for(Duration::from_micros(10));
    pair.told[1].detached.clear();
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Failed(SocketError::Reset)]);
    assert_eq!(pair.network.streams(), 0);
}

#[test]
fn a_device_that_is_dropped_resets_its_connections() {
    let mut pair = Pair::connected(10, SocketOptions::default());
    pair.sockets.pop();
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Failed(SocketError::Reset)]);
    pair.dial(SocketOptions::default());
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].refused, [SocketError::Refused]);
}

#[test]
fn an_end_whose_other_end_went_in_a_partition_hears_so_when_it_sends() {
    let mut pair = Pair::connected(11, SocketOptions::default());
    pair.network.partition([0], [1]);
    pair.sockets[1].abort(pair.told[1].open[0]);
    pair.run_for(SECOND);
    pair.network.heal();
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [], "the reset was lost");
    pair.send(0, &[1]).expect("it does not know yet");
    pair.run_for(SECOND);
    assert_eq!(pair.told[0].closed, [CloseCause::Failed(SocketError::Reset)]);
}
