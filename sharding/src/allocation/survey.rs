//! Who is a member and where the shards are, as the caller sees it.

use std::collections::BTreeSet;

use super::AppVersion;
use crate::ownership::Place;

/// What an [`Allocator`](super::Allocator) is shown.
#[derive(Clone, Copy, Debug)]
pub struct Survey<'a> {
    /// The members, also those that lack the role, in any order. Of two with one incarnation the first counts.
    pub nodes: &'a [NodeStanding<'a>],
    /// The owner of each shard by its number; `None` for one that nobody has owned yet.
    pub homes: &'a [Option<Place>],
    /// Shards that are on their way: their moves or takeovers have begun and not ended.
    pub moving: &'a BTreeSet<u32>,
    /// Incarnations of nodes that are surely gone: the store would let anybody take over from them. A member that is
    /// among them gets nothing.
    pub absent: &'a BTreeSet<u64>,
}

/// One member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStanding<'a> {
    /// Which life of which node.
    pub incarnation: u64,
    /// Its cores that can have shards, from 0.
    pub cores: u16,
    /// How far it has come.
    pub status: NodeStatus,
    /// Whether it has the role that entities of this type need.
    pub has_role: bool,
    /// The version of the program that it runs.
    pub app_version: &'a str,
    /// Whether it can be reached: nobody says otherwise.
    pub is_reachable: bool,
    /// Its place in the order in which members came up. The lowest is the oldest; one without a number counts as the
    /// youngest.
    pub up_number: Option<u64>,
}

/// How far a member has come, as far as shards are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeStatus {
    /// Not counted yet: joining or weakly up.
    Joining,
    /// A member in full.
    Up,
    /// Hands over what it has: leaving or exiting.
    Leaving,
    /// Given up.
    Down,
}

impl NodeStanding<'_> {
    /// Whether it can give its shards away itself.
    pub(super) fn can_give(&self) -> bool {
        self.is_reachable && matches!(self.status, NodeStatus::Up | NodeStatus::Leaving)
    }
}

impl Survey<'_> {
    /// The first member with this incarnation.
    pub(super) fn node(&self, incarnation: u64) -> Option<&NodeStanding<'_>> {
        self.nodes.iter().find(|node| node.incarnation == incarnation)
    }

    /// Whether it is a good time to balance: nobody comes, breaks or is upgraded.
    pub(super) fn is_calm(&self) -> bool {
        let mut versions =
            self.nodes.iter().filter(|node| node.has_role).map(|node| AppVersion(node.app_version));
        let first = versions.next();
        let is_present = |node: &NodeStanding<'_>| !self.absent.contains(&node.incarnation);
        self.moving.is_empty()
            && self.nodes.iter().all(|node| node.can_give() && is_present(node))
            && versions.all(|version| Some(version) == first)
    }
}
