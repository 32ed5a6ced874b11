//! Core 0's part: which nodes there are, who dials whom, and the news between their runtimes.
//!
//! The hub greets every connection of the node, decides whether it may stand, and says which core it is for. It keeps
//! the control lane and the heartbeats of each peer. It owns no socket: [`LinkDevice`](super::link_device::LinkDevice)
//! asks it what to dial and tells it what became of that.

mod bulk;
mod contacts;
mod endings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use mainspring::peer::NodeControl;

use self::contacts::Contacts;
use super::connection::{Broken, Facts};
use super::notice::Notices;
use super::settings::Settings;
use crate::handshake::{Dialled, FEATURE_BULK, Hello, LocalNode, Peer, RefusalReason, Role};
use crate::link::connections::{Connections, DialledBy, Verdict};
use crate::link::control_lane::{ControlLane, ControlSettings, Received};
use crate::link::credit::Volume;
use crate::link::dialing::{DialStep, Dialer};
use crate::link::events::{DownReason, LinkEvent};
use crate::link::identity::{Incarnation, NodeId};
use crate::link::liveness::Liveness;
use crate::link::peers::{PEERS_LIMIT, PeerRefusal, PeerState, Peers, QuarantineReason};
use crate::link::wanted::{ConnectionKey, Pairing};
use crate::wire::{ControlBody, Lane, LinkFrame};

/// Places of the table of nodes that are kept for nodes that come.
const SPARE_PEERS: usize = 64;

const CONTROL: ConnectionKey = ConnectionKey { lane: Lane::Control, index: 0 };

const BULK: ConnectionKey = ConnectionKey { lane: Lane::Bulk, index: 0 };

/// What is dialled: the first connection to an address, or a further one to a node that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attempt {
    Contact(u64),
    Further(NodeId, ConnectionKey),
}

/// What the hub wants done.
pub(super) enum Order {
    /// Dial.
    Dial { attempt: Attempt, to: SocketAddr, dialled: Dialled },
    /// Give an attempt up.
    Abandon(Attempt),
    /// Tell every core that a life of a node can be reached.
    Open { incarnation: u32, max_frame_bytes: u32, takes_bulk: bool },
    /// Tell every core that it is gone, and whether for good.
    Gone { incarnation: u32, is_over: bool },
    /// Tell a core to end a connection.
    Drop { core: u16, serial: u64, reason: DownReason },
    /// News could not be delivered.
    Return(NodeControl),
}

/// What becomes of a connection that is greeted.
pub(super) enum Placed {
    /// A core keeps it.
    On { core: u16, facts: Box<Facts> },
    /// It is closed.
    Refused(RefusalReason),
}

/// What a connection is for.
#[derive(Clone, Copy)]
struct Known {
    node: NodeId,
    incarnation: Incarnation,
    key: ConnectionKey,
}

/// One life of a peer.
struct Node {
    name: String,
    incarnation: Incarnation,
    pairing: Pairing,
    max_frame_bytes: u32,
    /// It takes large messages.
    takes_bulk: bool,
    /// The connection for them was asked for since the control connection stands.
    is_bulk_wanted: bool,
    /// So many bytes wait for a connection that the peer has to make; it is not told yet.
    bulk_wish_bytes: Option<u64>,
    contact: Option<u64>,
    connections: Connections<u64>,
    dialers: BTreeMap<ConnectionKey, Dialer>,
    lane: ControlLane<NodeControl>,
    liveness: Liveness,
    /// The control connection, if it stands.
    control: Option<u64>,
    /// The cores know of it.
    is_open: bool,
}

/// See the module's header.
pub(super) struct Hub {
    settings: Settings,
    local: LocalNode,
    peers: Peers,
    contacts: Contacts,
    nodes: BTreeMap<NodeId, Node>,
    /// Connections that both nodes' cores have.
    confirmed: BTreeSet<u64>,
    /// What connections are for, until their cores have said that they ended.
    known: BTreeMap<u64, Known>,
    serials: u64,
    orders: VecDeque<Order>,
    notices: Notices,
    seed: u64,
    /// The node shuts down: nobody new is let in.
    is_closed: bool,
    /// Its links end.
    is_leaving: bool,
    /// Nothing is to be done before this, unless something happens.
    due_ns: u64,
}

