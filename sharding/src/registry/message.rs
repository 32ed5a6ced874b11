//! What goes into the machine, what comes out, and what nodes say to each other.

use std::collections::BTreeSet;

use super::column::Update;

/// A service: what it is called, and what its actors take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// What it is called.
    pub name: String,
    /// The fingerprint of the messages.
    pub fingerprint: u64,
}

/// What the machine is told.
#[derive(Clone, Debug)]
pub enum Input<A> {
    /// These nodes are members; this one always is.
    Members(BTreeSet<u32>),
    /// These nodes cannot be reached.
    Unreachable(BTreeSet<u32>),
    /// Another node says something.
    Received {
        /// Which one.
        from: u32,
        /// What.
        message: Message<A>,
    },
    /// Time has passed.
    Tick,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<A> {
    /// Send this to a node; it may be lost.
    Send(u32, Message<A>),
    /// A service has other actors than before.
    Changed(ServiceName),
}

/// What one node says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<A> {
    /// A digest of the versions that the sender has of all members.
    Digest {
        /// Equal when the versions are.
        digest: u64,
    },
    /// The versions themselves.
    Versions {
        /// Of each member that the sender knows.
        versions: Vec<(u32, u64)>,
        /// Whether they answer such a message, and want none themselves.
        is_answer: bool,
    },
    /// What the receiver lacks of what a node has registered.
    Update {
        /// Which node.
        node: u32,
        /// What it lacks.
        update: Update<A>,
    },
}

/// Why an actor was not registered. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name is too long.
    #[error("the name of a service has {bytes} bytes, more than {limit}; give it a shorter one")]
    NameTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The actor lives on another node.
    #[error("the actor for {name:?} lives on another node; register it there")]
    NotOfThisNode {
        /// The service.
        name: String,
    },
    /// The node has registered as much as it may.
    #[error(
        "the actor for {name:?} is not registered: the node has {limit} entries, the most it may \
         have; register fewer actors, and let those distribute the work"
    )]
    Full {
        /// The service.
        name: String,
        /// How many.
        limit: usize,
    },
}
