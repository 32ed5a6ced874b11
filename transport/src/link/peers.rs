//! What a node knows of other nodes: which incarnation of each is the present one, and how it stands with it.
//!
//! | a node comes with | the table has | answer |
//! |---|---|---|
//! | our id | | refused: it is ourselves, or somebody has our id |
//! | our incarnation, or one of another node | | refused: addresses could not tell them apart |
//! | a newer incarnation | an older one, quarantined or not | replaces it; the old one is gone for ever |
//! | the same incarnation | it, not quarantined | welcome back |
//! | the same incarnation | it, quarantined | refused until one of the two restarts |
//! | an older incarnation | a newer one | refused: it is a leftover of an earlier life |
//!
//! Who asks has not proved who it is at first, so [`check`](Peers::check) changes nothing; only
//! [`admit`](Peers::admit), after the proof, does.
//!
//! Invariants: there are at most `limit` nodes; an incarnation's number belongs to one node; the incarnation of a node
//! only becomes newer; a quarantined incarnation never becomes anything else, it is replaced or forgotten.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use thiserror::Error;

use super::identity::{Incarnation, NodeId};

/// Nodes in the table unless it is told otherwise.
pub const PEERS_LIMIT: usize = 1_024;

/// How a node stands with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// There is no connection yet.
    Connecting,
    /// At least the control connection stands.
    Up,
    /// Nothing was heard of it for too long, or it said goodbye. The same incarnation may come back.
    Down,
    /// Nothing is sent to this incarnation and nothing is taken from it any more.
    Quarantined(QuarantineReason),
}

/// Why a peer is quarantined. Both nodes log it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum QuarantineReason {
    /// Control frames could not be kept until it acknowledges them.
    #[error("its acknowledgements of control frames fell too far behind")]
    ControlLaneFull,
    /// It sent what no node sends.
    #[error("it broke the protocol")]
    ProtocolBroken,
    /// It was declared dead; nodes have acted on that.
    #[error("it was declared dead")]
    DeclaredDead,
    /// It says that it has quarantined us.
    #[error("it has quarantined this node")]
    ByPeer,
}

/// Why a node is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerRefusal {
    /// It has our node id.
    #[error("node {0} is this node: it connects to itself, or its id is in use twice")]
    Ourselves(NodeId),
    /// It has the incarnation of somebody else.
    #[error("incarnation {incarnation} is in use by node {used_by}; restart node {node}")]
    IncarnationInUse {
        /// Who comes.
        node: NodeId,
        /// With what.
        incarnation: Incarnation,
        /// Who has it.
        used_by: NodeId,
    },
    /// A newer incarnation of it is known.
    #[error("node {node} comes as incarnation {found}; {known} is newer")]
    Older {
        /// Who comes.
        node: NodeId,
        /// As what.
        found: Incarnation,
        /// What is known.
        known: Incarnation,
    },
    /// Two incarnations, and neither is the newer.
    #[error("two processes run as node {node}: incarnations {found} and {known}")]
    TwoAtOnce {
        /// Who comes.
        node: NodeId,
        /// As what.
        found: Incarnation,
        /// What is known.
        known: Incarnation,
    },
    /// This incarnation is quarantined.
    #[error("node {node} is quarantined until it or this node restarts: {reason}")]
    Quarantined {
        /// Who comes.
        node: NodeId,
        /// Why it is quarantined.
        reason: QuarantineReason,
    },
    /// The table is full.
    #[error("{limit} nodes are known; no more fit")]
    TableFull {
        /// How many fit.
        limit: usize,
    },
}

/// A node was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The incarnation before it. It is gone: who watched something of it has to be told.
    pub replaced: Option<Incarnation>,
}

/// A node of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The present incarnation; none if it never connected.
    pub incarnation: Option<Incarnation>,
    /// How this node stands with it.
    pub state: PeerState,
    /// Since when.
    pub since_ns: u64,
}

/// The other nodes.
#[derive(Clone, Debug)]
pub struct Peers {
    own_id: NodeId,
    own_incarnation: Incarnation,
    limit: usize,
    peers: BTreeMap<NodeId, Peer>,
    /// Whose a present incarnation is.
    by_incarnation: BTreeMap<u32, NodeId>,
}

impl Peers {
    /// None known, by a node that is `own_id` in its life `own_incarnation`.
    #[must_use]
    pub fn new(own_id: NodeId, own_incarnation: Incarnation, limit: usize) -> Peers {
        let (peers, by_incarnation) = (BTreeMap::new(), BTreeMap::new());
        Peers { own_id, own_incarnation, limit, peers, by_incarnation }
    }

