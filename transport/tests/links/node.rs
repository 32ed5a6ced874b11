//! A node made of the machines of its links, as a driver would put them together, with values in place of bytes.

use std::collections::{BTreeMap, BTreeSet};

use mainspring_transport::link::connections::DialledBy;
use mainspring_transport::link::control_lane::ControlSettings;
use mainspring_transport::link::dialing::{DialSettings, DialStep};
use mainspring_transport::link::identity::{Incarnation, NodeId};
use mainspring_transport::link::liveness::LivenessSettings;
use mainspring_transport::link::peers::{PeerRefusal, PeerState, Peers, QuarantineReason};
use mainspring_transport::link::wanted::ConnectionKey;
use mainspring_transport::wire::Lane;

use crate::budgets::{Budget, OutboxSettings};
use crate::ledger::{Deed, Flow, Message};
use crate::link::{Link, LinkSettings};
use crate::network::{ConnectionId, Frame};

/// What a node wants of the network.
#[derive(Clone, Debug)]
pub enum Command {
    Dial { peer: usize, key: ConnectionKey },
    Send { connection: ConnectionId, frame: Frame },
    Close { connection: ConnectionId },
}

/// Times and limits of all nodes of a storm.
#[derive(Clone, Copy, Debug)]
pub struct NodeSettings {
    pub link: LinkSettings,
    pub dial: DialSettings,
    pub control: ControlSettings,
    pub liveness: LivenessSettings,
    pub outbox: OutboxSettings,
    /// How long a node takes to consume what has come.
    pub laziness_ns: u64,
    /// What the driver does wrong.
    pub flaw: Option<Flaw>,
}

/// A mistake in the driver, to see that the storms find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Says of every connection that nothing was lost with it.
    ForgetsMaybeLost,
    /// Sends on the next connection again what may have been lost.
    SendsAgain,
    /// Reads what came on a connection after another one has taken its place.
    ReadsOldConnections,
    /// Counts as consumed what has only come.
    ConsumesEarly,
    /// Acts on control frames that came before.
    ActsTwice,
    /// Sends to a restarted peer what was for its earlier life.
    IgnoresRestarts,
}

/// What happens at a node is written here.
#[derive(Default)]
pub struct Outputs {
    pub commands: Vec<Command>,
    pub deeds: Vec<Deed>,
}

impl Outputs {
    pub fn send(&mut self, connection: ConnectionId, frame: Frame) {
        self.commands.push(Command::Send { connection, frame });
    }

    pub fn close(&mut self, connection: ConnectionId) {
        self.commands.push(Command::Close { connection });
    }
}

/// One life of a node.
pub struct Node {
    pub place: usize,
    pub incarnation: Incarnation,
    settings: NodeSettings,
    peers: Peers,
    pub links: BTreeMap<NodeId, Link>,
    /// What is sent and not consumed, to all peers.
    core_budget: Budget,
    /// Attempts of ours, until the peer answers.
    attempts: BTreeMap<ConnectionId, (NodeId, ConnectionKey)>,
    standing: BTreeMap<ConnectionId, (NodeId, ConnectionKey)>,
    numbers: BTreeMap<(Flow, u32), u64>,
    pub outputs: Outputs,
}

/// The id of the node at a place.
pub fn node_id(place: usize) -> NodeId {
    NodeId(place as u128 + 1)
}

pub fn place_of(node: NodeId) -> usize {
    node.0 as usize - 1
}

impl Node {
    /// A node that starts now and knows the cores of all, by place.
    pub fn new(
        place: usize,
        incarnation: Incarnation,
        cores: &[u16],
        settings: NodeSettings,
        seed: u64,
        now_ns: u64,
    ) -> Node {
        let mut random = fastrand::Rng::with_seed(seed);
        let peers = (0..cores.len()).filter(|peer| *peer != place);
        let links = peers.map(|peer| {
            let is_smaller = place < peer;
            let seed = random.u64(..);
            let (own, cores) = (incarnation.number, (cores[place], cores[peer]));
            (node_id(peer), Link::new(own, cores, is_smaller, settings, seed, now_ns))
        });
        Node {
            place,
            incarnation,
            settings,
            peers: Peers::new(node_id(place), incarnation, 16),
            links: links.collect(),
            core_budget: Budget::new(settings.outbox.core_limit_bytes),
            attempts: BTreeMap::new(),
            standing: BTreeMap::new(),
            numbers: BTreeMap::new(),
            outputs: Outputs::default(),
        }
    }

    /// A user's message to a peer: what becomes of it is in the deeds.
    pub fn tell(&mut self, to: NodeId, cores: (u16, u16), bytes: u64, id: usize, is_bulk: bool) {
        let flow =
            Flow { from: self.incarnation.number, from_core: cores.0, to_core: cores.1, is_bulk };
        let link = self.links.get_mut(&to).expect("a peer");
        let known = self.peers.get(to).filter(|peer| !is_quarantined(peer.state));
        let Some(incarnation) = known.and_then(|peer| peer.incarnation) else {
            self.outputs.deeds.push(Deed::DeadLetter { message: id });
            return;
        };
        let number = self.numbers.entry((flow, incarnation.number)).or_default();
        *number += 1;
        let message = Message { id, flow, number: *number, to: incarnation.number };
        if !link.push(message, bytes, &mut self.core_budget) {
            self.outputs.deeds.push(Deed::DeadLetter { message: id });
        }
    }

