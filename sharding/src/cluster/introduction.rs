//! How nodes that are linked tell each other who they are in the cluster.
//!
//! A link proves which life of which node is at its other end, as references have it; the cluster knows nodes by the
//! address at which they listen. Each node asks every node that it is linked to, and believes an answer only if it fits
//! the link: [`Acquaintances`] decides.
//!
//! It promises that one address stands for one life at a time, the latest that is linked; that a node is asked again
//! until it has answered; that what is kept never exceeds the nodes that are linked. It refuses who claims the address
//! of this node, of another node that is linked, or a life that is not that of the link.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use mainspring::prelude::*;

use super::wire::{LargeWord, Pulse, Word};
use crate::membership::MemberId;

/// How long to wait before a node is asked again that did not answer, or whose answer did not fit.
const RETRY_NS: u64 = 500_000_000;

/// One life of a node, as it travels.
#[message(name = "mainspring.cluster.identity")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The address at which it listens, as one of IP version 6.
    pub ip: [u8; 16],
    /// The port there.
    pub port: u16,
    /// [`MemberId::incarnation`].
    pub incarnation: u64,
}

impl From<MemberId> for Identity {
    fn from(id: MemberId) -> Identity {
        let ip = match id.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Identity { ip: ip.octets(), port: id.address.port(), incarnation: id.incarnation }
    }
}

impl From<&ArchivedIdentity> for MemberId {
    fn from(identity: &ArchivedIdentity) -> MemberId {
        let ip = Ipv6Addr::from(identity.ip).to_canonical();
        let address = SocketAddr::new(ip, identity.port.to_native());
        MemberId { address, incarnation: identity.incarnation.to_native() }
    }
}

/// What a node says of itself to one that it is linked to.
#[message(name = "mainspring.cluster.introduction")]
#[derive(Clone, Copy, Debug)]
pub struct Introduction {
    /// Who it is.
    pub identity: Identity,
    /// Where it takes what nodes say about membership.
    pub words: ActorRef<Word>,
    /// Where it takes views that are large.
    pub large_words: ActorRef<LargeWord>,
    /// Where it takes beats and digests.
    pub pulses: ActorRef<Pulse>,
}

/// The actors by which a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    pub words: ActorRef<Word>,
    pub large_words: ActorRef<LargeWord>,
    pub pulses: ActorRef<Pulse>,
}

/// Something that lives on a node.
pub(super) trait OfNode: Copy + PartialEq {
    /// The node, unless its parts are of different ones.
    fn node(&self) -> Option<u32>;
}

impl OfNode for Ways {
    fn node(&self) -> Option<u32> {
        let node = self.words.node();
        let others = [self.large_words.node(), self.pulses.node()];
        (others == [node; 2]).then_some(node)
    }
}

/// A node that has said who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known<W = Ways> {
    pub id: MemberId,
    pub ways: W,
}

impl From<&ArchivedIntroduction> for Known {
    fn from(introduction: &ArchivedIntroduction) -> Known {
        Known {
            id: MemberId::from(&introduction.identity),
            ways: Ways {
                words: introduction.words,
                large_words: introduction.large_words,
                pulses: introduction.pulses,
            },
        }
    }
}

/// Why a node is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntroductionError {
    /// Nobody is linked by that number.
    #[error("node {node:08x} says that it is {claimed} and is not linked; it is asked when it is")]
    NotLinked {
        /// The node.
        node: u32,
        /// Who it says it is.
        claimed: MemberId,
    },
    /// It names another life, or actors that are not its own.
    #[error(
        "node {node:08x} says that it is {claimed}, whose incarnation or actors are not its own; it runs another \
         version or forges"
    )]
    NotItsOwn {
        /// The node.
        node: u32,
        /// Who it says it is.
        claimed: MemberId,
    },
    /// It is reached elsewhere.
    #[error(
        "the node that is reached at {reached} says that it is {claimed}; let it name the address at which others \
         reach it (Cluster::address), and name that one among the seeds"
    )]
    Elsewhere {
        /// Where it is reached.
        reached: SocketAddr,
        /// Who it says it is.
        claimed: MemberId,
    },
    /// It claims the address of somebody else.
    #[error(
        "node {node:08x} says that it is {claimed}, and {holder} is at that address; give each node its own address"
    )]
    AddressTaken {
        /// The node.
        node: u32,
        /// Who it says it is.
        claimed: MemberId,
        /// Who has the address.
        holder: MemberId,
    },
}

