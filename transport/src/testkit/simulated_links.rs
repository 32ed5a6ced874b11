//! A simulation whose nodes are linked: the links of production, over a simulated network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use mainspring::testkit::Simulation;

use super::{SimulatedNetwork, StreamFault};
use crate::handshake::Key;
use crate::link::events::LinkEvent;
use crate::{LinkedNode, Links, Transport};

/// Where every simulated node listens.
const PORT: u16 = 7_355;

/// What every simulated node holds.
const KEY: &[u8] = b"the key of all simulated nodes!!";

/// A [`Simulation`] whose nodes are linked, each to each. It is used as one: `sim.at(0)`, `sim.run_for(..)`.
///
/// Node `n` listens at `10.0.0.(n + 1):7355`, is called `node-n`, and connects to the nodes before it. All hold the
/// same key.
pub struct SimulatedLinks {
    sim: Simulation,
    network: SimulatedNetwork,
    nodes: Vec<SimulatedNode>,
    /// Each node connects to those before it, without being told.
    is_mesh: bool,
    change: Box<dyn FnMut(usize, Transport) -> Transport>,
}

/// One node.
#[derive(Default)]
struct SimulatedNode {
    links: Links,
    /// What was taken out of `links`.
    events: Vec<LinkEvent>,
}

impl SimulatedLinks {
    /// Links the nodes of a simulation that has not begun.
    pub fn of(sim: Simulation) -> SimulatedLinks {
        SimulatedLinks::with(sim, |_, transport| transport)
    }

    /// As [`of`](Self::of), with settings: `change` gets the links of each node before they begin, and again when the
    /// node restarts.
    ///
    /// # Panics
    /// In the test whose settings make no sense.
    pub fn with(
        sim: Simulation,
        change: impl FnMut(usize, Transport) -> Transport + 'static,
    ) -> SimulatedLinks {
        SimulatedLinks::begun(sim, true, change)
    }

    /// As [`with`](Self::with), but no node connects to another one before it is told to
    /// ([`Links::connect`](crate::Links::connect), or by `change`).
    ///
    /// # Panics
    /// As [`with`](Self::with).
    pub fn apart(
        sim: Simulation,
        change: impl FnMut(usize, Transport) -> Transport + 'static,
    ) -> SimulatedLinks {
        SimulatedLinks::begun(sim, false, change)
    }

    fn begun(
        sim: Simulation,
        is_mesh: bool,
        change: impl FnMut(usize, Transport) -> Transport + 'static,
    ) -> SimulatedLinks {
        let network = SimulatedNetwork::seeded(sim.seed());
        let nodes = (0..sim.node_count()).map(|_| SimulatedNode::default()).collect();
        let mut links = SimulatedLinks { sim, network, nodes, is_mesh, change: Box::new(change) };
        (0..links.nodes.len()).for_each(|node| links.begin(node));
        links
    }

    /// Where a node listens.
    pub fn address_of(node: usize) -> SocketAddr {
        let ip = Ipv4Addr::new(10, 0, (node / 250) as u8, (node % 250 + 1) as u8);
        SocketAddr::new(IpAddr::V4(ip), PORT)
    }

    /// The network between the nodes, for what may go wrong with it.
    pub fn network(&self) -> &SimulatedNetwork {
        &self.network
    }

    /// The links of a node's present life.
    pub fn links(&self, node: usize) -> Links {
        self.nodes[node].links.clone()
    }

    /// What has happened to the links of a node, over all its lives, oldest first.
    ///
    /// # Panics
    /// When so much has happened since the last call that some of it is not known any more.
    #[track_caller]
    pub fn events(&mut self, node: usize) -> &[LinkEvent] {
        let SimulatedNode { links, events } = &mut self.nodes[node];
        let (new, dropped) = links.take_events();
        assert!(dropped == 0, "{dropped} events of node {node} were not looked at in time");
        events.extend(new);
        events
    }