    /// A control frame to a peer, if there is one that it can be for.
    pub fn control(&mut self, to: NodeId, now_ns: u64) {
        let link = self.links.get_mut(&to).expect("a peer");
        let Some(control) = link.control.as_mut() else { return };
        let (body, peer) = (link.next_control, control.incarnation());
        if control.push(body).is_ok() {
            link.next_control += 1;
            let from = self.incarnation.number;
            self.outputs.deeds.push(Deed::ControlPushed { from, to: peer, body });
        } else {
            self.quarantine(to, QuarantineReason::ControlLaneFull, now_ns);
        }
    }

    /// An attempt of ours has a connection: it begins with who we are.
    pub fn dialled(&mut self, peer: NodeId, key: ConnectionKey, connection: ConnectionId) {
        self.attempts.insert(connection, (peer, key));
        let (node, incarnation) = (node_id(self.place), self.incarnation);
        self.outputs.send(connection, Frame::Hello { node, incarnation, key });
    }

    /// A frame has come.
    pub fn receive(&mut self, connection: ConnectionId, frame: Frame, now_ns: u64) {
        match frame {
            Frame::Hello { node, incarnation, key } => {
                self.hello(connection, node, incarnation, key, now_ns);
                self.flush(now_ns);
            }
            Frame::Welcome { incarnation } => {
                self.welcome(connection, incarnation, now_ns);
                self.flush(now_ns);
            }
            Frame::Refused { by, is_quarantine } => {
                if let Some((peer, key)) = self.attempts.remove(&connection) {
                    self.link(peer).dialer_failed(key, now_ns);
                    // The refusal speaks of two lives; it means nothing to later ones.
                    let known = self.peers.get(peer).and_then(|peer| peer.incarnation);
                    if is_quarantine && known.is_none_or(|known| known == by) {
                        let _ = self.peers.admit(peer, by, now_ns);
                        self.quarantine(peer, QuarantineReason::ByPeer, now_ns);
                    }
                }
                self.outputs.close(connection);
            }
            frame => {
                if let Some(&(peer, key)) = self.standing.get(&connection) {
                    let (core, outputs) = (&mut self.core_budget, &mut self.outputs);
                    let link = self.links.get_mut(&peer).expect("a peer");
                    link.receive(key, frame, core, outputs, now_ns);
                    link.flush(outputs, now_ns);
                }
            }
        }
    }

