//! How lives of other nodes end for the hub, and how this node's ends for them.
//!
//! A life is over for good when its node said goodbye, has restarted or is quarantined; it is only gone, and may come
//! back, when nothing was heard of it. Either way who watches actors of it is told once.

use super::{Attempt, Hub, Order};
use crate::link::dialing::Dialer;
use crate::link::events::{DownReason, GoneReason, LinkEvent};
use crate::link::identity::NodeId;
use crate::link::liveness::Reachability;
use crate::link::peers::QuarantineReason;

impl Hub {
    /// The node shuts down: nobody new is let in.
    pub fn close_to_strangers(&mut self) {
        self.is_closed = true;
    }

    /// The links end: nobody is dialled any more, and nobody is let in.
    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.is_leaving, true) {
            return;
        }
        self.stir();
        let attempts: Vec<Attempt> = self.attempts().collect();
        for attempt in attempts {
            if self.dialer(attempt).is_some_and(Dialer::stop) {
                self.orders.push_back(Order::Abandon(attempt));
            }
        }
    }

    /// Whether all is said to the peer of the control connection `serial`, and its other connections have ended.
    pub fn may_leave(&self, serial: u64) -> bool {
        let node = self.known.get(&serial).and_then(|known| self.nodes.get(&known.node));
        node.is_some_and(|node| node.lane.waiting() == 0 && node.connections.len() <= 1)
    }

    /// The peer of the control connection `serial` shuts down: this life of it is over.
    pub fn peer_left(&mut self, serial: u64, now_ns: u64) {
        if let Some((id, _)) = self.of_control(serial) {
            self.stir();
            self.gone(id, GoneReason::Left, DownReason::ClosedByPeer, now_ns);
        }
    }

    /// A newer life of a node has come: all of the old one goes.
    pub(super) fn replaced(&mut self, id: NodeId, now_ns: u64) {
        self.gone(id, GoneReason::Restarted, DownReason::Restarted, now_ns);
        let Some(node) = self.nodes.remove(&id) else { return };
        // It may have counted as unreachable before; now it is known not to come back.
        let incarnation = node.incarnation.number;
        self.orders.push_back(Order::Gone { incarnation, is_over: true });
        if let Some(dialer) = node.contact.and_then(|contact| self.contacts.dialer(contact)) {
            dialer.lost(now_ns);
        }
    }

    pub(super) fn reachability(&mut self, id: NodeId, change: Reachability, now_ns: u64) {
        if change == Reachability::Unreachable {
            self.gone(id, GoneReason::Unreachable, DownReason::Unreachable, now_ns);
        }
    }

    pub(super) fn quarantine(&mut self, id: NodeId, reason: QuarantineReason, now_ns: u64) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (incarnation, contact) = (node.incarnation, node.contact);
        if self.peers.quarantine(id, incarnation.number, reason, now_ns) {
            tracing::warn!(node = %id, %incarnation, %reason, "a node is quarantined");
            self.notices.event(LinkEvent::Quarantined { node: id, incarnation, reason });
            self.gone(id, GoneReason::Quarantined, DownReason::Quarantined, now_ns);
            if let Some(dialer) = contact.and_then(|contact| self.contacts.dialer(contact)) {
                dialer.stop();
            }
        }
    }

    /// Who watches actors of this node is told, and its connections end.
    fn gone(&mut self, id: NodeId, reason: GoneReason, down: DownReason, now_ns: u64) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let incarnation = node.incarnation;
        let ends: Vec<_> = node.connections.iter().collect();
        let cores: Vec<_> = ends
            .iter()
            .filter_map(|(key, serial)| Some((node.pairing.place(*key)?.own_core, *serial)))
            .collect();
        for (core, serial) in cores {
            self.orders.push_back(Order::Drop { core, serial, reason: down });
        }
        if std::mem::replace(&mut node.is_open, false) {
            let dropped_control_frames = node.lane.waiting();
            let is_over = reason != GoneReason::Unreachable;
            self.orders.push_back(Order::Gone { incarnation: incarnation.number, is_over });
            self.notices.event(LinkEvent::Gone {
                node: id,
                incarnation,
                dropped_control_frames,
                reason,
            });
        }
        self.peers.down(id, incarnation.number, now_ns);
        self.publish();
    }
}
