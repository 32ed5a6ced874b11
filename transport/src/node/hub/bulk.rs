//! The connection for large messages, which is made when one of the two nodes wants it.
//!
//! Who has dialled the control connection knows where to connect to and makes this one too; the other one asks for it,
//! once for each control connection. From then on it is dialled whenever there is none.

use super::{BULK, Hub, Known};
use crate::link::chunks::ChunkRefusal;
use crate::link::dialing::Dialer;
use crate::link::events::LinkEvent;
use crate::link::identity::NodeId;

impl Hub {
    /// A large message of a peer was not taken.
    pub fn large_refused(&self, serial: u64, reason: ChunkRefusal) {
        if let Some(Known { node, .. }) = self.known.get(&serial) {
            self.notices.event(LinkEvent::LargeMessageRefused { node: *node, reason });
        }
    }

    /// Large messages wait for a life of a node, and no connection for them stands. Asking again does nothing.
    pub fn want_bulk(&mut self, incarnation: u32, waiting_bytes: usize, now_ns: u64) {
        let id = self.peers.node_of(incarnation);
        let Some((id, node)) = id.and_then(|id| Some((id, self.nodes.get_mut(&id)?))) else {
            return;
        };
        if node.control.is_none() || std::mem::replace(&mut node.is_bulk_wanted, true) {
            return;
        }
        if node.contact.is_none() {
            node.bulk_wish_bytes = Some(waiting_bytes as u64);
        }
        self.dial_bulk(id, now_ns);
    }

    /// From now on the connection for large messages is dialled whenever there is none, if this node knows where.
    pub(super) fn dial_bulk(&mut self, id: NodeId, now_ns: u64) {
        self.stir();
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.contact.is_some()) else {
            return;
        };
        if node.connections.get(BULK).is_none() && !self.is_leaving {
            let seed =
                self.seed ^ u64::from(node.incarnation.number) ^ u64::from(BULK.lane.code()) << 32;
            let dialing = self.settings.dialing;
            node.dialers.entry(BULK).or_insert_with(|| Dialer::new(dialing, seed, now_ns));
        }
    }
}
