//! What a core knows of other nodes: the ways out to them, and who here watches actors there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::Core;
use super::control::Control;
use super::dead_letters::Reason;
use super::send::TellError;
use crate::actor::StopReason;
use crate::address::Address;
use crate::frame::{AlignedBuffer, ForeignPrefix, archive};
use crate::message::{LocalMessage, Message};
use crate::peer::{AppendError, BulkOutbox, Envelope, NodeControl, Outbox};

/// News for other nodes that wait on core 0; beyond it they come back as if their node were gone.
pub(crate) const CONTROL_LIMIT: usize = 1 << 16;

/// Other nodes that a core has ways to.
pub(crate) const NODES_LIMIT: usize = 4096;

/// See the module's header.
#[derive(Default)]
pub(crate) struct Peers {
    /// By incarnation, ascending.
    ways: Vec<(u32, Rc<RefCell<Outbox>>)>,
    /// The same for messages on the bulk lane, of nodes that take them.
    bulk: BTreeMap<u32, Rc<RefCell<BulkOutbox>>>,
    /// By node: the watcher's word, and the actor.
    watched: BTreeMap<u32, BTreeSet<(u64, Address)>>,
    /// By node: actors of this core that actors there watch. One that no longer is watched may stay in it.
    watchers: BTreeMap<u32, BTreeSet<u64>>,
    control: VecDeque<NodeControl>,
}

impl Peers {
    pub fn open(&mut self, node: u32, outbox: Rc<RefCell<Outbox>>) {
        match self.find(node) {
            Ok(at) => self.ways[at].1 = outbox,
            Err(at) if self.ways.len() < NODES_LIMIT => self.ways.insert(at, (node, outbox)),
            Err(_) => {}
        }
    }

    /// Opens the bulk lane to a node that is open.
    pub fn open_bulk(&mut self, node: u32, outbox: Rc<RefCell<BulkOutbox>>) {
        if self.way(node).is_some() {
            self.bulk.insert(node, outbox);
        }
    }

    pub fn close(&mut self, node: u32) {
        self.bulk.remove(&node);
        if let Ok(at) = self.find(node) {
            self.ways.remove(at);
        }
    }

    pub fn take_control(&mut self) -> Option<NodeControl> {
        self.control.pop_front()
    }

    pub fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// The turn with this number failed.
    pub fn rollback(&mut self, turn: u64) {
        for (_, outbox) in &self.ways {
            outbox.borrow_mut().rollback(turn);
        }
        for outbox in self.bulk.values() {
            outbox.borrow_mut().rollback(turn);
        }
    }

    fn find(&self, node: u32) -> Result<usize, usize> {
        self.ways.binary_search_by_key(&node, |(node, _)| *node)
    }

    #[inline]
    fn way(&self, node: u32) -> Option<&Rc<RefCell<Outbox>>> {
        let at = self.find(node).ok()?;
        Some(&self.ways[at].1)
    }

    /// An actor of another node watches `me` of this core.
    pub fn note_watcher(&mut self, me: u64, watcher: Address) {
        self.watchers.entry(watcher.node()).or_default().insert(me);
    }

    /// The actor `me` of this core is gone: nobody watches it.
    pub fn forget_watched(&mut self, me: u64, watcher: Address) {
        if let Some(of_node) = self.watchers.get_mut(&watcher.node()) {
            of_node.remove(&me);
            if of_node.is_empty() {
                self.watchers.remove(&watcher.node());
            }
        }
    }

    /// The actor `watcher` of this core no longer watches that one.
    pub fn forget_watch(&mut self, watcher: u64, actor: Address) {
        if let Some(of_node) = self.watched.get_mut(&actor.node()) {
            of_node.remove(&(watcher, actor));
            if of_node.is_empty() {
                self.watched.remove(&actor.node());
            }
        }
    }
}

impl Core {
    /// Whether the address is of another node to which a way leads.
    pub(crate) fn reaches(&self, node: u32) -> bool {
        self.peers.way(node).is_some()
    }

