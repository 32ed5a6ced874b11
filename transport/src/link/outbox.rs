//! What may wait to be sent, in bytes: for a connection, for a peer, and for all peers of a core.
//!
//! A message is charged to all three or to none; what is given to the socket stays charged until the peer has consumed
//! it or the connection ends, so a budget bounds memory and not only a queue. Who is refused learns which of the three
//! is full: a full connection or peer says something about that peer, a full core about the node.
//!
//! Invariants: `used <= limit` for each; what a peer uses is the sum of what its connections use, and what the core
//! uses is the sum of what its peers use.

use std::fmt;

use thiserror::Error;

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One connection.
    Connection,
    /// All connections of this core to one peer.
    Peer,
    /// All connections of this core.
    Core,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Scope::Connection => "the connection",
            Scope::Peer => "the peer",
            Scope::Core => "this core",
        })
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// For one connection.
    pub connection_limit_bytes: usize,
    /// For all connections of a core to one peer.
    pub peer_limit_bytes: usize,
    /// For all connections of a core.
    pub core_limit_bytes: usize,
}

impl Default for OutboxSettings {
    /// 4 MiB for a connection, 8 MiB for a peer, 64 MiB for a core.
    fn default() -> OutboxSettings {
        OutboxSettings {
            connection_limit_bytes: 4 << 20,
            peer_limit_bytes: 8 << 20,
            core_limit_bytes: 64 << 20,
        }
    }
}

/// A message does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{bytes} bytes do not fit: {used_bytes} of {limit_bytes} wait for {scope}")]
pub struct OutboxFull {
    /// What is full.
    pub scope: Scope,
    /// What was to be charged.
    pub bytes: usize,
    /// What waits.
    pub used_bytes: usize,
    /// What may wait.
    pub limit_bytes: usize,
}

/// Bytes that may be used, and are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    limit_bytes: usize,
    used_bytes: usize,
    highest_bytes: usize,
}

impl Budget {
    /// Nothing of it used.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Budget {
        Budget { limit_bytes, used_bytes: 0, highest_bytes: 0 }
    }

    /// What is used.
    #[inline]
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// The most that was ever used.
    #[must_use]
    pub fn highest_bytes(&self) -> usize {
        self.highest_bytes
    }

    fn check(&self, bytes: usize, scope: Scope) -> Result<(), OutboxFull> {
        let (used_bytes, limit_bytes) = (self.used_bytes, self.limit_bytes);
        if bytes > limit_bytes - used_bytes {
            return Err(OutboxFull { scope, bytes, used_bytes, limit_bytes });
        }
        Ok(())
    }

    fn add(&mut self, bytes: usize) {
        self.used_bytes += bytes;
        self.highest_bytes = self.highest_bytes.max(self.used_bytes);
    }

    fn remove(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used_bytes, "{bytes} of {} given back", self.used_bytes);
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
    }
}

/// The three budgets that a message is charged to.
#[derive(Debug)]
pub struct Charges<'a> {
    /// Of its connection.
    pub connection: &'a mut Budget,
    /// Of the peer.
    pub peer: &'a mut Budget,
    /// Of the core.
    pub core: &'a mut Budget,
}

impl Charges<'_> {
    /// Charges a message, its header and padding included.
    ///
    /// # Errors
    ///
    /// One of the three is full; nothing has changed.
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<(), OutboxFull> {
        self.connection.check(bytes, Scope::Connection)?;
        self.peer.check(bytes, Scope::Peer)?;
        self.core.check(bytes, Scope::Core)?;
        for budget in [&mut *self.connection, &mut *self.peer, &mut *self.core] {
            budget.add(bytes);
        }
        Ok(())
    }

    /// Gives back what was consumed, dropped or lost.
    #[inline]
    pub fn give_back(&mut self, bytes: usize) {
        for budget in [&mut *self.connection, &mut *self.peer, &mut *self.core] {
            budget.remove(bytes);
        }
    }

    /// The connection has ended: gives back all that it used, and says how much.
    pub fn close_connection(&mut self) -> usize {
        let bytes = self.connection.used_bytes();
        self.give_back(bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(scope: Scope, bytes: usize, used_bytes: usize, limit_bytes: usize) -> OutboxFull {
        OutboxFull { scope, bytes, used_bytes, limit_bytes }
    }

    #[test]
    fn a_message_is_charged_to_all_three_or_to_none() {
        let (mut first, mut second) = (Budget::new(100), Budget::new(100));
        let (mut peer, mut core) = (Budget::new(150), Budget::new(170));
        let mut charge = |connection: &mut Budget, peer: &mut Budget, bytes| {
            Charges { connection, peer, core: &mut core }.charge(bytes)
        };
        assert_eq!(charge(&mut first, &mut peer, 100), Ok(()));
        assert_eq!(charge(&mut first, &mut peer, 1), Err(full(Scope::Connection, 1, 100, 100)));
        assert_eq!(charge(&mut second, &mut peer, 51), Err(full(Scope::Peer, 51, 100, 150)));
        assert_eq!(charge(&mut second, &mut peer, 50), Ok(()));
        let (mut other, mut other_peer) = (Budget::new(100), Budget::new(150));
        let answer = charge(&mut other, &mut other_peer, 21);
        assert_eq!(answer, Err(full(Scope::Core, 21, 150, 170)));
        assert_eq!((other.used_bytes(), other_peer.used_bytes(), core.used_bytes()), (0, 0, 150));
    }

    #[test]
    fn a_connection_that_ends_gives_back_all_that_it_used() {
        let (mut first, mut second) = (Budget::new(100), Budget::new(100));
        let (mut peer, mut core) = (Budget::new(150), Budget::new(170));
        Charges { connection: &mut first, peer: &mut peer, core: &mut core }.charge(70).unwrap();
        let mut charges = Charges { connection: &mut second, peer: &mut peer, core: &mut core };
        charges.charge(60).unwrap();
        charges.give_back(10);
        assert_eq!(charges.close_connection(), 50);
        assert_eq!((peer.used_bytes(), core.used_bytes(), core.highest_bytes()), (70, 70, 130));
    }

    proptest! {
        #[test]
        fn sums_stay_sums(steps in prop::collection::vec((0usize..4, 0usize..60, 0u8..4), 0..200)) {
            let mut connections = [(); 4].map(|()| Budget::new(100));
            let mut peers = [(); 2].map(|()| Budget::new(150));
            let mut core = Budget::new(200);
            for (at, bytes, step) in steps {
                let connection = &mut connections[at];
                let bytes_back = bytes.min(connection.used_bytes());
                let mut charges = Charges { connection, peer: &mut peers[at / 2], core: &mut core };
                match step {
                    0 | 1 => drop(charges.charge(bytes)),
                    2 => charges.give_back(bytes_back),
                    _ => drop(charges.close_connection()),
                }
                let used = connections.each_ref().map(Budget::used_bytes);
                prop_assert_eq!(peers[0].used_bytes(), used[0] + used[1]);
                prop_assert_eq!(peers[1].used_bytes(), used[2] + used[3]);
                prop_assert_eq!(core.used_bytes(), used.iter().sum::<usize>());
                prop_assert!(used.iter().all(|bytes| *bytes <= 100) && core.used_bytes() <= 200);
            }
        }
    }
}