    /// From now on nothing arrives between a node of `ones` and one of `others`.
    pub fn partition(&mut self, ones: impl AsRef<[usize]>, others: impl AsRef<[usize]>) {
        self.update_network();
        self.network.partition(ones, others);
    }

    /// The network is whole again.
    pub fn heal(&mut self) {
        self.update_network();
        self.network.heal();
    }

    /// Something happens to every stream between two nodes.
    pub fn afflict(&mut self, one: usize, other: usize, fault: StreamFault) {
        self.update_network();
        for stream in self.network.between(one, other) {
            self.network.afflict(stream, fault);
        }
    }

    /// No core of a node does anything for so much virtual time.
    pub fn stall(&mut self, node: usize, pause: Duration) {
        for core in 0..self.sim.core_count() {
            self.sim.at(node).core(core).stall(pause);
        }
    }

    /// A node ends at once, as a process that is killed, and begins another life with links of its own.
    pub fn restart(&mut self, node: usize) {
        self.update_network();
        self.events(node);
        self.sim.restart(node);
        self.nodes[node].links = Links::default();
        self.begin(node);
    }

    /// Whether a node is linked to another one's present life, with all connections.
    pub fn is_linked(&mut self, one: usize, other: usize) -> bool {
        let incarnation = self.sim.incarnation(other);
        let is_whole = |linked: &LinkedNode| {
            linked.incarnation == incarnation && linked.connections >= linked.wanted_connections
        };
        self.nodes[one].links.nodes().iter().any(is_whole)
    }

    /// All nodes are linked, each to each, within so much virtual time.
    ///
    /// # Panics
    /// When they are not; the message says which.
    #[track_caller]
    pub fn assert_linked_within(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        loop {
            let missing = self.missing_links();
            if missing.is_empty() {
                return;
            }
            assert!(self.sim.now() < end, "not linked within {time:?}: {missing:?}");
            self.sim.run_for(Duration::from_millis(10));
        }
    }

    /// Pairs of nodes of which the first is not linked to the second.
    fn missing_links(&mut self) -> Vec<(usize, usize)> {
        let count = self.nodes.len();
        let pairs = (0..count).flat_map(|one| (0..count).map(move |other| (one, other)));
        let pairs: Vec<_> = pairs.filter(|(one, other)| one != other).collect();
        pairs.into_iter().filter(|(one, other)| !self.is_linked(*one, *other)).collect()
    }

    /// What the test does happens at the present time.
    fn update_network(&mut self) {
        let now = self.sim.now();
        self.network.advance(now);
    }

    /// Puts the network and the links onto the cores of a node.
    #[allow(clippy::expect_used, reason = "a test says what is wrong with its settings")]
    fn begin(&mut self, node: usize) {
        let key = Key::from_file_bytes(KEY).expect("it is long enough");
        let listening = Transport::new().listen(&Self::address_of(node).to_string());
        let mut transport = listening.expect("it is an address").key(key);
        for other in (0..node).filter(|_| self.is_mesh) {
            let contact = Self::address_of(other).to_string();
            transport = transport.connect(&contact).expect("it is an address");
        }
        let transport = (self.change)(node, transport);
        self.nodes[node].links = transport.links();
        // The first life must not begin at 0, which no wall clock says.
        let started_at_ns = self.sim.now().as_nanos() as u64 + 1;
        for core in 0..self.sim.core_count() {
            self.sim.at(node).core(core).install(|seat| {
                self.network.install(seat, node);
                let installed =
                    transport.install_simulated(seat, &format!("node-{node}"), started_at_ns);
                installed.expect("settings that make sense");
            });
        }
    }
}

impl Deref for SimulatedLinks {
    type Target = Simulation;

    fn deref(&self) -> &Simulation {
        &self.sim
    }
}

impl DerefMut for SimulatedLinks {
    fn deref_mut(&mut self) -> &mut Simulation {
        &mut self.sim
    }
}