    /// Writes a message for an actor of another node.
    pub(crate) fn send_to_node<M: Message>(
        &mut self,
        to: Address,
        message: &M,
    ) -> Result<(), TellError> {
        let envelope = self.envelope::<M>(to);
        if M::BULK {
            let outbox = self.bulk_outbox(to.node())?;
            return push_bulk(&outbox, envelope, message);
        }
        let turn = self.turn;
        let Some(outbox) = self.peers.way(to.node()) else { return Err(TellError::NoRoute) };
        let mut outbox = outbox.borrow_mut();
        outbox.touch(turn);
        let room_bytes = const { archive::room_bytes::<M>() };
        let write = |room: &mut [u8]| archive::write(message, room);
        let written = match outbox.append(envelope, room_bytes, write) {
            Err(AppendError::Overflow) => outbox.append_of_any_size(envelope, write),
            written => written,
        };
        written.map_err(|error| error.told(&outbox))
    }

    /// Writes the archive of a message for an actor of another node.
    pub(crate) fn send_archive_to_node<M: Message>(
        &mut self,
        to: Address,
        archive: &[u8],
    ) -> Result<(), TellError> {
        let envelope = self.envelope::<M>(to);
        match M::BULK {
            true => self.send_bulk_archive_to_node(to.node(), envelope, archive),
            false => self.send_envelope_to_node(to.node(), envelope, archive),
        }
    }

    /// As [`Core::send_archive_to_node`], for a message whose type is known by its fingerprint only.
    pub(crate) fn send_envelope_to_node(
        &mut self,
        node: u32,
        envelope: Envelope,
        archive: &[u8],
    ) -> Result<(), TellError> {
        let turn = self.turn;
        let Some(outbox) = self.peers.way(node) else { return Err(TellError::NoRoute) };
        let mut outbox = outbox.borrow_mut();
        outbox.touch(turn);
        append_bytes(&mut outbox, envelope, archive)
    }

    /// As [`Core::send_envelope_to_node`], on the bulk lane.
    pub(crate) fn send_bulk_archive_to_node(
        &mut self,
        node: u32,
        envelope: Envelope,
        archive: &[u8],
    ) -> Result<(), TellError> {
        let outbox = self.bulk_outbox(node)?;
        let mut outbox = outbox.borrow_mut();
        let limit_bytes = outbox.message_limit_bytes();
        if archive.len() > limit_bytes {
            return Err(TellError::Oversized { limit_bytes });
        }
        let mut bytes = AlignedBuffer::zeroed(archive.len());
        bytes.as_mut_slice().copy_from_slice(archive);
        outbox.push(envelope, bytes)
    }

    /// The bulk lane to a node, ready for the running turn to write to.
    fn bulk_outbox(&mut self, node: u32) -> Result<Rc<RefCell<BulkOutbox>>, TellError> {
        let outbox = self.peers.bulk.get(&node).ok_or(TellError::NoRoute)?;
        outbox.borrow_mut().touch(self.turn);
        Ok(Rc::clone(outbox))
    }

    fn envelope<M: LocalMessage>(&self, to: Address) -> Envelope {
        let (core, sender) = (to.core(), self.index());
        let prefix = ForeignPrefix { fingerprint: M::FINGERPRINT, core, sender, word: 0 };
        Envelope { port: to.port(), me: to.words().1, prefix }
    }

