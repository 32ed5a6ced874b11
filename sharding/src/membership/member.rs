//! Who is a member: identity, status and the transitions that are allowed.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use mainspring::prelude::*;

/// One life of a node: where it listens, and which of its lives this is.
///
/// Ordered by address first. Incarnations rise from one life of an address to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// Where the node listens for other nodes.
    pub address: SocketAddr,
    /// Higher for a later life at the same address.
    pub incarnation: u64,
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.address, self.incarnation)
    }
}

/// How far a member has come; later is greater, and when views meet the greater one holds.
///
/// A member that is removed has no status: it is in the tombstones.
#[message(name = "mainspring.cluster.status")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Known, not yet counted.
    Joining,
    /// May work while views do not converge; does not count.
    WeaklyUp,
    /// A member in full.
    Up,
    /// Has asked to leave.
    Leaving,
    /// All know that it leaves; hands over what it has.
    Exiting,
    /// Given up; it is going to be removed.
    Down,
}

impl Status {
    /// All of them, in order.
    pub const ALL: [Status; 6] = [
        Status::Joining,
        Status::WeaklyUp,
        Status::Up,
        Status::Leaving,
        Status::Exiting,
        Status::Down,
    ];

    /// Whether a member of this status may be given the other one.
    pub fn may_become(self, next: Status) -> bool {
        match self {
            Status::Joining => {
                matches!(next, Status::WeaklyUp | Status::Up | Status::Leaving | Status::Down)
            }
            Status::WeaklyUp => matches!(next, Status::Up | Status::Leaving | Status::Down),
            Status::Up => matches!(next, Status::Leaving | Status::Down),
            Status::Leaving => matches!(next, Status::Exiting | Status::Down),
            Status::Exiting => next == Status::Down,
            Status::Down => false,
        }
    }

    /// Whether views converge only when this member has seen them: up or leaving.
    pub fn counts(self) -> bool {
        matches!(self, Status::Up | Status::Leaving)
    }

    /// Whether the member is on its way out for good: exiting or down.
    pub fn is_ending(self) -> bool {
        matches!(self, Status::Exiting | Status::Down)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Joining => "joining",
            Status::WeaklyUp => "weakly-up",
            Status::Up => "up",
            Status::Leaving => "leaving",
            Status::Exiting => "exiting",
            Status::Down => "down",
        })
    }
}

/// A member, as one view has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub id: MemberId,
    /// How far it has come.
    pub status: Status,
    /// What it may be used for.
    pub roles: BTreeSet<String>,
    /// The version of the program that it runs.
    pub app_version: String,
    /// Its place in the order in which members came up, from 1.
    pub up_number: Option<u64>,
}

impl Member {
    /// What two views make of one member: the status that is further along; at the same one, the older number.
    pub(super) fn merge(&mut self, other: &Member) {
        if other.age() > self.age() {
            *self = other.clone();
        }
    }

    fn age(&self) -> (Status, std::cmp::Reverse<u64>) {
        (self.status, std::cmp::Reverse(self.up_number.unwrap_or(u64::MAX)))
    }
}
