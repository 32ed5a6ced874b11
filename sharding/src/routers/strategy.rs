//! How a router chooses, with what it has to know of the messages.

use std::fmt;

use super::routing::RoutingRule;

/// How a router of messages `M` chooses among its routees.
pub enum Strategy<M> {
    /// Each in turn.
    RoundRobin,
    /// Any, with equal chances; the choices follow from the seed.
    Random {
        /// Where the sequence of choices begins.
        seed: u64,
    },
    /// The same one for messages of the same key, as long as it is there. When a routee comes or goes, only the keys
    /// that it gets or had change hands.
    ConsistentHash {
        /// The key of a message. It need not be spread: it is hashed.
        key: fn(&M) -> u64,
    },
    /// The one with the least load; of equal ones, each in turn. The load of a routee is how many messages this router
    /// has sent it, less those that [`finished`](super::Router::finished) took off again; a
    /// [`reported`](super::Router::reported) load takes the place of the whole. What others send it is not seen. All
    /// routees are looked at for each message.
    LeastLoaded,
    /// Every one gets each message.
    Broadcast,
}

impl<M> Strategy<M> {
    /// The same without the messages.
    pub fn rule(&self) -> RoutingRule {
        match self {
            Strategy::RoundRobin => RoutingRule::RoundRobin,
            Strategy::Random { seed } => RoutingRule::Random { seed: *seed },
            Strategy::ConsistentHash { .. } => RoutingRule::ConsistentHash,
            Strategy::LeastLoaded => RoutingRule::LeastLoaded,
            Strategy::Broadcast => RoutingRule::Broadcast,
        }
    }

    pub(super) fn key_of(&self, message: &M) -> u64 {
        match self {
            Strategy::ConsistentHash { key } => key(message),
            _ => 0,
        }
    }
}

impl<M> Clone for Strategy<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Strategy<M> {}

impl<M> fmt::Debug for Strategy<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule().fmt(f)
    }
}
