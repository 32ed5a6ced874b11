//! Other nodes, as the cores of this one see them.
//!
//! A core knows nothing of connections. For each node that can be reached it has an [`Outbox`]: what its actors send
//! there is written into it, frame behind frame, ready for the wire. A device takes the bytes out and sends them, and
//! hands over what comes ([`DeviceTurn::deliver`]). News of the runtime itself, such as a watch, goes as a
//! [`NodeControl`], which must not be lost while both nodes live; the device of core 0 carries it.
//!
//! Invariants: what a turn writes to an outbox is taken back when the turn fails; a frame from another node runs a turn
//! only after its fingerprint was compared and its archive checked; who watches an actor of another node is told once
//! when that node is declared gone ([`DeviceTurn::node_gone`]).

mod bulk;
mod outbox;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

pub use self::bulk::{BulkBudget, BulkMessage, BulkOutbox};
pub(crate) use self::outbox::{AppendError, Envelope};
pub use self::outbox::{FrameBytes, Outbox, OutboxFigures, OutboxLimits};
use crate::actor::StopReason;
use crate::address::Address;
use crate::core::dead_letters::Reason;
use crate::device::DeviceTurn;
pub use crate::frame::foreign::Belief;
use crate::frame::{ForeignPrefix, Header};

/// News between the runtimes of two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeControl {
    /// An actor there wants to know of the end of one here.
    Watch {
        /// Who is watched.
        actor: Address,
        /// Who watches.
        watcher: Address,
    },
    /// It no longer does.
    Unwatch {
        /// Who was watched.
        actor: Address,
        /// Who watched.
        watcher: Address,
    },
    /// A watched actor is gone.
    Terminated {
        /// Who is gone.
        actor: Address,
        /// Who is told.
        watcher: Address,
        /// Why.
        reason: StopReason,
    },
}

impl NodeControl {
    /// The address on whose node it is handled.
    pub fn receiver(&self) -> Address {
        match *self {
            NodeControl::Watch { actor, .. } | NodeControl::Unwatch { actor, .. } => actor,
            NodeControl::Terminated { watcher, .. } => watcher,
        }
    }
}

/// A frame from another node could not be handed over now. It was not counted, and nothing changed: offer it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ring to core {core} is full; nothing changed; offer the frame again after the next sweep"
)]
pub struct NoRoom {
    /// The core that the frame is for.
    pub core: u16,
}

impl DeviceTurn<'_> {
    /// This life of the node.
    pub fn incarnation(&self) -> u32 {
        self.core_ref().node()
    }

    /// From now on messages for this node are written to the outbox that is returned, one for each core. A second call
    /// replaces the first one's outbox, whose bytes are the caller's.
    pub fn open_outbox(&mut self, node: u32, limits: OutboxLimits) -> Rc<RefCell<Outbox>> {
        let outbox = Rc::new(RefCell::new(Outbox::new(limits)));
        self.core_mut().peers.open(node, Rc::clone(&outbox));
        outbox
    }

    /// From now on messages for this node whose type is [bulk](crate::message::Schema::BULK) are written to the outbox
    /// that is returned, one for each core with one budget. Does nothing before [`open_outbox`](Self::open_outbox).
    /// What a core writes is taken by its device.
    pub fn open_bulk_outbox(
        &mut self,
        node: u32,
        budget: Arc<BulkBudget>,
    ) -> Rc<RefCell<BulkOutbox>> {
        let outbox = Rc::new(RefCell::new(BulkOutbox::new(budget)));
        self.core_mut().peers.open_bulk(node, Rc::clone(&outbox));
        outbox
    }

    /// From now on no route leads to this node: what is sent there is a dead letter.
    pub fn close_outbox(&mut self, node: u32) {
        self.core_mut().peers.close(node);
    }

    /// Hands over a user's frame from another node: a turn of its receiver now if it lives on this core, else a copy
    /// into the ring of the core or client it is for. The payload begins with a
    /// [`ForeignPrefix`]; its word is not looked at.
    ///
    /// What cannot be delivered for good is a counted dead letter.
    ///
    /// # Errors
    /// [`NoRoom`] when that ring is full.
    pub fn deliver(
        &mut self,
        header: Header,
        payload: &[u8],
        belief: Belief,
    ) -> Result<(), NoRoom> {
        self.core_mut().deliver_foreign(header, payload, belief)
    }

    /// As [`deliver`](Self::deliver), for a large message that came in pieces. It is read where it lies if its receiver
    /// lives on this core.
    ///
    /// # Errors
    /// [`NoRoom`] when the ring to its receiver's core is full.
    pub fn deliver_large(
        &mut self,
        header: Header,
        prefix: ForeignPrefix,
        archive: &[u8],
        belief: Belief,
    ) -> Result<(), NoRoom> {
        self.core_mut().deliver_large(header, prefix, archive, belief)
    }

    /// Counts a large message from another node that is not taken, as a dead letter.
    pub fn count_oversized(&mut self, header: Header, prefix: ForeignPrefix, bytes: usize) {
        let core = self.core_mut();
        let place = u64::from(core.node()) | u64::from(prefix.core) << 32;
        let to = Address::from_words(place | u64::from(header.port()) << 48, header.word1);
        core.dead_letter(Reason::Oversized, to, bytes);
    }

    /// Handles news from another node. It must come from the node that it speaks for, and concern this one.
    pub fn deliver_control(&mut self, control: NodeControl) {
        self.core_mut().deliver_node_control(control);
    }

    /// The next news for another node, on core 0.
    pub fn take_control(&mut self) -> Option<NodeControl> {
        self.core_mut().peers.take_control()
    }

    /// News that could not be taken to its node, because it is gone.
    pub fn return_control(&mut self, control: NodeControl) {
        self.core_mut().control_returned(control);
    }

    /// A node is not reached any more: its outbox is closed, and actors of this core that watch actors there are told.
    /// It may come back; its own watches are kept.
    pub fn node_gone(&mut self, node: u32) {
        self.core_mut().node_gone(node);
    }

    /// This life of a node is over: as [`node_gone`](Self::node_gone), and who watched from there is forgotten.
    pub fn node_over(&mut self, node: u32) {
        self.core_mut().node_over(node);
    }

    /// Counts frames that were taken out of an outbox and will not be sent.
    pub fn count_lost(&mut self, frames: u64) {
        self.core_mut().count_unsent(frames);
    }
}