    /// Passes a control message for another node on to core 0, which has the way for them.
    pub(crate) fn send_control_to_node(&mut self, to: Address, control: Control) {
        let here = |me| self.address_of(me);
        let news = match control {
            Control::Watch { watcher, .. } => NodeControl::Watch { actor: to, watcher },
            Control::Unwatch { watcher, .. } => {
                self.peers.forget_watch(watcher.words().1, to);
                NodeControl::Unwatch { actor: to, watcher }
            }
            Control::Terminated { actor, reason, .. } => {
                NodeControl::Terminated { actor, watcher: to, reason }
            }
            // Only its own node stops an actor, or tells it of names.
            _ => return self.dead_letter(Reason::NoRoute, here(to.words().1), 0),
        };
        if !self.reaches(to.node()) {
            return self.control_returned(news);
        }
        if let NodeControl::Watch { actor, watcher } = news {
            self.peers.watched.entry(actor.node()).or_default().insert((watcher.words().1, actor));
        }
        self.send_parcel(0, Box::new(Control::ForNode(Box::new(news))));
    }

    /// On core 0: news for another node waits for the device that carries it.
    pub(crate) fn queue_node_control(&mut self, news: NodeControl) {
        if self.peers.control.len() < CONTROL_LIMIT {
            self.peers.control.push_back(news);
        } else {
            self.control_returned(news);
        }
    }

    /// News for a node that is not reached any more. A watch has its answer at once.
    pub(crate) fn control_returned(&mut self, news: NodeControl) {
        if let NodeControl::Watch { actor, watcher } = news {
            let me = watcher.words().1;
            let reason = StopReason::Unreachable;
            self.send_control(watcher, Control::Terminated { me, actor, reason });
        }
        if !matches!(news, NodeControl::Unwatch { .. }) {
            self.dead_letter(Reason::NoRoute, news.receiver(), 0);
        }
    }

    /// News from another node, about actors of this one.
    pub(crate) fn deliver_node_control(&mut self, news: NodeControl) {
        let to = news.receiver();
        if to.node() != self.node() || to.core() >= self.cores() {
            return self.dead_letter(Reason::NoCore, to, 0);
        }
        let me = to.words().1;
        let control = match news {
            NodeControl::Watch { watcher, .. } => Control::Watch { me, watcher },
            NodeControl::Unwatch { watcher, .. } => Control::Unwatch { me, watcher },
            NodeControl::Terminated { actor, reason, .. } => {
                Control::Terminated { me, actor, reason }
            }
        };
        self.send_control(to, control);
    }

    /// A node is gone: nothing leads there any more, and whoever watches actors there is told.
    pub(crate) fn node_gone(&mut self, node: u32) {
        self.peers.close(node);
        let reason = StopReason::Unreachable;
        for (me, actor) in self.peers.watched.remove(&node).unwrap_or_default() {
            self.control.push_back(Control::Terminated { me, actor, reason });
        }
    }

    /// This life of a node is over: nobody there wants to know anything any more. An actor that lives long has room for
    /// so many watchers only.
    pub(crate) fn node_over(&mut self, node: u32) {
        self.node_gone(node);
        for me in self.peers.watchers.remove(&node).unwrap_or_default() {
            if let Some(cold) = self.slots.cold_if_any(me) {
                cold.watchers.retain(|watcher| watcher.node() != node);
            }
        }
    }

    /// Frames for another node that will not be sent.
    pub(crate) fn count_unsent(&mut self, frames: u64) {
        self.counters.dead_letters.add(Reason::NoRoute, frames);
    }
}

fn push_bulk<M: Message>(
    outbox: &RefCell<BulkOutbox>,
    to: Envelope,
    message: &M,
) -> Result<(), TellError> {
    let limit_bytes = outbox.borrow().message_limit_bytes();
    let archive = archive::write_boxed(message, limit_bytes)
        .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
    // It may wait for long: in no more memory than it needs.
    outbox.borrow_mut().push(to, archive.fitted())
}

fn append_bytes(outbox: &mut Outbox, to: Envelope, bytes: &[u8]) -> Result<(), TellError> {
    let write = |room: &mut [u8]| {
        room.get_mut(..bytes.len()).ok_or(archive::Overflow)?.copy_from_slice(bytes);
        Ok(bytes.len())
    };
    outbox.append(to, bytes.len(), write).map_err(|error| error.told(outbox))
}