#[derive(Clone, Copy, Debug)]
enum Standing<W> {
    Asked { again_ns: u64 },
    Known(Known<W>),
}

/// A node that is linked, as the cluster's actor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    pub node: u32,
    pub dialled_at: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Neighbour<W> {
    dialled_at: Option<SocketAddr>,
    standing: Standing<W>,
}

/// Who is linked, and who of them has said who it is.
#[derive(Debug)]
pub(super) struct Acquaintances<W = Ways> {
    me: MemberId,
    by_node: BTreeMap<u32, Neighbour<W>>,
    by_address: BTreeMap<SocketAddr, u32>,
}

impl<W: OfNode> Acquaintances<W> {
    pub fn new(me: MemberId) -> Acquaintances<W> {
        Acquaintances { me, by_node: BTreeMap::new(), by_address: BTreeMap::new() }
    }

    /// These nodes are linked, and no others.
    pub fn set_linked(&mut self, nodes: &[Linked]) {
        let is_linked = |node: &u32| nodes.iter().any(|linked| linked.node == *node);
        if self.by_node.keys().any(|node| !is_linked(node)) {
            self.by_node.retain(|node, _| is_linked(node));
            let by_node = &self.by_node;
            self.by_address.retain(|_, node| by_node.contains_key(node));
        }
        for linked in nodes {
            let dialled_at = linked.dialled_at;
            let standing = Standing::Asked { again_ns: 0 };
            let new = Neighbour { dialled_at, standing };
            self.by_node.entry(linked.node).or_insert(new).dialled_at = dialled_at;
        }
    }

    /// Whom to ask now.
    pub fn due(&mut self, now_ns: u64) -> Vec<u32> {
        let mut due = Vec::new();
        for (node, neighbour) in &mut self.by_node {
            if let Standing::Asked { again_ns } = &mut neighbour.standing
                && *again_ns <= now_ns
            {
                *again_ns = now_ns.saturating_add(RETRY_NS);
                due.push(*node);
            }
        }
        due
    }

    /// A node says who it is; whether that is news.
    ///
    /// # Errors
    /// [`IntroductionError`]; nothing has changed.
    pub fn introduced(&mut self, node: u32, claim: Known<W>) -> Result<bool, IntroductionError> {
        let claimed = claim.id;
        let Some(neighbour) = self.by_node.get(&node) else {
            return Err(IntroductionError::NotLinked { node, claimed });
        };
        let is_another = matches!(neighbour.standing, Standing::Known(it) if it.id != claimed);
        if claimed.incarnation as u32 != node || claim.ways.node() != Some(node) || is_another {
            return Err(IntroductionError::NotItsOwn { node, claimed });
        }
        if let Some(reached) = neighbour.dialled_at.filter(|at| *at != claimed.address) {
            return Err(IntroductionError::Elsewhere { reached, claimed });
        }
        if claimed.address == self.me.address {
            return Err(IntroductionError::AddressTaken { node, claimed, holder: self.me });
        }
        let holder = self.at(claimed.address).filter(|holder| holder.id != claimed);
        if let Some(Known { id: holder, .. }) = holder {
            return Err(IntroductionError::AddressTaken { node, claimed, holder: *holder });
        }
        let is_new = !matches!(neighbour.standing, Standing::Known(known) if known == claim);
        if let Some(neighbour) = self.by_node.get_mut(&node) {
            neighbour.standing = Standing::Known(claim);
        }
        self.by_address.insert(claimed.address, node);
        Ok(is_new)
    }

    /// Who is at an address.
    pub fn at(&self, address: SocketAddr) -> Option<&Known<W>> {
        match &self.by_node.get(self.by_address.get(&address)?)?.standing {
            Standing::Known(known) => Some(known),
            Standing::Asked { .. } => None,
        }
    }

    /// Who has that number on its links.
    pub fn of_node(&self, node: u32) -> Option<MemberId> {
        match self.by_node.get(&node)?.standing {
            Standing::Known(known) => Some(known.id),
            Standing::Asked { .. } => None,
        }
    }

    /// Whether this very life is linked and has said so.
    pub fn is_known(&self, id: MemberId) -> bool {
        self.at(id.address).is_some_and(|known| known.id == id)
    }

    /// Whether a node that is dialled at this address is linked, whoever it is.
    pub fn is_linked_at(&self, address: SocketAddr) -> bool {
        self.by_address.contains_key(&address)
            || self.by_node.values().any(|neighbour| neighbour.dialled_at == Some(address))
    }
}

#[cfg(test)]
#[path = "introduction_tests.rs"]
mod tests;
