//! One core of one life of a node: where shards are.

use std::fmt;

use mainspring::prelude::*;

/// A core of a node, in one of its lives.
///
/// Ordered by the node's incarnation first. A node that starts again has another incarnation, and so other places.
#[message(name = "mainspring.sharding.place")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which life of which node: in a cluster that of its [member](crate::membership::MemberId), on a node alone
    /// the one that references to its actors have.
    pub incarnation: u64,
    /// The core's number.
    pub core: u16,
}

impl Place {
    /// The life of its node, as references to actors have it: the lower half.
    pub fn node(self) -> u32 {
        self.incarnation as u32
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}/{}", self.incarnation, self.core)
    }
}

impl From<&ArchivedPlace> for Place {
    fn from(place: &ArchivedPlace) -> Place {
        Place { incarnation: place.incarnation.to_native(), core: place.core.to_native() }
    }
}
