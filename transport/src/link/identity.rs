//! Who a node is: an id for all its lives, and the incarnation for one of them.

use std::cmp::Ordering;
use std::fmt;

/// A node, over all its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// One life of a node, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation {
    /// What addresses have of it; drawn anew at every start.
    pub number: u32,
    /// When the node started, by its own wall clock: tells which of two incarnations of one node is the newer.
    pub started_at_ns: u64,
}

impl Incarnation {
    /// How this stands to another incarnation of the same node. Nothing if only one of number and start is the same:
    /// no node makes two such incarnations, unless two processes run as one node.
    #[must_use]
    pub fn age_order(&self, other: &Incarnation) -> Option<Ordering> {
        let order = self.started_at_ns.cmp(&other.started_at_ns);
        (order.is_eq() == (self.number == other.number)).then_some(order)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.number)
    }
}