    /// Whether a node would be let in. Changes nothing.
    ///
    /// # Errors
    ///
    /// It would be refused.
    pub fn check(&self, node: NodeId, incarnation: Incarnation) -> Result<(), PeerRefusal> {
        if node == self.own_id {
            return Err(PeerRefusal::Ourselves(node));
        }
        if incarnation.number == self.own_incarnation.number {
            return Err(PeerRefusal::IncarnationInUse { node, incarnation, used_by: self.own_id });
        }
        if let Some(&used_by) = self.by_incarnation.get(&incarnation.number)
            && used_by != node
        {
            return Err(PeerRefusal::IncarnationInUse { node, incarnation, used_by });
        }
        match self.peers.get(&node) {
            Some(peer) => check_age(node, incarnation, peer),
            None => self.check_room(),
        }
    }

    /// A node has proved who it is and is let in.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check); nothing has changed.
    pub fn admit(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        now_ns: u64,
    ) -> Result<Admission, PeerRefusal> {
        self.check(node, incarnation)?;
        let known = self.peers.get(&node).and_then(|peer| peer.incarnation);
        if known == Some(incarnation) {
            return Ok(Admission { replaced: None });
        }
        if let Some(old) = known {
            self.by_incarnation.remove(&old.number);
        }
        self.by_incarnation.insert(incarnation.number, node);
        let state = PeerState::Connecting;
        self.peers.insert(node, Peer { incarnation: Some(incarnation), state, since_ns: now_ns });
        Ok(Admission { replaced: known })
    }

    /// A node is to be connected to. Nothing changes if it is known.
    ///
    /// # Errors
    ///
    /// It is this node, or the table is full.
    pub fn expect(&mut self, node: NodeId, now_ns: u64) -> Result<(), PeerRefusal> {
        if node == self.own_id {
            return Err(PeerRefusal::Ourselves(node));
        }
        if !self.peers.contains_key(&node) {
            self.check_room()?;
            let state = PeerState::Connecting;
            self.peers.insert(node, Peer { incarnation: None, state, since_ns: now_ns });
        }
        Ok(())
    }

    /// The control connection with an incarnation stands. Whether that is news.
    pub fn up(&mut self, node: NodeId, incarnation: u32, now_ns: u64) -> bool {
        self.change(node, incarnation, PeerState::Up, now_ns)
    }

    /// An incarnation is not reachable or has said goodbye. Whether that is news.
    pub fn down(&mut self, node: NodeId, incarnation: u32, now_ns: u64) -> bool {
        self.change(node, incarnation, PeerState::Down, now_ns)
    }

    /// There will be nothing more with an incarnation. Whether that is news.
    pub fn quarantine(
        &mut self,
        node: NodeId,
        incarnation: u32,
        reason: QuarantineReason,
        now_ns: u64,
    ) -> bool {
        self.change(node, incarnation, PeerState::Quarantined(reason), now_ns)
    }

    /// Drops all that is known of a node: it will not come back under this id. Older incarnations of it are no longer
    /// told from newer ones, and a quarantine is no longer held against it.
    pub fn forget(&mut self, node: NodeId) -> Option<Peer> {
        let peer = self.peers.remove(&node)?;
        if let Some(incarnation) = peer.incarnation {
            self.by_incarnation.remove(&incarnation.number);
        }
        Some(peer)
    }

    /// What is known of a node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Peer> {
        self.peers.get(&node)
    }

    /// Whose an incarnation is, by its number; nothing if it was replaced or never known.
    #[must_use]
    pub fn node_of(&self, incarnation: u32) -> Option<NodeId> {
        self.by_incarnation.get(&incarnation).copied()
    }

    /// All nodes, by id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().map(|(node, peer)| (*node, peer))
    }

    /// How many nodes are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether no node is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    fn check_room(&self) -> Result<(), PeerRefusal> {
        let limit = self.limit;
        if self.peers.len() >= limit { Err(PeerRefusal::TableFull { limit }) } else { Ok(()) }
    }

    fn change(&mut self, node: NodeId, incarnation: u32, state: PeerState, now_ns: u64) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        let is_present = peer.incarnation.is_some_and(|present| present.number == incarnation);
        let is_final = matches!(peer.state, PeerState::Quarantined(_));
        if !is_present || is_final || peer.state == state {
            return false;
        }
        (peer.state, peer.since_ns) = (state, now_ns);
        true
    }
}

fn check_age(node: NodeId, found: Incarnation, peer: &Peer) -> Result<(), PeerRefusal> {
    let Some(known) = peer.incarnation else { return Ok(()) };
    match (found.age_order(&known), peer.state) {
        (None, _) => Err(PeerRefusal::TwoAtOnce { node, found, known }),
        (Some(Ordering::Less), _) => Err(PeerRefusal::Older { node, found, known }),
        (Some(Ordering::Equal), PeerState::Quarantined(reason)) => {
            Err(PeerRefusal::Quarantined { node, reason })
        }
        (Some(Ordering::Equal | Ordering::Greater), _) => Ok(()),
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