    /// A connection is gone.
    pub fn ended(&mut self, connection: ConnectionId, now_ns: u64) {
        if let Some((peer, key)) = self.attempts.remove(&connection) {
            self.link(peer).dialer_failed(key, now_ns);
        }
        self.end(connection, now_ns);
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ns: u64) {
        let peers: Vec<NodeId> = self.links.keys().copied().collect();
        for peer in peers {
            let link = self.links.get_mut(&peer).expect("a peer");
            for (key, step) in link.tick_dialers(now_ns) {
                match step {
                    DialStep::Dial => {
                        self.outputs.commands.push(Command::Dial { peer: place_of(peer), key });
                    }
                    DialStep::Abandon => self.abandon(peer, key),
                }
            }
            let link = self.links.get_mut(&peer).expect("a peer");
            let slow = link.consume(&mut self.outputs, now_ns);
            let is_unreachable = link.tick_liveness(&mut self.outputs, now_ns);
            for connection in slow {
                self.outputs.close(connection);
                self.end(connection, now_ns);
            }
            if is_unreachable {
                self.drop_connections(peer, now_ns);
                let incarnation = self.peers.get(peer).and_then(|peer| peer.incarnation);
                self.peers.down(peer, incarnation.map_or(0, |life| life.number), now_ns);
            }
        }
        self.flush(now_ns);
    }

    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.links.values().filter_map(Link::next_deadline_ns).min()
    }

    /// The connections that stand with a peer, by key.
    pub fn connections(&self, peer: NodeId) -> Vec<(ConnectionKey, ConnectionId)> {
        self.links[&peer].connections.iter().collect()
    }

    /// What is charged to all peers together.
    pub fn core_used_bytes(&self) -> usize {
        self.core_budget.used_bytes()
    }

    pub fn is_quarantined(&self, peer: NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| is_quarantined(peer.state))
    }

    /// Somebody has dialled us.
    fn hello(
        &mut self,
        connection: ConnectionId,
        node: NodeId,
        incarnation: Incarnation,
        key: ConnectionKey,
        now_ns: u64,
    ) {
        if let Err(refusal) = self.admit(node, incarnation, now_ns) {
            let is_quarantine = matches!(refusal, PeerRefusal::Quarantined { .. });
            self.outputs.send(connection, Frame::Refused { by: self.incarnation, is_quarantine });
            self.outputs.close(connection);
        } else if self.stand(connection, node, key, DialledBy::Peer, now_ns) {
            self.outputs.send(connection, Frame::Welcome { incarnation: self.incarnation });
        }
    }

    /// A peer that we have dialled answers.
    fn welcome(&mut self, connection: ConnectionId, incarnation: Incarnation, now_ns: u64) {
        let Some((peer, key)) = self.attempts.remove(&connection) else { return };
        if self.admit(peer, incarnation, now_ns).is_err() {
            self.link(peer).dialer_failed(key, now_ns);
            self.outputs.close(connection);
        } else if !self.stand(connection, peer, key, DialledBy::Us, now_ns) {
            self.link(peer).dialer_failed(key, now_ns);
        }
    }

    fn admit(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        now_ns: u64,
    ) -> Result<(), PeerRefusal> {
        let admission = self.peers.admit(node, incarnation, now_ns)?;
        if let Some(old) = admission.replaced {
            self.drop_connections(node, now_ns);
            let (link, outputs) = (self.links.get_mut(&node).expect("a peer"), &mut self.outputs);
            if self.settings.flaw != Some(Flaw::IgnoresRestarts) {
                link.drop_waiting(&mut self.core_budget, outputs);
            }
            outputs.deeds.push(Deed::ControlOver { from: self.incarnation.number, to: old.number });
        }
        let settings = self.settings.control;
        self.link(node).begin_control(settings, incarnation.number, now_ns);
        Ok(())
    }

    /// The handshake of a connection is done; whether the connection stays.
    fn stand(
        &mut self,
        connection: ConnectionId,
        peer: NodeId,
        key: ConnectionKey,
        dialled_by: DialledBy,
        now_ns: u64,
    ) -> bool {
        let Some((instead_of, abandons)) =
            self.link(peer).offer(key, connection, dialled_by, now_ns)
        else {
            self.outputs.close(connection);
            return false;
        };
        if let Some(old) = instead_of {
            self.outputs.close(old);
            self.end(old, now_ns);
        }
        if abandons {
            self.link(peer).dialer_failed(key, now_ns);
            self.abandon(peer, key);
        }
        self.standing.insert(connection, (peer, key));
        self.link(peer).begin_lane(key, connection, now_ns);
        if key.lane == Lane::Control {
            let incarnation = self.link(peer).control.as_ref().map_or(0, |c| c.incarnation());
            self.peers.up(peer, incarnation, now_ns);
        }
        true
    }

    /// What is to be done when a connection that stood, or was replaced, is gone.
    fn end(&mut self, connection: ConnectionId, now_ns: u64) {
        let Some((peer, key)) = self.standing.remove(&connection) else { return };
        let link = self.links.get_mut(&peer).expect("a peer");
        let outputs = &mut self.outputs;
        link.end_lane(key, connection, &mut self.core_budget, outputs, now_ns);
    }

    fn abandon(&mut self, peer: NodeId, key: ConnectionKey) {
        let attempts = self.attempts.iter().filter(|(_, of)| **of == (peer, key));
        let abandoned: BTreeSet<ConnectionId> =
            attempts.map(|(connection, _)| *connection).collect();
        for connection in abandoned {
            self.attempts.remove(&connection);
            self.outputs.close(connection);
        }
    }

    fn quarantine(&mut self, peer: NodeId, reason: QuarantineReason, now_ns: u64) {
        let known = self.peers.get(peer).and_then(|peer| peer.incarnation);
        let Some(incarnation) = known else { return };
        if self.peers.quarantine(peer, incarnation.number, reason, now_ns) {
            self.drop_connections(peer, now_ns);
            let link = self.links.get_mut(&peer).expect("a peer");
            link.drop_waiting(&mut self.core_budget, &mut self.outputs);
            link.control = None;
            link.stop_dialers();
            let keys: Vec<ConnectionKey> = link.dialers.keys().copied().collect();
            for key in keys {
                self.abandon(peer, key);
            }
            let (own, theirs) = (self.incarnation.number, incarnation.number);
            self.outputs.deeds.push(Deed::ControlOver { from: own, to: theirs });
            self.outputs.deeds.push(Deed::ControlOver { from: theirs, to: own });
        }
    }

    fn drop_connections(&mut self, peer: NodeId, now_ns: u64) {
        for (_, connection) in self.connections(peer) {
            self.outputs.close(connection);
            self.end(connection, now_ns);
        }
    }

    fn flush(&mut self, now_ns: u64) {
        for link in self.links.values_mut() {
            link.flush(&mut self.outputs, now_ns);
        }
    }

    fn link(&mut self, peer: NodeId) -> &mut Link {
        self.links.get_mut(&peer).expect("a peer")
    }
}

fn is_quarantined(state: PeerState) -> bool {
    matches!(state, PeerState::Quarantined(_))
}
