//! Streams between the nodes of a simulation: see [`SimulatedNetwork`].

mod conduct;
mod faults;
mod received;
mod slots;
mod socket;
mod sockets;
mod state;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn, Seat};
use mainspring::net::{Network, SocketCounters};

pub use self::conduct::NetworkConduct;
pub use self::faults::StreamFault;
use self::sockets::SimulatedSockets;
use self::state::{Place, State};

/// Sockets of all nodes together.
pub const SOCKETS_LIMIT: usize = 1 << 16;

/// After so long a connection that nobody answers has failed, unless its options say another time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);

/// One connection, from the wish for it until nobody is at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// Streams between the nodes of a simulation. Clones are handles on the same network.
///
/// Promises: what [`mainspring::net`] promises of sockets; a stream's bytes arrive in order, in pieces that the seed
/// chooses, after a time that the seed chooses; what is broken is broken as a network breaks it, and never turns into
/// other bytes. The same seed and the same calls give the same run.
///
/// Refuses: datagrams, and bytes that change on their way: what damaged bytes do is tested where they are read.
///
/// How a network that is wrong is heard of: while nodes are [partitioned](Self::partition) nothing arrives between
/// them, and what was sent is sent again after [`heal`](Self::heal), except a reset; an end that waits longer than its
/// `user_timeout` for an answer gives up; an end whose other end is gone hears so when something that it sends arrives
/// there.
#[derive(Clone)]
pub struct SimulatedNetwork {
    state: Rc<RefCell<State>>,
}

impl SimulatedNetwork {
    /// A network without a node, whose choices follow from `seed`.
    pub fn seeded(seed: u64) -> SimulatedNetwork {
        SimulatedNetwork { state: Rc::new(RefCell::new(State::new(seed))) }
    }

    /// Connects a core of a node, before whatever on it wants a network:
    /// `sim.at(n).core(c).install(|seat| network.install(seat, n))`. When a core goes, all of its sockets are reset.
    pub fn install(&self, seat: &mut Seat<'_>, node: usize) {
        let place = (node, seat.core());
        let state = Rc::clone(&self.state);
        seat.share(Rc::new(Network::new(move || {
            Rc::new(SimulatedSockets::new(Rc::clone(&state), place))
        })));
        seat.add_device(Box::new(NetworkClock(Rc::clone(&self.state))));
    }

    /// Brings it up to the time of its simulation: what the test does to it next happens then. Cores do so in each of
    /// their sweeps.
    pub fn advance(&self, now: Duration) {
        self.state.borrow_mut().advance(nanoseconds(now));
    }

    /// Changes how it behaves from now on.
    pub fn conduct(&self, change: impl FnOnce(&mut NetworkConduct)) {
        change(&mut self.state.borrow_mut().conduct);
    }

    /// From now on nothing arrives between a node of `ones` and one of `others`.
    pub fn partition(&self, ones: impl AsRef<[usize]>, others: impl AsRef<[usize]>) {
        self.state.borrow_mut().partition(ones.as_ref(), others.as_ref());
    }

    /// From now on nothing arrives that node `from` sends to node `to`; the other way stays as it is.
    pub fn cut(&self, from: usize, to: usize) {
        let mut state = self.state.borrow_mut();
        state.cuts.insert((from, to));
        state.stir();
    }

    /// Everything arrives again.
    pub fn heal(&self) {
        self.state.borrow_mut().heal();
    }

    /// The streams between two nodes, oldest first.
    pub fn between(&self, one: usize, other: usize) -> Vec<StreamId> {
        self.state.borrow().between(one, other)
    }

    /// Something happens to a stream. Nothing does to one that is over.
    pub fn afflict(&self, stream: StreamId, fault: StreamFault) {
        self.state.borrow_mut().afflict(stream, fault);
    }

    /// Sockets of a core without a node, for tests of what stands between sockets and devices.
    #[cfg(all(test, feature = "tls"))]
    pub(crate) fn sockets(&self, node: usize, core: u16) -> Rc<dyn mainspring::net::Sockets> {
        Rc::new(SimulatedSockets::new(Rc::clone(&self.state), (node, core)))
    }

    /// Streams that somebody is at, or wants to be.
    pub fn streams(&self) -> usize {
        self.state.borrow().streams.len()
    }

    /// Bytes that were sent and that no handler has been shown.
    pub fn bytes_under_way(&self) -> usize {
        let state = self.state.borrow();
        let directions = state.streams.values().flat_map(|stream| &stream.directions);
        let under_way: usize = directions.map(|direction| direction.outstanding_bytes).sum();
        under_way + state.sockets.iter().map(|(_, socket)| socket.received.len()).sum::<usize>()
    }

    /// What the network has counted on one core of a node, over all its lives.
    pub fn counters(&self, node: usize, core: u16) -> SocketCounters {
        counters_of(&self.state.borrow(), (node, core))
    }
}

/// The streams, a line each: who is at their ends, and what is under way.
impl fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        writeln!(f, "a network at {} ns, cut: {:?}", state.now_ns, state.cuts)?;
        state.streams.iter().try_for_each(|(id, stream)| writeln!(f, "{id}: {stream}"))
    }
}

/// Brings the network up to the time of the simulation, whichever core it is polled on.
struct NetworkClock(Rc<RefCell<State>>);

impl Device for NetworkClock {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let mut state = self.0.borrow_mut();
        let now_ns = turn.now_ns();
        let due = state.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns);
        state.advance(now_ns);
        usize::from(due)
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.0.borrow().next_due_ns()
    }
}

fn counters_of(state: &State, place: Place) -> SocketCounters {
    let mut counters = state.counters.get(&place).copied().unwrap_or_default();
    for (_, socket) in state.sockets.iter() {
        if state.owners[socket.owner].place == place {
            counters.open += 1;
            counters.receive_memory_bytes += socket.received.memory_bytes() as u64;
        }
    }
    counters
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
