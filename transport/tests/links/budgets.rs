//! What may wait to be sent at a node of a storm, in bytes: for a connection, for a peer, and for all peers of a core.
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
}

impl Budget {
    /// Nothing of it used.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Budget {
        Budget { limit_bytes, used_bytes: 0 }
    }

    /// What is used.
    #[inline]
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
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