impl Hub {
    pub fn new(settings: Settings, local: LocalNode, notices: Notices, now_ns: u64) -> Hub {
        let own = Incarnation { number: local.incarnation, started_at_ns: local.started_at_ns };
        let seed = local.started_at_ns ^ local.node_id as u64;
        let mut contacts = Contacts::new(settings.dialing, seed);
        let addresses: BTreeSet<SocketAddr> = settings.contacts.iter().copied().collect();
        addresses.into_iter().for_each(|address| contacts.add(address, now_ns));
        Hub {
            peers: Peers::new(NodeId(local.node_id), own, PEERS_LIMIT),
            contacts,
            nodes: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            known: BTreeMap::new(),
            serials: 0,
            orders: VecDeque::new(),
            notices,
            seed,
            is_closed: false,
            is_leaving: false,
            due_ns: 0,
            settings,
            local,
        }
    }

    /// The node listens there.
    pub fn listening(&self, address: SocketAddr) {
        self.notices.listening(address);
    }

    /// What this node says of itself.
    pub fn local(&self) -> &LocalNode {
        &self.local
    }

    /// The next thing to do.
    pub fn next_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Whether something is to be done.
    pub fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// Whether [`tick`](Self::tick) and [`write_control`](Self::write_control) have something to do.
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns <= now_ns
    }

    /// When it is due, if ever.
    pub fn due_ns(&self) -> Option<u64> {
        (self.due_ns != u64::MAX).then_some(self.due_ns)
    }

    /// Something has happened that may be for the next tick.
    pub fn stir(&mut self) {
        self.due_ns = 0;
    }

    /// All that was due is done.
    pub fn settle(&mut self) {
        self.due_ns = self.next_deadline_ns().unwrap_or(u64::MAX);
    }

    /// Whether what is known of other nodes speaks against this one.
    pub fn verdict(&self, hello: &Hello) -> Result<(), RefusalReason> {
        let number = hello.incarnation;
        let incarnation = Incarnation { number, started_at_ns: hello.started_at_ns };
        let known = self.nodes.get(&NodeId(hello.node_id));
        let is_linked = known.is_some_and(|node| node.is_open && node.incarnation == incarnation);
        if self.is_leaving || (self.is_closed && !is_linked) {
            return Err(RefusalReason::Shutdown);
        }
        self.peers.check(NodeId(hello.node_id), incarnation).map_err(reason_of)
    }

    /// An attempt came to nothing.
    pub fn dial_failed(&mut self, attempt: Attempt, reason: Option<RefusalReason>, now_ns: u64) {
        self.stir();
        let Some(dialer) = self.dialer(attempt) else { return };
        match reason {
            // It has dialled itself.
            Some(RefusalReason::SelfConnect) => {
                dialer.stop();
            }
            // Somebody else is at this address, perhaps only for a while, or the reason is not what was said: a bit of
            // it can have flipped on its way.
            Some(RefusalReason::System | RefusalReason::Format) => dialer.refused(now_ns),
            _ => dialer.failed(now_ns),
        }
    }

    /// A connection is greeted: where it belongs.
    pub fn greeted(&mut self, peer: Peer, attempt: Option<Attempt>, now_ns: u64) -> Placed {
        self.stir();
        let id = NodeId(peer.node_id);
        let incarnation =
            Incarnation { number: peer.incarnation, started_at_ns: peer.started_at_ns };
        let admission = match self.peers.admit(id, incarnation, now_ns) {
            Ok(admission) => admission,
            Err(refusal) => {
                tracing::debug!(peer = peer.name, %refusal, "a node is not let in");
                return Placed::Refused(reason_of(refusal));
            }
        };
        if admission.replaced.is_some() {
            self.replaced(id, now_ns);
        }
        let Ok(pairing) = Pairing::new(self.local.cores, peer.cores) else {
            return Placed::Refused(RefusalReason::Malformed);
        };
        let key = ConnectionKey { lane: peer.lane, index: peer.index };
        let Some(place) = pairing.place(key) else {
            return Placed::Refused(RefusalReason::Malformed);
        };
        self.know(id, incarnation, &peer, pairing, now_ns);
        let dialled_by = if peer.role == Role::Initiator { DialledBy::Us } else { DialledBy::Peer };
        let serial = self.serials + 1;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Placed::Refused(RefusalReason::TooManyNodes);
        };
        if node.pairing != pairing {
            // One life has one number of cores; with another its connections would not be found again.
            return Placed::Refused(RefusalReason::Malformed);
        }
        if key == CONTROL
            && let Some(Attempt::Contact(contact)) = attempt
            && self.contacts.address(contact).is_some()
        {
            node.contact = Some(contact);
        }
        let instead_of = match node.connections.offer(key, serial, dialled_by) {
            Verdict::Duplicate => {
                self.stands_already(id, attempt, now_ns);
                return Placed::Refused(RefusalReason::Duplicate);
            }
            Verdict::Keep { instead_of, .. } => instead_of,
        };
        self.serials = serial;
        if let Some(old) = instead_of {
            let (core, reason) = (place.own_core, DownReason::Superseded);
            self.orders.push_back(Order::Drop { core, serial: old, reason });
        }
        self.known.insert(serial, Known { node: id, incarnation, key });
        self.stands(id, key, serial, dialled_by, now_ns);
        let sends = key.lane == Lane::Ordinary && key.index == place.own_core;
        let (window_bytes, chunks) = (self.settings.window_bytes, self.settings.chunks);
        let mut slow_peer = self.settings.slow_peer;
        if key == BULK {
            // Whatever waits there and does not move.
            slow_peer.high_water_bytes = 0;
        }
        let facts = Box::new(Facts {
            serial,
            key,
            peer,
            window_bytes,
            slow_peer,
            unreachable_after_ns: self.settings.liveness.unreachable_after_ns,
            sends,
            chunks,
        });
        Placed::On { core: place.own_core, facts }
    }

    /// Both ends of a connection are with their cores.
    pub fn confirmed(&mut self, serial: u64) {
        if self.known.contains_key(&serial) {
            self.confirmed.insert(serial);
            self.publish();
        }
    }

    /// A connection has ended.
    pub fn ended(&mut self, serial: u64, reason: DownReason, maybe_lost: Volume, now_ns: u64) {
        self.stir();
        self.confirmed.remove(&serial);
        let Some(Known { node: id, incarnation, key }) = self.known.remove(&serial) else { return };
        self.notices.event(LinkEvent::Down {
            node: id,
            incarnation,
            connection: key,
            maybe_lost,
            reason,
        });
        let Some(node) = self.nodes.get_mut(&id) else { return };
        // Another one may have taken its place, with the same life of the node or with a later one.
        if !node.connections.closed(key, serial) {
            return;
        }
        if key == CONTROL {
            node.control = None;
            node.lane.disconnected();
            self.peers.down(id, incarnation.number, now_ns);
            let contact = node.contact;
            if let Some(dialer) = contact.and_then(|contact| self.contacts.dialer(contact)) {
                dialer.lost(now_ns);
            }
        } else if let Some(dialer) = node.dialers.get_mut(&key) {
            dialer.lost(now_ns);
        }
        self.publish();
    }

    /// A peer does not take what is sent to it.
    pub fn slow(&mut self, serial: u64, waiting_bytes: usize) {
        if let Some(&Known { node, key: connection, .. }) = self.known.get(&serial) {
            self.notices.event(LinkEvent::SlowPeer { node, connection, waiting_bytes });
        }
    }

    /// News for another node.
    pub fn send_control(&mut self, control: NodeControl, now_ns: u64) {
        self.stir();
        let id = self.peers.node_of(control.receiver().node());
        let Some((id, node)) = id.and_then(|id| Some((id, self.nodes.get_mut(&id)?))) else {
            return self.orders.push_back(Order::Return(control));
        };
        if let Err(full) = node.lane.push(control) {
            self.orders.push_back(Order::Return(full.message));
            self.quarantine(id, QuarantineReason::ControlLaneFull, now_ns);
        }
    }

    /// A frame of the link has come on the control connection `serial`; what is for the runtime.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn control_frame(
        &mut self,
        serial: u64,
        frame: &LinkFrame<'_>,
        now_ns: u64,
    ) -> Result<Option<NodeControl>, Broken> {
        self.stir();
        let own = self.local.incarnation;
        let Some((id, node)) = self.of_control(serial) else { return Ok(None) };
        let peer = node.incarnation.number;
        match *frame {
            LinkFrame::Control { sequence, body } => {
                node.liveness.heard(now_ns);
                let control = from_wire(body, own, peer)?;
                let received = node.lane.receive(peer, sequence);
                let received = received.map_err(|error| Broken::Link(error.to_string()))?;
                return Ok((received == Received::New).then_some(control));
            }
            LinkFrame::ControlAck { sequence } => {
                let recorded = node.lane.record_acknowledgement(sequence, now_ns);
                recorded.map_err(|error| Broken::Link(error.to_string()))?;
            }
            LinkFrame::Heartbeat { sent_at_ns } => {
                node.liveness.owe_echo(sent_at_ns);
                if let Some(change) = node.liveness.heartbeat(now_ns) {
                    self.reachability(id, change, now_ns);
                }
            }
            LinkFrame::BulkWanted { waiting_bytes } => {
                tracing::debug!(node = %id, waiting_bytes, "a peer has large messages");
                self.dial_bulk(id, now_ns);
            }
            LinkFrame::HeartbeatEcho { sent_at_ns } => {
                let echoed = node.liveness.echo(sent_at_ns, now_ns);
                echoed.map_err(|error| Broken::Link(error.to_string()))?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// Writes what is due on the control connection `serial`. While a send is under way nothing is written: a peer that
    /// reads nothing must not make it pile up.
    pub fn write_control(
        &mut self,
        serial: u64,
        now_ns: u64,
        may_send: bool,
        mut say: impl FnMut(&LinkFrame<'_>),
    ) {
        let Some((id, node)) = self.of_control(serial) else { return };
        let beat = node.liveness.tick(now_ns);
        node.lane.tick(now_ns);
        if may_send {
            if let Some(sent_at_ns) = beat.heartbeat_ns {
                say(&LinkFrame::Heartbeat { sent_at_ns });
            }
            if let Some(sent_at_ns) = node.liveness.take_echo() {
                say(&LinkFrame::HeartbeatEcho { sent_at_ns });
            }
            if let Some(waiting_bytes) = node.bulk_wish_bytes.take() {
                say(&LinkFrame::BulkWanted { waiting_bytes });
            }
            if let Some(sequence) = node.lane.acknowledgement() {
                say(&LinkFrame::ControlAck { sequence });
            }
            while let Some((sequence, control)) = node.lane.next_to_send(now_ns) {
                say(&LinkFrame::Control { sequence, body: to_wire(*control) });
            }
        }
        if let Some(change) = beat.change {
            self.reachability(id, change, now_ns);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ns: u64) {
        self.make_room();
        let attempts: Vec<Attempt> = self.attempts().collect();
        for attempt in attempts {
            match self.dialer(attempt).and_then(|dialer| dialer.tick(now_ns)) {
                Some(DialStep::Dial) => self.dial(attempt),
                Some(DialStep::Abandon) => self.orders.push_back(Order::Abandon(attempt)),
                None => {}
            }
        }
        let silent: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in silent {
            let Some(node) = self.nodes.get_mut(&id).filter(|node| node.control.is_none()) else {
                continue;
            };
            // Nothing can be sent, but the silence counts.
            if node.is_open
                && let Some(change) = node.liveness.tick(now_ns).change
            {
                self.reachability(id, change, now_ns);
            }
        }
    }

    /// When [`tick`](Self::tick) and [`write_control`](Self::write_control) want to be called.
    fn next_deadline_ns(&self) -> Option<u64> {
        let of_node = |node: &Node| {
            let is_up = node.control.is_some();
            let dialers = node.dialers.values().filter(|_| is_up);
            let dialing = dialers.filter_map(Dialer::next_deadline_ns).min();
            let liveness = node.liveness.next_deadline_ns().filter(|_| is_up || node.is_open);
            [dialing, liveness, node.lane.next_deadline_ns()].into_iter().flatten().min()
        };
        let contacts = self.contacts.next_deadline_ns();
        self.nodes.values().filter_map(of_node).chain(contacts).min()
    }

    /// Forgets the nodes that were gone longest when the table of nodes is nearly full. Nodes without an address of
    /// their own come as somebody new each time.
    fn make_room(&mut self) {
        while self.peers.len() > PEERS_LIMIT - SPARE_PEERS {
            let is_gone = |id: &NodeId| {
                let node = self.nodes.get(id);
                node.is_none_or(|node| !node.is_open && node.connections.is_empty())
            };
            let down = self.peers.iter().filter(|(id, peer)| {
                matches!(peer.state, PeerState::Down | PeerState::Connecting) && is_gone(id)
            });
            let Some((id, _)) = down.min_by_key(|(_, peer)| peer.since_ns) else { return };
            self.peers.forget(id);
            if let Some(node) = self.nodes.remove(&id) {
                let incarnation = node.incarnation.number;
                self.orders.push_back(Order::Gone { incarnation, is_over: true });
            }
        }
    }

    fn attempts(&self) -> impl Iterator<Item = Attempt> {
        let contacts = self.contacts.numbers().map(Attempt::Contact);
        let up = self.nodes.iter().filter(|(_, node)| node.control.is_some());
        let further =
            up.flat_map(|(id, node)| node.dialers.keys().map(|key| Attempt::Further(*id, *key)));
        contacts.chain(further)
    }

    fn dialer(&mut self, attempt: Attempt) -> Option<&mut Dialer> {
        match attempt {
            Attempt::Contact(contact) => self.contacts.dialer(contact),
            Attempt::Further(id, key) => self.nodes.get_mut(&id)?.dialers.get_mut(&key),
        }
    }

    fn dial(&mut self, attempt: Attempt) {
        let (contact, key, expected_incarnation) = match attempt {
            Attempt::Contact(contact) => (Some(contact), CONTROL, 0),
            Attempt::Further(id, key) => match self.nodes.get(&id) {
                Some(node) => (node.contact, key, node.incarnation.number),
                None => return,
            },
        };
        let Some(to) = contact.and_then(|contact| self.contacts.address(contact)) else { return };
        let (lane, index) = (key.lane, key.index);
        let dialled = Dialled { lane, index, expected_incarnation };
        self.orders.push_back(Order::Dial { attempt, to, dialled });
    }

    fn know(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        peer: &Peer,
        pairing: Pairing,
        now_ns: u64,
    ) {
        let ours_win = self.local.node_id < id.0;
        let liveness = self.settings.liveness;
        self.nodes.entry(id).or_insert_with(|| Node {
            name: peer.name.clone(),
            incarnation,
            pairing,
            max_frame_bytes: peer.ordinary_frame_bytes,
            takes_bulk: peer.features & FEATURE_BULK != 0,
            is_bulk_wanted: false,
            bulk_wish_bytes: None,
            contact: None,
            connections: Connections::new(ours_win),
            dialers: BTreeMap::new(),
            lane: ControlLane::new(ControlSettings::default(), incarnation.number),
            liveness: Liveness::new(liveness, now_ns),
            control: None,
            is_open: false,
        });
    }

    /// A connection stands from now on.
    fn stands(
        &mut self,
        id: NodeId,
        key: ConnectionKey,
        serial: u64,
        dialled_by: DialledBy,
        now_ns: u64,
    ) {
        self.note_standing(id, key, dialled_by, now_ns);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if key != CONTROL {
            return self.publish();
        }
        node.control = Some(serial);
        (node.is_bulk_wanted, node.bulk_wish_bytes) = (false, None);
        node.lane.connected();
        node.liveness = Liveness::new(self.settings.liveness, now_ns);
        let incarnation = node.incarnation;
        if node.contact.is_some() && !self.is_leaving {
            let seed = self.seed ^ incarnation.started_at_ns ^ id.0 as u64;
            for (at, wanted) in node.pairing.wanted().enumerate() {
                let is_missing = wanted.key != CONTROL && !node.dialers.contains_key(&wanted.key);
                if is_missing {
                    let seed = seed.wrapping_add(at as u64 + 1);
                    let dialer = Dialer::new(self.settings.dialing, seed, now_ns);
                    node.dialers.insert(wanted.key, dialer);
                }
            }
        }
        if !std::mem::replace(&mut node.is_open, true) {
            let (incarnation, max_frame_bytes) = (incarnation.number, node.max_frame_bytes);
            let takes_bulk = node.takes_bulk;
            self.orders.push_back(Order::Open { incarnation, max_frame_bytes, takes_bulk });
        }
        self.peers.up(id, incarnation.number, now_ns);
        self.notices.event(LinkEvent::Up { node: id, incarnation });
        self.publish();
    }

    /// Whoever dials this place needs to no more. Of two that dial at once the node with the larger id gives up.
    fn note_standing(
        &mut self,
        id: NodeId,
        key: ConnectionKey,
        dialled_by: DialledBy,
        now_ns: u64,
    ) {
        let contact = self.nodes.get(&id).and_then(|node| node.contact);
        let attempt = match (key, contact) {
            (CONTROL, Some(contact)) => Attempt::Contact(contact),
            (CONTROL, None) => return,
            _ => Attempt::Further(id, key),
        };
        let gives_up = self.local.node_id > id.0;
        let Some(dialer) = self.dialer(attempt) else { return };
        if dialer.connected(dialled_by, now_ns) && gives_up {
            dialer.failed(now_ns);
            self.orders.push_back(Order::Abandon(attempt));
        }
    }

    fn of_control(&mut self, serial: u64) -> Option<(NodeId, &mut Node)> {
        let id = self.known.get(&serial)?.node;
        let node = self.nodes.get_mut(&id)?;
        (node.control == Some(serial)).then_some((id, node))
    }

    /// Shows the user who is there.
    fn publish(&self) {
        let nodes = self.nodes.iter().filter(|(_, node)| node.is_open && node.control.is_some());
        let nodes = nodes.map(|(id, node)| super::notice::LinkedNode {
            id: *id,
            name: node.name.clone(),
            incarnation: node.incarnation.number,
            dialled_at: node.contact.and_then(|contact| self.contacts.address(contact)),
            connections: node
                .connections
                .iter()
                .filter(|(key, serial)| *key != BULK && self.confirmed.contains(serial))
                .count(),
            wanted_connections: node.pairing.wanted().count(),
        });
        self.notices.publish(nodes.collect());
    }
}

fn reason_of(refusal: PeerRefusal) -> RefusalReason {
    match refusal {
        PeerRefusal::Ourselves(_) => RefusalReason::SelfConnect,
        PeerRefusal::IncarnationInUse { .. } | PeerRefusal::TwoAtOnce { .. } => {
            RefusalReason::DuplicateIncarnation
        }
        PeerRefusal::Older { .. } => RefusalReason::OlderIncarnation,
        PeerRefusal::Quarantined { .. } => RefusalReason::Quarantined,
        PeerRefusal::TableFull { .. } => RefusalReason::TooManyNodes,
    }
}

fn to_wire(control: NodeControl) -> ControlBody {
    match control {
        NodeControl::Watch { actor, watcher } => ControlBody::Watch { actor, watcher },
        NodeControl::Unwatch { actor, watcher } => ControlBody::Unwatch { actor, watcher },
        NodeControl::Terminated { actor, watcher, reason } => {
            ControlBody::Terminated { actor, watcher, reason }
        }
    }
}

/// A peer speaks for its own actors, and to those of this node.
fn from_wire(body: ControlBody, own: u32, peer: u32) -> Result<NodeControl, Broken> {
    let (control, ours, theirs) = match body {
        ControlBody::Watch { actor, watcher } => {
            (NodeControl::Watch { actor, watcher }, actor, watcher)
        }
        ControlBody::Unwatch { actor, watcher } => {
            (NodeControl::Unwatch { actor, watcher }, actor, watcher)
        }
        ControlBody::Terminated { actor, watcher, reason } => {
            (NodeControl::Terminated { actor, watcher, reason }, watcher, actor)
        }
    };
    if ours.node() != own || theirs.node() != peer {
        let what = format!("{body:?} is not between this node and the one that sent it");
        return Err(Broken::Link(what));
    }
    Ok(control)
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
